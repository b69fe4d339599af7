// Calls the server through the Go client of openapi-generator, and prints the outcome of each check.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sort"
	"time"

	sessions "git.example/you/sessions"
)

const workspace = "507f191e810c19729de860ea"

var riyadh = time.FixedZone("", 3*60*60)

func to(server, token string) func(workspace string) sessions.ApiListSessionsRequest {
	configuration := sessions.NewConfiguration()
	configuration.Servers = sessions.ServerConfigurations{{URL: os.Getenv(server)}}
	client := sessions.NewAPIClient(configuration)
	ctx := context.WithValue(context.Background(), sessions.ContextAccessToken, os.Getenv(token))
	return func(workspace string) sessions.ApiListSessionsRequest {
		return client.SessionsAPI.ListSessions(ctx, workspace)
	}
}

func list(request sessions.ApiListSessionsRequest) ([]sessions.Session, *http.Response) {
	found, response, err := request.Execute()
	if err != nil {
		panic(err)
	}
	return found.Sessions, response
}

func ids(request sessions.ApiListSessionsRequest) []string {
	found, _ := list(request)
	return idsOf(found)
}

func idsOf(found []sessions.Session) []string {
	named := []string{}
	for _, session := range found {
		named = append(named, session.Id)
	}
	return named
}

func pages(request sessions.ApiListSessionsRequest) []string {
	found, response := list(request)
	named := idsOf(found)
	for response.Header.Get("Next-Cursor") != "" {
		found, response = list(request.Cursor(response.Header.Get("Next-Cursor")))
		named = append(named, idsOf(found)...)
	}
	return named
}

// The members of a session without its MarshalJSON, which leaves out an invoice of null.
type members sessions.Session

func membersOf(found []sessions.Session) []members {
	all := []members{}
	for _, session := range found {
		all = append(all, members(session))
	}
	return all
}

func names(found []sessions.Session) []string {
	distinct := map[string]bool{}
	for _, session := range found {
		distinct[session.ClientName] = true
	}
	named := []string{}
	for name := range distinct {
		named = append(named, name)
	}
	sort.Strings(named)
	return named
}

func notModified(request sessions.ApiListSessionsRequest) string {
	_, first := list(request)
	_, response, err := request.IfNoneMatch(first.Header.Get("ETag")).Execute()
	if err == nil || response.StatusCode != http.StatusNotModified {
		panic(fmt.Sprint(response.StatusCode, err))
	}
	return "not modified"
}

func problem(request sessions.ApiListSessionsRequest) sessions.Problem {
	_, response, err := request.Execute()
	var failure *sessions.GenericOpenAPIError
	if !errors.As(err, &failure) {
		panic(fmt.Sprint(response.StatusCode, err))
	}
	found, typed := failure.Model().(sessions.Problem)
	if !typed || int(found.Status) != response.StatusCode {
		panic(err)
	}
	return found
}

func main() {
	server := to("SERVER", "TOKEN")
	ask := server(workspace)
	everything, _ := list(ask)
	outcomes := map[string]interface{}{
		"all sessions": membersOf(everything),
		"Arabic text":  names(everything),
		"clientId":     ids(ask.ClientId("65a000200000000000000007")),
		"one service":  ids(ask.ServiceIds([]string{"65a000300000000000000005"})),
		"two services": ids(ask.ServiceIds([]string{"507f1f77bcf86cd799439014", "65a000300000000000000005"})),
		"status":       ids(ask.Status(sessions.IN_PROGRESS)),
		"staffId":      ids(ask.StaffId("65a000400000000000000003")),
		"aware date-times": ids(ask.
			DateFrom(time.Date(2024, 2, 1, 2, 30, 0, 0, riyadh)).
			DateTo(time.Date(2024, 2, 10, 3, 0, 0, 0, riyadh))),
		"updatedSince":       ids(ask.UpdatedSince(time.Date(2024, 4, 1, 23, 59, 59, 999_000_000, time.UTC))),
		"sort by date":       ids(ask.Sort(sessions.DATE)),
		"sort by -date":      ids(ask.Sort(sessions.DATE_DESC)),
		"sort by updatedAt":  ids(ask.Sort(sessions.UPDATED_AT)),
		"sort by -updatedAt": ids(ask.Sort(sessions.UPDATED_AT_DESC)),
		"limit":              ids(ask.Limit(3)),
		"all pages":          pages(ask.Limit(70)),
		"every parameter": pages(ask.
			ClientId("65a000200000000000000007").
			ServiceIds([]string{"507f1f77bcf86cd799439014", "65a000300000000000000005"}).
			DateFrom(time.Date(2024, 1, 23, 0, 0, 0, 0, time.UTC)).
			DateTo(time.Date(2024, 4, 30, 12, 30, 0, 500_000, time.UTC)).
			Status(sessions.SCHEDULED).
			StaffId("65a000400000000000000003").
			UpdatedSince(time.Date(2024, 2, 1, 0, 0, 0, 0, riyadh)).
			Sort(sessions.DATE_DESC).
			Limit(1).
			IfNoneMatch(`W/"0"`)),
		"304":           notModified(ask.Limit(1)),
		"400":           problem(ask.ClientId("not an id").StaffId("س")),
		"401":           problem(to("SERVER", "EXPIRED_TOKEN")(workspace)),
		"403":           problem(server("another")),
		"404 workspace": problem(server("none")),
		"404 page":      problem(ask.Cursor("WyJkYXRlIl0")),
		"429":           problem(to("LIMITED_SERVER", "TOKEN")(workspace).Limit(1)),
		"500":           problem(server("broken")),
		"503":           problem(to("SERVER_WITHOUT_DATABASE", "TOKEN")(workspace)),
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		panic(err)
	}
}

// The shared part of the Go programs: the connection pool, the check of a token, the filters as SQL, the HTTP server.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt"
	"github.com/jackc/pgx/v4/pgxpool"
)

var (
	pool   *pgxpool.Pool
	secret = []byte(os.Getenv("JWT_SECRET"))
)

type claims struct {
	jwt.RegisteredClaims
	Scope      string   `json:"scope"`
	Workspaces []string `json:"workspaces"`
}

// authorize returns 0 for a token that covers the workspace with the scope, else 401 or 403.
func authorize(r *http.Request, workspace string) int {
	var found claims
	text := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	key := func(*jwt.Token) (interface{}, error) { return secret, nil }
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}))
	if _, err := parser.ParseWithClaims(text, &found, key); err != nil || found.ExpiresAt == nil {
		return http.StatusUnauthorized
	}
	if !contains(strings.Fields(found.Scope), "sessions.view") || !contains(found.Workspaces, workspace) {
		return http.StatusForbidden
	}
	return 0
}

func contains(list []string, wanted string) bool {
	for _, each := range list {
		if each == wanted {
			return true
		}
	}
	return false
}

// workspaceOf returns the workspace in a path, or "" for a path of another form.
func workspaceOf(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) == 5 && parts[1] == "v1" && parts[2] == "workspace" && parts[4] == "sessions" {
		return parts[3]
	}
	return ""
}

const anyService = "EXISTS (SELECT FROM session_services x" +
	" WHERE x.workspace_id = $1 AND x.session_id = s.id AND x.service_id = ANY($%d))"

// where returns the conditions of the filters, and their arguments.
func where(workspace string, query url.Values) (string, []interface{}, error) {
	conditions, arguments := []string{"s.workspace_id = $1"}, []interface{}{workspace}
	add := func(condition string, argument interface{}) {
		arguments = append(arguments, argument)
		conditions = append(conditions, fmt.Sprintf(condition, len(arguments)))
	}
	if query.Has("clientId") {
		add("s.client_id = $%d", query.Get("clientId"))
	}
	if query.Has("serviceIds") {
		add(anyService, strings.Split(query.Get("serviceIds"), ","))
	}
	for _, bound := range []struct{ name, condition string }{{"dateFrom", "s.date >= $%d"}, {"dateTo", "s.date <= $%d"}} {
		if query.Has(bound.name) {
			moment, err := time.Parse(time.RFC3339, query.Get(bound.name))
			if err != nil {
				return "", nil, err
			}
			add(bound.condition, moment.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
	}
	if query.Has("status") {
		add("s.status = $%d", query.Get("status"))
	}
	return strings.Join(conditions, " AND "), arguments, nil
}

func workspaceExists(ctx context.Context, workspace string) (exists bool, err error) {
	err = pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM workspaces WHERE id = $1)", workspace).Scan(&exists)
	return
}

func sendJSON(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
}

func sendProblem(w http.ResponseWriter, status int) {
	w.Header().Del("Content-Length") // of a response that failed its validation
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	title := http.StatusText(status)
	fmt.Fprintf(w, `{"type":"about:blank","title":%q,"status":%d,"detail":%q}`, title, status, title)
}

func serve(handler http.Handler) {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	config.MaxConns = 10
	if pool, err = pgxpool.ConnectConfig(context.Background(), config); err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), handler))
}

// Go with net/http and pgx over the relational tables; kin-openapi validates requests and responses by the product's contract.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// refusal is a status as an error.
type refusal int

func (r refusal) Error() string { return http.StatusText(int(r)) }

func authenticate(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	request := input.RequestValidationInput
	if status := authorize(request.Request, request.PathParams["workspaceId"]); status != 0 {
		return refusal(status)
	}
	return nil
}

func sendError(w http.ResponseWriter, status int, _ openapi3filter.ErrCode, err error) {
	var security *openapi3filter.SecurityRequirementsError
	var refused refusal
	if errors.As(err, &security) && errors.As(security.Errors[0], &refused) {
		status = int(refused)
	}
	sendProblem(w, status)
}

func main() {
	contract, err := openapi3.NewLoader().LoadFromFile("openapi/openapi.yaml")
	if err != nil {
		log.Fatal(err)
	}
	contract.Servers = nil // "." is where the contract was read, which the router takes for a path
	router, err := gorillamux.NewRouter(contract)
	if err != nil {
		log.Fatal(err)
	}
	validator := openapi3filter.NewValidator(
		router,
		openapi3filter.Strict(true),
		openapi3filter.OnErr(sendError),
		openapi3filter.OnLog(func(string, error) {}),
		openapi3filter.ValidationOptions(openapi3filter.Options{AuthenticationFunc: authenticate}),
	)
	serve(validator.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		listSessions(w, r, workspaceOf(r.URL.Path))
	})))
}

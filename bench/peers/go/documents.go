// Go with net/http and pgx over the documents that the product stores, joined as they are; nothing is validated.
package main

import (
	"context"
	"log"
	"net/http"
	"net/url"
)

// findDocuments returns the body of the response; nil when there is no such workspace.
func findDocuments(ctx context.Context, workspace string, query url.Values) ([]byte, error) {
	conditions, arguments, err := where(workspace, query)
	if err != nil {
		return nil, err
	}
	statement := "SELECT s.document FROM sessions s WHERE " + conditions + " ORDER BY s.date, s.start_time, s.id"
	rows, err := pool.Query(ctx, statement, arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	body, empty := []byte(`{"sessions":[`), true
	for rows.Next() {
		if !empty {
			body = append(body, ',')
		}
		body, empty = append(body, rows.RawValues()[0]...), false
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if empty {
		if exists, err := workspaceExists(ctx, workspace); err != nil || !exists {
			return nil, err
		}
	}
	return append(body, "]}"...), nil
}

func main() {
	serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		workspace := workspaceOf(r.URL.Path)
		if workspace == "" {
			sendProblem(w, http.StatusNotFound)
			return
		}
		if status := authorize(r, workspace); status != 0 {
			sendProblem(w, status)
			return
		}
		body, err := findDocuments(r.Context(), workspace, r.URL.Query())
		if err != nil {
			log.Print(err)
			sendProblem(w, http.StatusInternalServerError)
		} else if body == nil {
			sendProblem(w, http.StatusNotFound)
		} else {
			sendJSON(w, body)
		}
	}))
}

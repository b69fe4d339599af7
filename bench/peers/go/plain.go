// Go with net/http and pgx over the relational tables; nothing is validated.
package main

import "net/http"

func main() {
	serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		workspace := workspaceOf(r.URL.Path)
		if workspace == "" {
			sendProblem(w, http.StatusNotFound)
		} else if status := authorize(r, workspace); status != 0 {
			sendProblem(w, status)
		} else {
			listSessions(w, r, workspace)
		}
	}))
}

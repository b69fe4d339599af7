// The relational list: one statement that aggregates the names, rows as structs, encoding/json.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"net/url"
)

type session struct {
	ID              string          `json:"id"`
	WorkspaceID     string          `json:"workspaceId"`
	ClientID        string          `json:"clientId"`
	ClientName      string          `json:"clientName"`
	ServiceIDs      []string        `json:"serviceIds"`
	ServiceNames    []string        `json:"serviceNames"`
	StaffID         string          `json:"staffId"`
	StaffName       string          `json:"staffName"`
	Name            string          `json:"name"`
	Date            string          `json:"date"`
	StartTime       string          `json:"startTime"`
	EndTime         string          `json:"endTime"`
	DurationMinutes int             `json:"durationMinutes"`
	Status          string          `json:"status"`
	FieldValues     json.RawMessage `json:"fieldValues"`
	Attachments     json.RawMessage `json:"attachments"`
	Notes           json.RawMessage `json:"notes"`
	Invoice         json.RawMessage `json:"invoice"`
	CreatedAt       string          `json:"createdAt"`
	UpdatedAt       string          `json:"updatedAt"`
}

type sessionList struct {
	Sessions []session `json:"sessions"`
}

const statement = `
	SELECT s.id, s.workspace_id, s.client_id, c.name, coalesce(b.ids, '{}'), coalesce(b.names, '{}'), s.staff_id, t.name,
		s.name, s.date, s.start_time, s.end_time, s.duration_minutes, s.status,
		s.field_values, s.attachments, s.notes, s.invoice, s.created_at, s.updated_at
	FROM sessions s
	JOIN clients c ON c.workspace_id = s.workspace_id AND c.id = s.client_id
	JOIN staff t ON t.workspace_id = s.workspace_id AND t.id = s.staff_id
	LEFT JOIN LATERAL (
		SELECT array_agg(x.service_id ORDER BY x.position) AS ids, array_agg(v.name ORDER BY x.position) AS names
		FROM session_services x
		JOIN services v ON v.workspace_id = x.workspace_id AND v.id = x.service_id
		WHERE x.workspace_id = s.workspace_id AND x.session_id = s.id
	) b ON true
	WHERE `

var errNoWorkspace = errors.New("there is no such workspace")

func findSessions(ctx context.Context, workspace string, query url.Values) ([]session, error) {
	conditions, arguments, err := where(workspace, query)
	if err != nil {
		return nil, err
	}
	rows, err := pool.Query(ctx, statement+conditions+" ORDER BY s.date, s.start_time, s.id", arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	sessions := []session{}
	for rows.Next() {
		var s session
		err := rows.Scan(
			&s.ID, &s.WorkspaceID, &s.ClientID, &s.ClientName, &s.ServiceIDs, &s.ServiceNames, &s.StaffID, &s.StaffName,
			&s.Name, &s.Date, &s.StartTime, &s.EndTime, &s.DurationMinutes, &s.Status,
			(*[]byte)(&s.FieldValues), (*[]byte)(&s.Attachments), (*[]byte)(&s.Notes), (*[]byte)(&s.Invoice),
			&s.CreatedAt, &s.UpdatedAt,
		)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, s)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(sessions) == 0 {
		if exists, err := workspaceExists(ctx, workspace); err != nil {
			return nil, err
		} else if !exists {
			return nil, errNoWorkspace
		}
	}
	return sessions, nil
}

// listSessions responds to a request that is authorized.
func listSessions(w http.ResponseWriter, r *http.Request, workspace string) {
	sessions, err := findSessions(r.Context(), workspace, r.URL.Query())
	if errors.Is(err, errNoWorkspace) {
		sendProblem(w, http.StatusNotFound)
		return
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err == nil {
		err = encoder.Encode(sessionList{sessions})
	}
	if err != nil {
		log.Print(err)
		sendProblem(w, http.StatusInternalServerError)
		return
	}
	sendJSON(w, body.Bytes())
}

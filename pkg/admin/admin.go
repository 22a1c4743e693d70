// Package admin answers for altagate itself: its metrics, its health, and the
// sessions that operators look at and end.
package admin

import (
	"io"
	"net/http"
)

const index = `altagate

/metrics          for Prometheus
/healthz          200 while the process lives
/readyz           200 while it takes checks, 503 while it stops
/api/v1/sessions  who watches, and how to end it (docs/api.md); on loopback and Unix sockets, or with admin_token
/api/v1/backends  what is there, what is away and since when; on loopback and Unix sockets, or with admin_token
/api/v1/decisions what was decided since somebody first asked; on loopback and Unix sockets, or with admin_token
`

// Handler answers GET and HEAD for /metrics with the handler given, /healthz,
// /readyz with what ready says at that moment, and / with a list of these. A
// backend's state is no part of readiness: were it, an outage of the backend
// would take every edge out. Nothing that the handler says came from a viewer.
func Handler(metrics http.Handler, ready func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		answer := page(r.URL.Path, metrics, ready)
		if answer == nil {
			text(w, http.StatusNotFound, "not found: see /\n")
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			text(w, http.StatusMethodNotAllowed, "only GET and HEAD are answered here\n")
			return
		}
		answer(w, r)
	})
}

// page is what answers for a path; nil if nothing does. Paths are taken as they
// are: http.ServeMux would clean them and redirect.
func page(path string, metrics http.Handler, ready func() bool) http.HandlerFunc {
	switch path {
	case "/":
		return func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, index) }
	case "/metrics":
		return metrics.ServeHTTP
	case "/healthz":
		return func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") }
	case "/readyz":
		return func(w http.ResponseWriter, _ *http.Request) {
			if ready() {
				text(w, http.StatusOK, "ready\n")
				return
			}
			text(w, http.StatusServiceUnavailable, "not ready: draining\n")
		}
	default:
		return nil
	}
}

// text answers with a short text that nobody keeps. To a HEAD, net/http sends
// no body.
func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, body) //nolint:errcheck // the client has left
}

// Package demo has small parts to see altagate work with no other software: a
// backend, an origin with a sample stream, and an edge between the two. They
// are for trying out, not for serving viewers.
package demo

import "net/http"

// Question is what the backend was asked, and what it answered.
type Question struct {
	// Session, Addr, Path, Origin and UserAgent are the five headers that a
	// backend gets: X-Session-Id, X-Real-Ip, X-Real-Path, X-Real-Origin and
	// X-Real-Ua.
	Session, Addr, Path, Origin, UserAgent string
	// Query is the viewer's, byte for byte.
	Query string
	// Status is the answer: 200 or 403.
	Status int
}

// Backend allows token=123 and denies anything else, as the PHP example in
// Alta's documentation does; of several tokens the last counts, as in PHP. asked
// gets each question from the goroutine that answers it; nil is fine.
func Backend(asked func(Question)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := Question{
			Session: r.Header.Get("X-Session-Id"), Addr: r.Header.Get("X-Real-Ip"), Path: r.Header.Get("X-Real-Path"),
			Origin: r.Header.Get("X-Real-Origin"), UserAgent: r.Header.Get("X-Real-Ua"),
			Query: r.URL.RawQuery, Status: http.StatusForbidden,
		}
		if tokens := r.URL.Query()["token"]; len(tokens) > 0 && tokens[len(tokens)-1] == "123" {
			q.Status = http.StatusOK
		}
		if asked != nil {
			asked(q)
		}
		w.WriteHeader(q.Status)
	})
}

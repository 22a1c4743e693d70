package server

import (
	"fmt"
	"net/http"

	"github.com/altagate/altagate/pkg/panics"
)

// denyingPanics answers 403 where handler panics before it has answered, and
// tells of it. net/http would close the connection, which is no answer: to Envoy
// that is altagate being away.
func denyingPanics(handler http.Handler, trouble func(line string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch value := recover(); value {
			case nil:
			case http.ErrAbortHandler:
				panic(value)
			default:
				trouble(fmt.Sprintf("an answer is a denial: %v", panics.Error(value)))
				clear(w.Header())
				w.Header().Set("Content-Length", "0")
				w.WriteHeader(http.StatusForbidden)
			}
		}()
		handler.ServeHTTP(w, r)
	})
}

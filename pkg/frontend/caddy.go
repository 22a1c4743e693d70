package frontend

import (
	"net/http"
	"strings"
)

// caddy is Caddy with forward_auth. It takes any 2xx for an allow, and shows the
// viewer everything else as it is.
func caddy() proxy {
	return proxy{name: "caddy", path: "/auth/caddy", read: readCaddy, answer: answerShown}
}

// readCaddy leaves out a query after its own path: where the operator's uri has no
// "?", Caddy appends the viewer's query, which is in X-Forwarded-Uri as well.
func readCaddy(r *http.Request, rest string) Context {
	rest, _, _ = strings.Cut(rest, "?")
	return readForwarded(r, rest)
}

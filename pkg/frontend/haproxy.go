package frontend

import (
	"net/http"

	"github.com/altagate/altagate/pkg/check"
)

// haproxy is HAProxy with the shipped Lua action, which sends the headers that the
// shipped nginx config sends, reads the answer's, and shows the viewer the status
// alone.
func haproxy() proxy {
	return proxy{name: "haproxy", path: "/auth/haproxy", read: readNginx, answer: answerHAProxy}
}

func answerHAProxy(h http.Header, d check.Decision) int {
	setFields(h, d)
	if to := Redirect(&d); to != "" {
		h.Set(redirectHeader, to)
	}
	return status(d)
}

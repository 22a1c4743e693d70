package frontend

import "net/http"

// readForwarded reads the headers that Traefik and Caddy both set about a viewer's
// request. The addresses are a list: where the operator has the proxy trust those
// before it, the viewer's is not the only one.
func readForwarded(r *http.Request, rest string) Context {
	route, ok := routeIn(rest)
	if !ok {
		return Context{Stray: true}
	}
	return Context{
		Route:      route,
		Target:     only(r.Header, "X-Forwarded-Uri"),
		Method:     only(r.Header, "X-Forwarded-Method"),
		Scheme:     only(r.Header, "X-Forwarded-Proto"),
		Host:       only(r.Header, "X-Forwarded-Host"),
		Forwarded:  only(r.Header, "X-Forwarded-For"),
		UserAgents: r.Header["User-Agent"],
		Cookies:    r.Header["Cookie"],
	}
}

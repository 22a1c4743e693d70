package frontend

import (
	"net/http"
	"strings"
)

// nginx is nginx with auth_request. It understands 2xx, 401 and 403 alone and
// turns the rest into 500, so every denial is 403.
func nginx() proxy {
	return proxy{name: "nginx", path: "/auth/nginx", read: readNginx, answer: answerInHeaders}
}

// readNginx reads the headers that the shipped nginx config sets.
func readNginx(r *http.Request, rest string) Context {
	route, ok := routeIn(rest)
	if !ok {
		return Context{Stray: true}
	}
	return Context{
		Route:      route,
		Target:     only(r.Header, "X-Original-Uri"),
		Method:     only(r.Header, "X-Original-Method"),
		Scheme:     only(r.Header, "X-Forwarded-Proto"),
		Host:       only(r.Header, "X-Forwarded-Host"),
		Address:    only(r.Header, "X-Real-Ip"),
		UserAgents: r.Header["User-Agent"],
		Cookies:    r.Header["Cookie"],
	}
}

// only is the value of a header that is there once, else empty. The name is in
// net/http's spelling.
func only(h http.Header, name string) string {
	if values := h[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// routeIn reads the rest of a path in which a route can be named: nothing, or
// one segment of letters, digits, ".", "_" and "-".
func routeIn(rest string) (route string, ok bool) {
	if rest == "" {
		return "", true
	}
	route, ok = strings.CutPrefix(rest, "/")
	if !ok || route == "" {
		return "", false
	}
	for i := range len(route) {
		if b := route[i]; !isAlphanumeric(b) && b != '.' && b != '_' && b != '-' {
			return "", false
		}
	}
	return route, true
}

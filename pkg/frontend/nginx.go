package frontend

import (
	"net/http"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// nginx is nginx with auth_request. It understands 2xx, 401 and 403 alone and
// turns the rest into 500, so every denial is 403.
func nginx() proxy {
	return proxy{name: "nginx", path: "/auth/nginx", read: readNginx, answer: answerNginx}
}

// answerNginx is answerInHeaders, with what nginx's own cache heeds. Only here: no
// other proxy keeps answers.
func answerNginx(h http.Header, d check.Decision) int {
	if seconds := cacheFor(&d); seconds != nil {
		h["X-Accel-Expires"] = seconds
	}
	return answerInHeaders(h, d)
}

// cacheFor is the value of X-Accel-Expires; nil where nothing may be kept. nginx keeps
// an answer until its clock's second is past the one that it is told: for up to a
// second longer. So that is one less than whole seconds are left. It counts from when it
// has the answer: how long that was on its way nobody knows here.
func cacheFor(d *check.Decision) []string {
	if !d.Allow || d.Reason != check.Session || d.Cache < 2*time.Second {
		return nil
	}
	return cacheSeconds[min(int(d.Cache/time.Second)-2, len(cacheSeconds)-1)]
}

// cacheSeconds are the values that there are, and no answer is kept for longer.
var cacheSeconds = [...][]string{{"1"}, {"2"}, {"3"}, {"4"}, {"5"}, {"6"}, {"7"}, {"8"}, {"9"}}

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

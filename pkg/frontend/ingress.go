package frontend

import (
	"net/http"
	"strings"
)

// ingressNginx is ingress-nginx with the annotation auth-url: nginx with
// auth_request, and headers of the controller's own.
func ingressNginx() proxy {
	return proxy{name: "ingress-nginx", path: "/auth/ingress-nginx", read: readIngressNginx, answer: answerInHeaders}
}

// readIngressNginx reads the headers that the controller's template sets. Its
// X-Original-URL is scheme, Host and target of the viewer's request, as they came,
// put together. No Host that nginx lets pass has a slash, so the target begins at the
// first, or at a "?" before it: then it is malformed, wherever the Host ended.
func readIngressNginx(r *http.Request, rest string) Context {
	route, ok := routeIn(rest)
	if !ok {
		return Context{Stray: true}
	}
	scheme, after, _ := strings.Cut(only(r.Header, "X-Original-Url"), "://")
	host, target := after, ""
	if at := strings.IndexAny(after, "/?"); at >= 0 {
		host, target = after[:at], after[at:]
	}
	return Context{
		Route:      route,
		Target:     target,
		Method:     only(r.Header, "X-Original-Method"),
		Scheme:     scheme,
		Host:       host,
		Address:    only(r.Header, "X-Real-Ip"),
		UserAgents: r.Header["User-Agent"],
		Cookies:    r.Header["Cookie"],
	}
}

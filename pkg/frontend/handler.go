package frontend

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// proxy is one kind of proxy that asks over HTTP. A new kind is a file with
// such a value, and its entry in proxies.
type proxy struct {
	// name is what check.Request.Proxy, metrics and the log call it.
	name string
	// path is what the path of its checks begins with, byte for byte.
	path string
	// read reads one check from the headers that this proxy sets and from no
	// others; rest is the request's target after path, as it came. A path that
	// is none of this proxy's gives a stray Context, which is a bad-check.
	read func(r *http.Request, rest string) Context
	// answer sets the headers that tell this proxy the decision, and gives the
	// status: 200 for an allow, and something else for a denial.
	answer func(h http.Header, d check.Decision) int
}

// proxies lists every kind. The first whose path fits has the check.
func proxies() []proxy {
	return []proxy{nginx(), envoy(), traefik(), caddy(), haproxy(), ingressNginx()}
}

// Names lists what check.Request.Proxy can be over HTTP, for a path of a proxy's.
func Names() []string {
	var names []string
	for _, p := range proxies() {
		names = append(names, p.name)
	}
	return names
}

// unknown is whoever asks under a path that is no proxy's. It can only be a
// mistake in a proxy's config, so it is denied and recorded like any bad-check.
func unknown() proxy {
	return proxy{
		name:   "unknown",
		read:   func(*http.Request, string) Context { return Context{Stray: true} },
		answer: answerInHeaders,
	}
}

// Handler serves the checks of the proxies that ask over HTTP, each under its
// own path: /auth/nginx, /auth/nginx/ROUTE, the same for the others, and /auth/envoy
// with the viewer's target after it. Paths are compared as they came: never cleaned, decoded or
// redirected. Every answer is 200 or a denial, and none has a body, since nginx
// drops a kept-alive connection when an answer has one.
//
// The http.Server that it is given to should set DisableGeneralOptionsHandler:
// or net/http answers `OPTIONS *` with 200 by itself.
func Handler(c Config) http.Handler {
	return &handler{config: c, proxies: proxies()}
}

type handler struct {
	config  Config
	proxies []proxy
}

// ServeHTTP answers one check.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, rest := h.find(r.RequestURI)
	said := p.read(r, rest)
	said.Proxy = p.name
	d := h.config.Check(r.Context(), peer(r), said)
	status := p.answer(w.Header(), d)
	write(w, r, status)
}

// find gives the proxy that a request's target belongs to, and what follows
// that proxy's path.
func (h *handler) find(uri string) (proxy, string) {
	for _, p := range h.proxies {
		if rest, ok := strings.CutPrefix(uri, p.path); ok {
			return p, rest
		}
	}
	return unknown(), uri
}

// peer is the address of the caller itself. On a Unix socket that is the
// socket's own, since the caller has none.
func peer(r *http.Request) net.Addr {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); ok {
		return local
	}
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return nil
	}
	return net.TCPAddrFromAddrPort(remote)
}

// noBody is the Content-Length of every answer.
var noBody = []string{"0"}

// bodyLinger is how long a caller that announced a body may go on sending it
// after its answer. Closing under it would reset the connection, and the
// answer could be lost.
const bodyLinger = time.Second

// write sends the answer. A check has no body, but a proxy that passes on the
// viewer's Content-Length announces one that never comes, and over HTTP/1 net/http
// would wait for it before it answers. Closing the connection is what makes it answer
// at once.
func write(w http.ResponseWriter, r *http.Request, status int) {
	h := w.Header()
	h["Date"] = nil
	h["Content-Length"] = noBody
	if r.ContentLength != 0 && r.ProtoMajor < 2 {
		h.Set("Connection", "close")
		// An error means only that the server's own read timeout applies.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyLinger))
	}
	w.WriteHeader(status)
}

package edge

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/altagate/altagate/pkg/doctor"
)

// hostile are requests by which viewers make checks fail. All have a token that
// nobody has.
func (e *exam) hostile(ctx context.Context) {
	changes := map[string]func(*request){
		"a control byte in the User-Agent": func(r *request) { r.agent = "altagate-doctor\x01" },
		"two User-Agents":                  func(r *request) { r.lines = []string{"User-Agent: another"} },
		"no User-Agent":                    func(r *request) { r.noAgent = true },
		"a User-Agent of 7000 bytes":       func(r *request) { r.agent = strings.Repeat("x", 7000) },
		"a query of 7000 bytes":            func(r *request) { r.target += "&x=" + strings.Repeat("x", 7000) },
		"cookies of 7000 bytes":            func(r *request) { r.lines = []string{"Cookie: a=" + strings.Repeat("x", 7000)} },
		"HTTP/1.0 without a Host":          func(r *request) { r.host, r.version = noHost, "HTTP/1.0" },
		"a Host that is none":              func(r *request) { r.host = "a@" + e.host },
		"a broken escape":                  func(r *request) { r.target = e.path + "%zz?" + e.junk() },
		"a query without a path":           func(r *request) { r.target = e.scheme + "://" + e.host + "?" + e.junk() },
		"an unknown method":                func(r *request) { r.method = "ALTAGATE" },
		"OPTIONS that is no preflight":     func(r *request) { r.method = "OPTIONS" },
		"bytes that are not UTF-8":         func(r *request) { r.target = e.path + "\xff\xfe?" + e.junk() },
	}
	open := e.out.Found(junkAllowed, denialServed, unchecked)
	for _, what := range slices.Sorted(maps.Keys(changes)) {
		r := e.unknown()
		changes[what](&r)
		got, d := e.probe(ctx, r)
		if d != nil && d.Decision == "allow" || got.served() && d != nil {
			e.judge("a token that nobody has with "+what, got, d)
		} else if got.served() && !open {
			e.out.Add(opensOnError, e.address, fmt.Sprintf("a token that nobody has with %s is served: %v", what, got),
				"take error_page 500 or failure_mode_allow out; proxy_pass_request_headers off in the location of the check")
		}
	}
	if !open && !e.out.Found(opensOnError, junkAllowed, denialServed) {
		e.out.Is("no bytes that were tried make a check fail open")
	}
}

// headers sends what a viewer might write in place of the proxy, one after the
// other, and looks at whether altagate decides about something else then.
func (e *exam) headers(ctx context.Context) {
	if e.base == nil {
		return
	}
	const other = "198.51.100.77"
	path := "/altagate-doctor-" + e.nonce + ".m3u8?" + e.junk()
	scheme := map[string]string{"http": "https", "https": "http"}[e.scheme]
	bad := false
	for _, line := range []string{
		"X-Original-URI: " + path, "X-Original-URL: " + scheme + "://altagate-doctor.invalid" + path, "X-Original-Method: DELETE",
		"X-Forwarded-Uri: " + path, "X-Forwarded-Method: DELETE", "X-Forwarded-Host: altagate-doctor.invalid", "X-Forwarded-Proto: " + scheme,
		"X-Forwarded-For: " + other, "X-Forwarded-Port: 1", "Forwarded: for=" + other + ";host=altagate-doctor.invalid;proto=" + scheme,
		"X-Real-IP: " + other, "X-Rewrite-URL: " + path, "X-Session-Id: 0123456789abcdef0123456789abcdef",
		"X-Envoy-Original-Path: " + path, "X-Envoy-External-Address: " + other, "X_Real_IP: " + other, "X_Original_URI: " + path,
		"X.Real.IP: " + other, "Connection: close, X-Real-IP, X-Original-URI, X-Forwarded-Proto, X-Forwarded-Host",
	} {
		r := e.unknown()
		r.lines = []string{line}
		got, d := e.probe(ctx, r)
		name, _, _ := strings.Cut(line, ":")
		e.judge("a token that nobody has with a header "+name, got, d)
		bad = e.believed(name, d) || bad
	}
	if !bad {
		e.out.Is("a viewer's own X-Original-URI, X-Real-IP, X-Forwarded-* and the like change nothing that altagate is told")
	}
}

// believed compares what altagate was told with and without a viewer's header.
func (e *exam) believed(name string, d *doctor.Decided) bool {
	if d == nil {
		return false
	}
	if d.Reason == "bad-check" && e.base.Reason != "bad-check" {
		e.out.Add(headerBreaks, e.address, fmt.Sprintf("with the viewer's own %s the check is a bad-check: %s", name, d.Error), "proxy_pass_request_headers off; in the location of the check")
		return true
	}
	for _, c := range [][3]string{
		{"path", d.Path, e.base.Path}, {"host", d.Host, e.base.Host}, {"scheme", d.Scheme, e.base.Scheme},
		{"method", d.Method, e.base.Method}, {"address", d.Address, e.base.Address},
	} {
		if c[1] != c[2] {
			e.out.Add(headerBelieved, e.address, fmt.Sprintf("with the viewer's own %s altagate is told the %s %q in place of %q", name, c[0], c[1], c[2]),
				"nginx: proxy_pass_request_headers off and the proxy_set_header lines of the shipped location; Envoy: use_remote_address: true")
			return true
		}
	}
	return false
}

// hosts asks under a name that the edge does not have.
func (e *exam) hosts(ctx context.Context) {
	r := e.unknown()
	r.host = "altagate-doctor-" + e.nonce + ".invalid"
	got, d := e.probe(ctx, r)
	switch {
	case d != nil && strings.HasPrefix(d.Host, "altagate-doctor-"):
		e.out.Add(unknownHost, e.address, fmt.Sprintf("a host that nobody named is checked: %s, and answered %v", d.Host, got),
			"nginx: server { listen PORT default_server; server_name _; return 421; }; Envoy: domains: [tv.example.com]")
	case d != nil || got.served():
		e.judge("a host that nobody named", got, d)
	case e.base != nil:
		e.out.Is("a host that nobody named is refused: %v", got)
	}
}

// spellings are other ways to write a path.
func spellings(path string) map[string]string {
	slash := strings.LastIndexByte(path, '/')
	above, name := path[:slash], path[slash+1:]
	all := map[string]string{
		"a dot":               above + "/./" + name,
		"two slashes":         above + "//" + name,
		"slashes first":       "/" + path,
		"a step back":         above + "/x/../" + name,
		"an escaped dot":      above + "/%2e/" + name,
		"an escaped step":     above + "/x/%2e%2e/" + name,
		"a twice escaped one": above + "/x/%252e%252e/" + name,
		"a step with a ;":     above + "/x/..;/" + name,
		"an escaped slash":    above + "%2f" + name,
		"a backslash":         above + `\` + name,
		"an escaped one":      above + "%5c" + name,
		"a parameter":         above + ";x=1/" + name,
	}
	if name != "" {
		all["an escaped letter"] = fmt.Sprintf("%s/%%%02X%s", above, name[0], name[1:])
	}
	return all
}

// paths writes the viewer's path in other ways. Where altagate decides on the same
// path, the edge must serve the same.
func (e *exam) paths(ctx context.Context) {
	if e.good == nil || e.base == nil || cut(e.path) != e.path {
		return
	}
	bad := false
	all := spellings(e.path)
	for _, what := range slices.Sorted(maps.Keys(all)) {
		path := all[what]
		got, d := e.probe(ctx, e.viewer(path))
		what = fmt.Sprintf("the path with %s (%s)", what, path)
		switch {
		case d == nil && got.served():
			e.out.Add(unchecked, e.address, what+" is served without a check", "auth_request or ext_authz for this path too: give --proxy-config")
		case d != nil && d.Decision != "allow":
			e.judge(what, got, d)
		case d != nil && d.Path == e.base.Path && got.err == nil && got.status != e.good.status:
			bad = true
			e.out.Add(pathDiffers, e.address, fmt.Sprintf("%s: altagate decided on %s, which is answered %v, and this %v", what, d.Path, e.good, got),
				"nginx: a path in proxy_pass, merge_slashes on; Envoy: normalize_path and merge_slashes")
		}
	}
	if !bad && !e.out.Found(unchecked) {
		e.out.Is("the path that altagate decides on is the one that is served, however it is written")
	}
}

// reach looks for altagate itself, through the edge and beside it.
func (e *exam) reach(ctx context.Context) {
	bad := false
	for _, path := range []string{"/_altagate", "/_auth", "/auth", "/auth/nginx", "/auth/envoy", "/auth/traefik", "/auth/caddy", "/auth/haproxy", "/auth/ingress-nginx"} {
		got := e.send(ctx, e.viewer(path))
		if got.err == nil && got.header.Get("X-Altagate-Decision") != "" && !e.out.Found(headersShown) {
			bad = true
			e.out.Add(checkReachable, e.address, path+" is answered by altagate", "internal; in that location, or no route to it")
		}
	}
	if !bad {
		e.out.Is("no path that was tried leads a viewer to altagate")
	}
	remote := e.send(ctx, e.unknown()).remote
	for _, l := range e.Listeners {
		e.reaches(ctx, l, remote)
	}
}

// reaches looks for a listener of altagate's at the edge's own address.
func (e *exam) reaches(ctx context.Context, l Listener, remote netip.Addr) {
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil || !remote.IsValid() || strings.HasPrefix(l.Address, "unix:") {
		return
	}
	switch at := net.JoinHostPort(remote.String(), port); {
	case !l.Is(ctx, at):
		e.out.Is("altagate's listener for %s is not at %s", l.Name, at)
	case host == remote.String() && remote.IsLoopback():
		e.out.Cannot("whether viewers reach altagate's listener for %s at the edge: run this from another machine", l.Name)
	default:
		e.out.Add(listenerReachable, at, "altagate's listener for "+l.Name+" answers there", "listen on 127.0.0.1 or a Unix socket; else a firewall, and callers")
	}
}

// away looks at what the edge does without altagate.
func (e *exam) away(ctx context.Context) {
	if e.There == nil || e.There(ctx) {
		e.out.Failed = "altagate is still there: its admin listener answers, so that nothing could be seen of its absence"
		return
	}
	for _, asks := range []struct {
		what string
		request
	}{{"a token that nobody has", e.unknown()}, {"the viewer of --edge", e.viewer(e.path)}} {
		if got := e.send(ctx, asks.request); got.served() {
			e.out.Add(openWhenAway, e.address, fmt.Sprintf("without altagate, %s is served: %v", asks.what, got),
				"nginx: error_page 599 /_altagate; proxy_intercept_errors off; in the location of the check; Envoy: failure_mode_allow: false")
		} else {
			e.out.Is("without altagate, %s is not served: %v", asks.what, got)
		}
	}
}

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/test/rig"
)

// TestEachShippedConfigLetsInWhomTheBackendAllows asks through every proxy that
// is shipped, with the example backend in PHP behind altagate.
func TestEachShippedConfigLetsInWhomTheBackendAllows(t *testing.T) {
	for _, e := range edges {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startPHP(t)
			a := e.serve(t, backend.url)
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}

			t.Run("token 123 is allowed, and nothing else is", func(t *testing.T) { tokens(t, v, o) })
			t.Run("the backend gets the five headers", func(t *testing.T) { fiveHeaders(t, e, v, backend) })
			t.Run("what a viewer says in headers changes nothing", func(t *testing.T) { forgedHeaders(t, v, o, backend) })
			t.Run("the path that is checked is the path that is served", func(t *testing.T) { ambiguous(t, v, o, backend) })
			t.Run("other methods are checked like GET", func(t *testing.T) { methods(t, e, v, o) })
			t.Run("a preflight is answered, and a denial can be read", func(t *testing.T) { crossOrigin(t, v, o) })
			t.Run("an unknown host is refused without a check", func(t *testing.T) { unknownHost(t, v, o, a) })
			t.Run("the check itself is out of reach", func(t *testing.T) { outOfReach(t, e, v, o) })
			if v.edge.accessLog != nil {
				t.Run("no log has the token", func(t *testing.T) { quietLogs(t, e, v, a) })
			}
			t.Run("without altagate nobody is let in", func(t *testing.T) { altagateAway(t, e, v, o, a) })
		})
	}
}

func tokens(t *testing.T, v viewer, o *origin) {
	for target, want := range map[string]int{
		"/live/index.m3u8?token=123":         200,
		"/live/1/seg.ts?a=1&token=123":       200,
		"/?token=1&token=123":                200, // PHP takes the last.
		"/live/index.m3u8?token=12":          403,
		"/live/index.m3u8?token=123&token=1": 403,
		"/live/index.m3u8?token[]=123":       403,
		"/live/index.m3u8":                   403,
		"/":                                  403,
	} {
		o.take()
		got := v.get(t, target)
		if got.status != want {
			t.Errorf("%s: status %d, want %d", target, got.status, want)
		}
		if reached := len(o.take()) > 0; reached != (want == 200) {
			t.Errorf("%s: reached the origin: %t", target, reached)
		}
		for name := range got.header {
			if strings.HasPrefix(name, "X-Altagate") || name == "X-Session-Id" || name == "X-User-Id" {
				t.Errorf("%s: the viewer sees %s", target, name)
			}
		}
	}
}

func fiveHeaders(t *testing.T, e edge, v viewer, backend *php) {
	v.from = "127.0.0.2"
	const agent = "Smart-TV/2.1 (\u00e9)"
	path := "/live/./caf%c3%a9%20tv/../caf%c3%a9%20hd/index.m3u8"
	if e.raw {
		path = "/live/caf%c3%a9%20hd/index.m3u8"
	}
	got := v.send(t, request{
		target: path + "?token=123&b=%zz&b=2+3",
		header: http.Header{"User-Agent": {agent}},
	})
	if got.status != 200 {
		t.Fatalf("status %d, want 200", got.status)
	}
	told := backend.told(t, agent)
	if id := told["X-Session-Id"]; len(id) < 16 {
		t.Errorf("X-Session-Id is %q, too short to be a random one", id)
	}
	delete(told, "X-Session-Id")
	want := map[string]string{
		"X-Real-Ip":     "127.0.0.2",
		"X-Real-Path":   "/live/caf%C3%A9%20hd/index.m3u8",
		"X-Real-Origin": "http://tv.example.com:" + rig.Port(v.edge.address),
		"X-Real-Ua":     agent,
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error("what the backend was told (-want +got):", diff)
	}
}

// forged is what a viewer could send in the hope that it counts.
var forged = http.Header{
	"X-Original-Uri":         {"/?token=123"},
	"X-Original-Url":         {"http://tv.example.com/?token=123"},
	"X-Original-Method":      {"HEAD"},
	"X-Forwarded-For":        {"192.0.2.66"},
	"X-Forwarded-Host":       {"forged.example.com"},
	"X-Forwarded-Proto":      {"https"},
	"X-Forwarded-Uri":        {"/?token=123"},
	"X-Real-Ip":              {"192.0.2.66"},
	"X-Real-Path":            {"/forged"},
	"X-Real-Origin":          {"https://forged.example.com"},
	"X-Real-Ua":              {"forged"},
	"Forwarded":              {"host=forged.example.com"},
	"X-Forwarded-Prefix":     {"/forged"},
	"X-Rewrite-Url":          {"/forged"},
	"X-Http-Method-Override": {"DELETE"},
	"X-Session-Id":           {"forged"},
	"X-Session-Name":         {"forged"},
	"X_Session_Id":           {"forged"},
	"X.Session.Id":           {"forged"},
	"X-Session_Id":           {"forged"},
	"X_Altagate_Decision":    {"forged"},
	"X-User-Id":              {"forged"},
	"X-Altagate-Decision":    {"forged"},
	"X-Altagate-Reason":      {"forged"},
	"X-Altagate-Id":          {"forged"},
	"X-Envoy-Original-Path": {
		"/?token=123",
	},
	"User-Agent": {"forger"},
}

func forgedHeaders(t *testing.T, v viewer, o *origin, backend *php) {
	forgedCheck(t, v, o, backend)
	forgedNames(t, o)
	for _, name := range []string{"Forwarded", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override"} {
		if reached := o.lastHeader()[name]; slices.ContainsFunc(reached, func(v string) bool { return slices.Contains(forged[name], v) }) {
			t.Errorf("the origin got the viewer's own %s: %q", name, reached)
		}
	}
}

// forgedCheck asks with what a viewer could send in the hope that the check is read
// from it.
func forgedCheck(t *testing.T, v viewer, o *origin, backend *php) {
	t.Helper()
	if got := v.send(t, request{target: "/y", header: forged}); got.status != 403 {
		t.Errorf("without the token: status %d, want 403", got.status)
	}
	o.take()
	withToken := forged.Clone()
	withToken.Set("User-Agent", "forger at /x")
	if got := v.send(t, request{target: "/x?token=123", header: withToken}); got.status != 200 {
		t.Fatalf("with the token: status %d, want 200", got.status)
	}
	told := backend.told(t, "forger at /x")
	if told["X-Session-Id"] == "forged" {
		t.Error("the backend was told the viewer's X-Session-Id")
	}
	delete(told, "X-Session-Id")
	if diff := cmp.Diff(asForged(v), told); diff != "" {
		t.Error("what the backend was told (-want +got):", diff)
	}
}

func ambiguous(t *testing.T, v viewer, o *origin, backend *php) {
	for _, target := range []string{
		"/free%2f..%2flive/x", "/a/%2e%2e/x", "/a/..;/x", "/a%5c..%5cx", "/a\\..\\x", "/a%00", "/a%0ax",
		"/a//x", "/a/./x", "/a/../x", "/a//../x", "/a/..//x", "/../x", "/a%252e%252e/x", "/a%252f/x", "/%41%2d", "/a;b/x",
		"/live/%zz", "/a%", "/a%2", "/a%2x/b", "/%zz/a%2d",
	} {
		o.take()
		got := v.send(t, request{target: target + "?token=123", header: http.Header{"User-Agent": {"of " + target}}})
		if got.status >= 500 {
			t.Errorf("%s: status %d, want a decision", target, got.status)
		}
		reached := o.take()
		if (got.status == 200) != (len(reached) == 1) {
			t.Errorf("%s: status %d, and the origin was asked %d times", target, got.status, len(reached))
		}
		if got.status != 200 || len(reached) != 1 {
			continue
		}
		path, _, _ := strings.Cut(reached[0].target, "?")
		served, err := url.PathUnescape(path)
		if err != nil {
			t.Fatal(err)
		}
		told := backend.told(t, "of "+target)["X-Real-Path"]
		if checked, err := url.PathUnescape(told); err != nil || checked != served {
			t.Errorf("%s: checked as %q, served as %q", target, told, path)
		}
	}
	// Go's client would not send it.
	o.take()
	got := raw(t, v, "GET /x?token=123 HTTP/1.1\r\nHost: tv.example.com\r\nUser-Agent: a\x01b\r\n\r\n")
	if got == 200 || got >= 500 || len(o.take()) > 0 {
		t.Errorf("a control byte in the User-Agent: status %d, want a refusal", got)
	}
}

func methods(t *testing.T, e edge, v viewer, o *origin) {
	body := strings.Repeat("x", 300<<10)
	for _, method := range []string{"HEAD", "POST", "OPTIONS"} {
		o.take()
		want := 200
		if strings.HasSuffix(e.file, "hls-edge.conf") && method != "HEAD" {
			want = 405 // A cache has no use for it.
		}
		r := request{method: method, target: "/x?token=123"}
		if method == "POST" {
			r.body = strings.NewReader(body)
		}
		if got := v.send(t, r); got.status != want {
			t.Errorf("%s with the token: status %d, want %d", method, got.status, want)
		}
		asked := o.take()
		if want == 200 && (len(asked) != 1 || asked[0].method != method) {
			t.Errorf("%s: the origin was asked %v", method, asked)
		}
		if method == "POST" && want == 200 && len(asked) == 1 && asked[0].body != body {
			t.Errorf("POST: the origin got %d bytes of %d", len(asked[0].body), len(body))
		}
		if want == 200 {
			want = 403
		}
		// In full for all of them, though not every proxy reads what it denies.
		denied := fmt.Sprintf("%s /x?token=1 HTTP/1.1\r\nHost: tv.example.com:%s\r\nUser-Agent: a\r\n", method, rig.Port(v.edge.address))
		if method == "POST" {
			denied += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
		} else {
			denied += "\r\n"
		}
		if got := raw(t, v, denied); got != want {
			t.Errorf("%s with another token: status %d, want %d", method, got, want)
		}
		if asked := o.take(); len(asked) > 0 {
			t.Errorf("%s with another token reached the origin", method)
		}
	}
}

func crossOrigin(t *testing.T, v viewer, o *origin) {
	o.take()
	page := http.Header{"Origin": {"https://player.example.com"}}
	asks := page.Clone()
	asks.Set("Access-Control-Request-Method", "GET")
	asks.Set("Access-Control-Request-Headers", "range")
	preflight := v.send(t, request{method: "OPTIONS", target: "/live/index.m3u8", header: asks})
	if preflight.status != 200 && preflight.status != 204 {
		t.Errorf("the preflight: status %d, want success", preflight.status)
	}
	if got := preflight.header.Get("Access-Control-Allow-Methods"); !strings.Contains(got, "GET") {
		t.Errorf("the preflight allows methods %q, want GET", got)
	}
	if got := preflight.header.Get("Access-Control-Allow-Headers"); !strings.Contains(got, "Range") {
		t.Errorf("the preflight allows headers %q, want Range", got)
	}
	if asked := o.take(); len(asked) > 0 {
		t.Error("the preflight reached the origin")
	}
	for target, want := range map[string]int{"/live/index.m3u8": 403, "/live/index.m3u8?token=123": 200} {
		got := v.send(t, request{target: target, header: page})
		allowed := got.header.Values("Access-Control-Allow-Origin")
		if got.status != want || len(allowed) != 1 {
			t.Errorf("%s: status %d, Access-Control-Allow-Origin %q, want %d and one", target, got.status, allowed, want)
		}
	}
}

func unknownHost(t *testing.T, v viewer, o *origin, a *altagate) {
	o.take()
	before := a.metric(t, "altagate_checks_total")
	got := v.send(t, request{host: "other.example.com", target: "/x?token=123"})
	if got.status != 404 && got.status != 421 {
		t.Errorf("status %d, want 404 or 421", got.status)
	}
	if len(o.take()) > 0 || a.metric(t, "altagate_checks_total") != before {
		t.Error("there was a check, or the origin was reached")
	}
}

func outOfReach(t *testing.T, e edge, v viewer, o *origin) {
	o.take()
	for _, target := range []string{"/_altagate", "/%5faltagate", "/x/../_altagate", "/auth/nginx", "/auth/haproxy", "/auth/caddy", "/auth/traefik"} {
		if got := v.get(t, target); got.status != 404 && got.status != 403 && (!e.raw || got.status != 400) {
			t.Errorf("%s: status %d, want 404 or a denial", target, got.status)
		}
	}
	if len(o.take()) > 0 {
		t.Error("the origin was reached")
	}
}

func quietLogs(t *testing.T, e edge, v viewer, a *altagate) {
	v.get(t, "/live/index.m3u8?token=s3cret&token=123")
	v.get(t, "/live/index.m3u8?token=s3cret")
	v.get(t, "/live/other;token=s3cret")
	v.send(t, request{host: "192.0.2.1", target: "/live/index.m3u8?token=s3cret"})
	rig.Until(t, "both requests in the access log", func() bool { return strings.Count(v.edge.accessLog(), "GET /live/index.m3u8") >= 2 })
	rig.Until(t, "the third request in the access log", func() bool { return strings.Contains(v.edge.accessLog(), "GET /live/other") })
	logs := v.edge.accessLog()
	if strings.HasPrefix(e.file, "envoy/") {
		logs = strings.ReplaceAll(logs, "/live/other;token=s3cret", "") // Envoy has no way to cut it.
	} else if strings.HasPrefix(e.file, "nginx/") {
		logs += v.edge.defaultLog(t)
	}
	if strings.Contains(logs, "s3cret") {
		t.Error("the proxy's access log has the token")
	}
	if !e.noReason && !strings.Contains(v.edge.accessLog(), "reason=backend") {
		t.Error("the proxy's access log has no reason")
	}
	if strings.Contains(a.Log(t), "s3cret") {
		t.Error("altagate's log has the token")
	}
}

// altagateAway ends altagate.
func altagateAway(t *testing.T, e edge, v viewer, o *origin, a *altagate) {
	a.Stop(t)
	if e.cached { // Who was allowed a moment ago is, a moment longer.
		rig.Until(t, "nginx to ask", func() bool { return v.get(t, "/live/index.m3u8?token=123").status == e.closed })
	}
	o.take()
	if got := v.get(t, "/live/index.m3u8?token=123"); got.status != e.closed {
		t.Errorf("status %d, want %d", got.status, e.closed)
	}
	if asked := o.take(); len(asked) > 0 {
		t.Error("the origin was reached")
	}
}

package frontend_test

import (
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/check"
)

func TestEnvoyAsksInItsRequestLine(t *testing.T) {
	const target = "/live/a.m3u8?token=1&token=2"
	tests := []struct {
		name   string
		head   []string
		edit   func(*check.Request)
		reason check.Reason
	}{
		{name: "as shipped", head: envoyHead("GET", target)},
		{name: "a HEAD", head: envoyHead("HEAD", target), edit: func(r *check.Request) { r.Method = "HEAD" }},
		{name: "a preflight", head: envoyHead("OPTIONS", target), edit: func(r *check.Request) { r.Method = "OPTIONS" }},
		{name: "an upload", head: envoyHead("POST", target), edit: func(r *check.Request) { r.Method = "POST" }},
		{
			name: "a path that looks like a proxy's", head: envoyHead("GET", "/../nginx//x/./y"),
			reason: check.Malformed,
		},
		{name: "repeated slashes", head: envoyHead("GET", "//evil.example///x"), edit: func(r *check.Request) {
			r.Path, r.Query = "/evil.example/x", ""
		}},
		{name: "dot segments", head: envoyHead("GET", "/a/../auth/nginx"), edit: func(r *check.Request) {
			r.Path, r.Query = "/auth/nginx", ""
		}},
		{
			name: "other proxies' headers are not read",
			head: envoyHead("GET", target, "X-Original-URI: /free", "X-Original-Method: PUT", "X-Forwarded-Host: free.example.com",
				"X-Forwarded-For: 203.0.113.9", "X-Envoy-External-Address: 203.0.113.9", "X-Forwarded-Uri: /free"),
		},
		{name: "no scheme", head: envoyHead("GET", target, "-X-Forwarded-Proto"), reason: check.BadCheck},
		{name: "no address", head: envoyHead("GET", target, "-X-Real-IP"), reason: check.BadCheck},
		{
			name: "no address beside a list", reason: check.BadCheck,
			head: envoyHead("GET", target, "-X-Real-IP", "X-Forwarded-For: 203.0.113.9"),
		},
		{name: "an address twice", head: append(envoyHead("GET", target), "x-real-ip: 192.0.2.1"), reason: check.BadCheck},
		{name: "a scheme twice", head: append(envoyHead("GET", target), "x-forwarded-proto: https"), reason: check.BadCheck},
		{name: "no host", head: envoyHead("GET", target, "Host:"), reason: check.BadCheck},
		{name: "no target", head: envoyHead("GET", ""), reason: check.BadCheck},
		{name: "a target without a slash", head: envoyHead("GET", "?token=1"), reason: check.Malformed},
		{name: "an asterisk", head: envoyHead("OPTIONS", "*"), reason: check.Malformed},
		{name: "an escaped slash", head: envoyHead("GET", "/a%2Fb"), reason: check.Malformed},
		{
			name: "cookies", head: append(envoyHead("GET", target), "Cookie: altagate_id=v1.a; altagate_id=v1.b"),
			edit: func(r *check.Request) { r.IDs = [check.MaxIDs]string{"v1.a", "v1.b"} },
		},
		{name: "two user agents", head: append(envoyHead("GET", target), "user-agent: b"), reason: check.Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &desk{decision: check.Decision{Allow: true, Reason: check.Backend}}
			c := dial(t, serve(t, d.config()))
			c.send(tt.head...)
			head := c.head()
			if tt.reason != "" {
				mustBeRefused(t, d, head, tt.reason)
				return
			}
			want := want("envoy")
			if tt.edit != nil {
				tt.edit(&want)
			}
			mustBeAsked(t, d, head, want)
		})
	}
}

func TestEnvoyIsToldTheFieldsOnAnAllowAlone(t *testing.T) {
	told := check.Outcome{Verdict: check.Allowed, Session: "asked under", User: "42", SessionName: "film"}
	deny := "\r\nContent-Length: 0\r\n\r\n"
	tests := []struct {
		name     string
		decision check.Decision
		want     string
	}{
		{"an allow", check.Decision{Allow: true, Reason: check.Backend, Session: "abc", Outcome: told}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" +
			"X-Altagate-Decision: allow\r\nX-Altagate-Reason: backend\r\nX-Envoy-Auth-Headers-To-Remove: x-altagate-id\r\n" +
			"X-Session-Id: abc\r\nX-Session-Name: film\r\nX-User-Id: 42\r\n\r\n"},
		{"an allow with an id to hand on", check.Decision{Allow: true, Reason: check.Session, Session: "abc", ID: "v1.a-_.b"},
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" +
				"X-Altagate-Decision: allow\r\nX-Altagate-Id: v1.a-_.b\r\nX-Altagate-Reason: session\r\n" +
				"X-Envoy-Auth-Headers-To-Remove: x-user-id,x-session-name\r\nX-Session-Id: abc\r\n\r\n"},
		{"an allow by default", check.Decision{Allow: true, Reason: check.Default}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" +
			"X-Altagate-Decision: allow\r\nX-Altagate-Reason: default\r\n" +
			"X-Envoy-Auth-Headers-To-Remove: x-session-id,x-user-id,x-session-name,x-altagate-id\r\n\r\n"},
		{"a denial", check.Decision{Reason: check.Backend, Session: "abc", ID: "v1.a.b", Outcome: told}, "HTTP/1.1 403 Forbidden" + deny},
		{"a denial with a status", check.Decision{Reason: check.Backend, Status: 404}, "HTTP/1.1 404 Not Found" + deny},
		{"a status that would be Envoy's own failure", check.Decision{Reason: check.Late, Status: 503}, "HTTP/1.1 403 Forbidden" + deny},
		{"a status that would be an allow", check.Decision{Reason: check.Backend, Status: 200}, "HTTP/1.1 403 Forbidden" + deny},
		{"the zero decision", check.Decision{}, "HTTP/1.1 403 Forbidden" + deny},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &desk{decision: tt.decision}
			c := dial(t, serve(t, d.config()))
			for _, method := range []string{"GET", "HEAD", "POST"} {
				c.send(envoyHead(method, "/live/a.m3u8")...)
				if got := c.head(); got != tt.want {
					t.Errorf("%s:\ngot  %q\nwant %q", method, got, tt.want)
				}
			}
		})
	}
}

// Every reason, whatever status the policy chose, must reach Envoy as what it
// is: exactly 200 allows, and 5xx would be its own failure mode.
func TestNoDenialReachesEnvoyAsSomethingElse(t *testing.T) {
	reasons := []check.Reason{"", check.Backend, check.Default, check.Malformed, check.NoRoute,
		check.BadCheck, check.Overload, check.Late, check.Unanswered, check.Limit}
	for _, reason := range reasons {
		for _, status := range []int{-1, 0, 1, 200, 204, 302, 399, 400, 403, 451, 499, 500, 503, 600, 1000} {
			d := &desk{decision: check.Decision{Reason: reason, Status: status}}
			c := dial(t, serve(t, d.config()))
			c.send(envoyHead("GET", "/")...)
			if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 4") || strings.Contains(head, "Altagate") {
				t.Errorf("%q with status %d: %q", reason, status, head)
			}
		}
	}
}

package frontend_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
)

func TestNginxAsksInItsOwnHeaders(t *testing.T) {
	tests := []struct {
		name   string
		head   []string
		edit   func(*check.Request)
		reason check.Reason
	}{
		{name: "as shipped", head: nginxHead("/auth/nginx")},
		{
			name: "with a route", head: nginxHead("/auth/nginx/vod_1.x-Y"),
			edit: func(r *check.Request) { r.Route = "vod_1.x-Y" },
		},
		{
			name: "without a user agent", head: nginxHead("/auth/nginx", "-User-Agent"),
			edit: func(r *check.Request) { r.UserAgent = "" },
		},
		{
			name: "the connection header hides nothing",
			head: nginxHead("/auth/nginx", "Connection: X-Original-URI, X-Real-IP"),
		},
		{
			name: "aliases and other proxies' headers are not read",
			head: nginxHead("/auth/nginx", "X_Original_URI: /free", "X.Original.URI: /free", "X-Original-URL: http://h/free",
				"X-Forwarded-Uri: /free", "X-Forwarded-Method: PUT", "X-Forwarded-For: 203.0.113.9",
				"X-Real-Path: /free", "X-Envoy-External-Address: 203.0.113.9", "Forwarded: for=203.0.113.9"),
		},
		{
			name: "an alias does not stand in", head: nginxHead("/auth/nginx", "-X-Original-URI", "X_Original_URI: /free"),
			reason: check.BadCheck,
		},
		{name: "no target", head: nginxHead("/auth/nginx", "-X-Original-URI"), reason: check.BadCheck},
		{name: "no method", head: nginxHead("/auth/nginx", "-X-Original-Method"), reason: check.BadCheck},
		{name: "no scheme", head: nginxHead("/auth/nginx", "-X-Forwarded-Proto"), reason: check.BadCheck},
		{name: "no host", head: nginxHead("/auth/nginx", "-X-Forwarded-Host"), reason: check.BadCheck},
		{name: "no address", head: nginxHead("/auth/nginx", "-X-Real-IP"), reason: check.BadCheck},
		{name: "an empty target", head: nginxHead("/auth/nginx", "X-Original-URI:"), reason: check.BadCheck},
		{
			name: "cookies in two lines",
			head: append(nginxHead("/auth/nginx"), "Cookie: a=b; altagate_id=v1.a", "cookie: altagate_id=v1.b"),
			edit: func(r *check.Request) { r.IDs = [check.MaxIDs]string{"v1.a", "v1.b"} },
		},
		{name: "two user agents", head: append(nginxHead("/auth/nginx"), "user-agent: b"), reason: check.Malformed},
		{name: "a target cut at #", head: nginxHead("/auth/nginx", "X-Original-URI: /a#b"), reason: check.Malformed},
		{name: "a raw UTF-8 target", head: nginxHead("/auth/nginx", "X-Original-URI: /é"), edit: func(r *check.Request) {
			r.Path, r.Query = "/%C3%A9", ""
		}},
		{name: "an unknown deeper path", head: nginxHead("/auth/nginx/a/b"), reason: check.BadCheck},
		{name: "a path cleaned by nobody", head: nginxHead("/auth/nginx//"), reason: check.BadCheck},
		{name: "a route with an escape", head: nginxHead("/auth/nginx/%61"), reason: check.BadCheck},
		{name: "a query", head: nginxHead("/auth/nginx?a"), reason: check.BadCheck},
		{name: "a longer name", head: nginxHead("/auth/nginxx"), reason: check.BadCheck},
		{name: "a final slash", head: nginxHead("/auth/nginx/"), reason: check.BadCheck},
	}
	for _, name := range []string{"X-Original-URI: /live/a", "X-Original-Method: GET", "X-Forwarded-Proto: https",
		"X-Forwarded-Host: h", "X-Real-IP: 192.0.2.1"} {
		tests = append(tests, struct {
			name   string
			head   []string
			edit   func(*check.Request)
			reason check.Reason
		}{name: "twice " + name, head: append(nginxHead("/auth/nginx"), name), reason: check.BadCheck})
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
			want := want("nginx")
			if tt.edit != nil {
				tt.edit(&want)
			}
			mustBeAsked(t, d, head, want)
		})
	}
}

// mustBeRefused fails unless one check was denied for the reason without being
// asked, and recorded once.
func mustBeRefused(t *testing.T, d *desk, head string, reason check.Reason) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !strings.HasPrefix(head, "HTTP/1.1 403 ") || len(d.asked) != 0 {
		t.Errorf("asked %d times, answer %q", len(d.asked), head)
	}
	if len(d.recorded) != 1 || d.recorded[0].Decision.Reason != reason || d.recorded[0].Request.Proxy == "" {
		t.Errorf("recorded %+v, want one %s", d.recorded, reason)
	}
}

// mustBeAsked fails unless one check was allowed, asked as wanted, and recorded
// once.
func mustBeAsked(t *testing.T, d *desk, head string, want check.Request) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Errorf("answer %q", head)
	}
	if diff := cmp.Diff([]check.Request{want}, d.asked, sameRequest); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]recorded{{want, d.decision}}, d.recorded, sameRequest); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

func TestNginxGetsAnEmptyAnswerOnAKeptConnection(t *testing.T) {
	allowed := check.Outcome{Verdict: check.Allowed, Session: "asked under", User: "42", SessionName: "film"}
	tests := []struct {
		name     string
		decision check.Decision
		want     string
	}{
		{"an allow", check.Decision{Allow: true, Reason: check.Backend, Session: "abc", Outcome: allowed}, "HTTP/1.1 200 OK\r\n" +
			"Content-Length: 0\r\nX-Altagate-Decision: allow\r\nX-Altagate-Reason: backend\r\n" +
			"X-Session-Id: abc\r\nX-Session-Name: film\r\nX-User-Id: 42\r\n\r\n"},
		{"an allow with an id to hand on", check.Decision{Allow: true, Reason: check.Session, Session: "abc", ID: "v1.a-_.b", Outcome: allowed},
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Altagate-Decision: allow\r\nX-Altagate-Id: v1.a-_.b\r\n" +
				"X-Altagate-Reason: session\r\nX-Session-Id: abc\r\nX-Session-Name: film\r\nX-User-Id: 42\r\n\r\n"},
		{"an allow that opened no session", check.Decision{Allow: true, Reason: check.Default,
			Outcome: check.Outcome{Session: "asked under"}}, "HTTP/1.1 200 OK\r\n" +
			"Content-Length: 0\r\nX-Altagate-Decision: allow\r\nX-Altagate-Reason: default\r\n\r\n"},
		{"a denial", check.Decision{Reason: check.Backend, Status: 404, Session: "abc", ID: "v1.a.b"},
			"HTTP/1.1 403 Forbidden\r\n" +
				"Content-Length: 0\r\nX-Altagate-Decision: deny\r\nX-Altagate-Reason: backend\r\n\r\n"},
		{"being busy", check.Decision{Reason: check.Late, Status: 503}, "HTTP/1.1 403 Forbidden\r\n" +
			"Content-Length: 0\r\nX-Altagate-Decision: deny\r\nX-Altagate-Reason: late\r\n\r\n"},
		{"the zero decision", check.Decision{}, "HTTP/1.1 403 Forbidden\r\n" +
			"Content-Length: 0\r\nX-Altagate-Decision: deny\r\n\r\n"},
		{"an allow of a session that may be repeated", check.Decision{Allow: true, Reason: check.Session, Session: "abc", Cache: 2 * time.Second},
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Accel-Expires: 1\r\nX-Altagate-Decision: allow\r\nX-Altagate-Reason: session\r\nX-Session-Id: abc\r\n\r\n"},
		{"values that no header carries", check.Decision{Allow: true, Reason: check.Backend, Session: "a\r\nX-Evil: 1", ID: "a\n", Outcome: check.Outcome{
			User: "\xff", SessionName: strings.Repeat("x", 1025)}}, "HTTP/1.1 200 OK\r\n" +
			"Content-Length: 0\r\nX-Altagate-Decision: allow\r\nX-Altagate-Reason: backend\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &desk{decision: tt.decision}
			c := dial(t, serve(t, d.config()))
			for range 3 {
				c.send(nginxHead("/auth/nginx")...)
				if got := c.head(); got != tt.want {
					t.Fatalf("got  %q\nwant %q", got, tt.want)
				}
			}
		})
	}
}

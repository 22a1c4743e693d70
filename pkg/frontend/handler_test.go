package frontend_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
	"github.com/altagate/altagate/pkg/viewer"
)

func TestAnUnknownPathIsABadCheckAndNeverARedirect(t *testing.T) {
	for _, path := range []string{"/", "/auth", "/auth/", "//auth/nginx", "/auth/./nginx", "/auth/x/../nginx", "/AUTH/nginx",
		"/auth/%6eginx", "/metrics", "/healthz", "http://altagate/auth/nginx", "/auth/apisix", "/auth/ingress"} {
		t.Run(path, func(t *testing.T) {
			d := &desk{decision: check.Decision{Allow: true}}
			c := dial(t, serve(t, d.config()))
			c.send(nginxHead(path)...)
			head := c.head()
			want := "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n" +
				"X-Altagate-Decision: deny\r\nX-Altagate-Reason: bad-check\r\n\r\n"
			if head != want {
				t.Errorf("got %q", head)
			}
			mustBeRefused(t, d, head, check.BadCheck)
		})
	}
}

func TestACallerThatMayNotAskIsRefusedUnread(t *testing.T) {
	for _, send := range [][]string{nginxHead("/auth/nginx"), envoyHead("GET", "/")} {
		d := &desk{decision: check.Decision{Allow: true}, refuse: true}
		c := dial(t, serve(t, d.config()))
		c.send(send...)
		mustBeRefused(t, d, c.head(), check.BadCheck)
		if got := d.recorded[0].Request; got != (check.Request{Proxy: got.Proxy}) {
			t.Errorf("believed %+v", got)
		}
	}
}

func TestAConfigWithoutCallersLetsNobodyAsk(t *testing.T) {
	d := &desk{decision: check.Decision{Allow: true}}
	config := d.config()
	config.May = nil
	c := dial(t, serve(t, config))
	c.send(nginxHead("/auth/nginx")...)
	mustBeRefused(t, d, c.head(), check.BadCheck)
}

func TestTheCallerIsTheOtherEndOfTheConnection(t *testing.T) {
	config := (&desk{decision: check.Decision{Allow: true}}).config()
	config.May = viewer.NewCallers(nil).May
	h := frontend.Handler(config)
	unix := context.WithValue(t.Context(), http.LocalAddrContextKey, &net.UnixAddr{Name: "/run/a.sock", Net: "unix"})
	tests := []struct {
		name, remote string
		ctx          context.Context
		want         int
	}{
		{"loopback", "127.0.0.1:5", t.Context(), 200},
		{"IPv6 loopback", "[::1]:5", t.Context(), 200},
		{"elsewhere", "192.0.2.7:5", t.Context(), 403},
		{"elsewhere with a zone", "[fe80::1%eth0]:5", t.Context(), 403},
		{"nothing", "", t.Context(), 403},
		{"what is no address", "@", t.Context(), 403},
		{"a Unix socket", "@", unix, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(tt.ctx, http.MethodGet, "/auth/envoy/", nil)
			r.RemoteAddr = tt.remote
			r.Header = http.Header{"X-Forwarded-Proto": {"http"}, "X-Real-Ip": {"192.0.2.1"}}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d", w.Code, tt.want)
			}
		})
	}
}

func TestAUnixSocketIsServed(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{decision: check.Decision{Allow: true, Reason: check.Backend}}
	config := d.config()
	config.May = viewer.NewCallers(nil).May
	c := dial(t, serveOn(t, l, config))
	c.send(nginxHead("/auth/nginx")...)
	mustBeAsked(t, d, c.head(), want("nginx"))
}

// A proxy that passes on the viewer's Content-Length sends no body behind it.
// Without care net/http waits for one before it answers.
func TestABodyThatNeverComesHoldsNoAnswerUp(t *testing.T) {
	tests := []struct {
		name string
		head []string
	}{
		{"nginx with a length", nginxHead("/auth/nginx", "Content-Length: 100")},
		{"Envoy with a length", envoyHead("POST", "/", "Content-Length: 100")},
		{"a length as big as net/http drains", envoyHead("POST", "/", "Content-Length: 262144")},
		{"a bigger one", envoyHead("POST", "/", "Content-Length: 1000000000")},
		{"chunks", envoyHead("POST", "/", "-Content-Length", "Transfer-Encoding: chunked")},
		{"a body that is waited for", envoyHead("POST", "/", "Content-Length: 100", "Expect: 100-continue")},
		{"an unknown path", []string{"POST /x HTTP/1.1", "Host: h", "Content-Length: 100"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &desk{decision: check.Decision{Reason: check.Backend}}
			c := dial(t, serve(t, d.config()))
			c.send(tt.head...)
			head := c.head()
			if !strings.HasPrefix(head, "HTTP/1.1 403 ") || !strings.Contains(head, "\r\nContent-Length: 0\r\n") {
				t.Errorf("answer %q", head)
			}
			if !strings.Contains(head, "\r\nConnection: close\r\n") {
				t.Errorf("answer %q keeps the connection", head)
			}
		})
	}
}

func TestAConnectionWhoseBodyNeverComesIsClosed(t *testing.T) {
	d := &desk{decision: check.Decision{Reason: check.Backend}}
	c := dial(t, serve(t, d.config()))
	c.send(nginxHead("/auth/nginx", "Content-Length: 100")...)
	c.head()
	if rest, err := io.ReadAll(c.in); len(rest) != 0 || err != nil {
		t.Errorf("after the answer came %q, %v; want the end", rest, err)
	}
}

func TestABodySentAfterTheAnswerDoesNotBreakIt(t *testing.T) {
	d := &desk{decision: check.Decision{Reason: check.Backend}}
	c := dial(t, serve(t, d.config()))
	c.send(envoyHead("POST", "/", "Content-Length: 1000")...)
	if _, err := io.WriteString(c, strings.Repeat("x", 1000)); err != nil {
		t.Fatal(err)
	}
	if head := c.head(); !strings.Contains(head, "\r\nConnection: close\r\n") {
		t.Errorf("answer %q", head)
	}
	if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection ended with %v", err)
	}
}

func TestTheCheckerGetsTheCallersDeadline(t *testing.T) {
	const header = "X-Envoy-Expected-Rq-Timeout-Ms: "
	tests := []struct {
		name string
		head []string
		want time.Duration
	}{
		{"Envoy states it", envoyHead("GET", "/", header+"200"), 200 * time.Millisecond},
		{"Envoy waits for seconds", envoyHead("GET", "/", header+"8000"), 8 * time.Second},
		{"Envoy does not", envoyHead("GET", "/", "-X-Envoy-Expected-Rq-Timeout-Ms"), 5 * time.Second},
		{"unreadable", envoyHead("GET", "/", header+"1s"), 5 * time.Second},
		{"longer than any check takes", envoyHead("GET", "/", header+"60000"), frontend.MaxWait},
		{"negative", envoyHead("GET", "/", header+"-1"), 5 * time.Second},
		{"none", envoyHead("GET", "/", header+"0"), 5 * time.Second},
		{"absurd", envoyHead("GET", "/", header+"99999999999999999999"), 5 * time.Second},
		{"twice", append(envoyHead("GET", "/", header+"1"), header+"2"), 5 * time.Second},
		{"not nginx's header", nginxHead("/auth/nginx", header+"1"), 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan time.Time, 1)
			config := (&desk{}).config()
			config.Checker = checker(func(ctx context.Context, _ *check.Request) check.Decision {
				deadline, _ := ctx.Deadline()
				got <- deadline
				return check.Decision{}
			})
			c := dial(t, serve(t, config))
			before := time.Now()
			c.send(tt.head...)
			c.head()
			after := time.Now()
			deadline := <-got
			if deadline.Before(before.Add(tt.want)) || deadline.After(after.Add(tt.want)) {
				t.Errorf("deadline is %v after the check was sent, want %v", deadline.Sub(before), tt.want)
			}
		})
	}
}

func TestACallerThatLeavesEndsTheContext(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan error, 1)
	config := (&desk{}).config()
	config.Checker = checker(func(ctx context.Context, _ *check.Request) check.Decision {
		close(asked)
		<-ctx.Done()
		ended <- ctx.Err()
		return check.Decision{}
	})
	c := dial(t, serve(t, config))
	c.send(nginxHead("/auth/nginx")...)
	<-asked
	_ = c.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("context ended with %v", err)
	}
}

// FuzzHandler asks for any path with any target and address: whatever comes,
// there is a complete answer of one form, and one record.
func FuzzHandler(f *testing.F) {
	f.Add("GET", "/auth/nginx", "/a?b", "192.0.2.1", "ua")
	f.Add("POST", "/auth/envoy/../%2e%2e//x?y", "", "::1", "")
	f.Add("GET", "/auth/nginx/vod", "/%", "fe80::1%e", "\xff")
	f.Add("OPTIONS", "*", "", "", "")
	f.Add("GET", "/auth/traefik", "/a", "203.0.113.9, 192.0.2.1", "ua")
	f.Add("GET", "/auth/caddy/vod?token=1", "/a?token=1", "10.0.0.1,,::ffff:10.0.0.1", "ua")
	f.Add("GET", "/auth/haproxy", "/a;b", "192.0.2.1", "ua")
	f.Add("GET", "/auth/ingress-nginx", "?x=/a", "192.0.2.1", "ua")
	f.Fuzz(func(t *testing.T, method, uri, target, address, agent string) {
		d := &desk{decision: check.Decision{Allow: true, Reason: check.Backend}}
		r := &http.Request{Method: method, RequestURI: uri, Host: "tv.example.com", RemoteAddr: "127.0.0.1:1", Header: http.Header{
			"X-Original-Uri": {target}, "X-Original-Method": {method}, "X-Forwarded-Proto": {"http"},
			"X-Forwarded-Host": {"h"}, "X-Real-Ip": {address}, "User-Agent": {agent}, "X-Forwarded-Method": {method},
			"X-Forwarded-Uri": {target}, "X-Forwarded-For": {address}, "X-Original-Url": {"http://h" + target},
		}}
		w := httptest.NewRecorder()
		config := d.config()
		config.Trusts = func(_ *check.Request, a netip.Addr) bool { return a.IsPrivate() }
		frontend.Handler(config).ServeHTTP(w, r)
		allowed := len(d.asked) == 1
		if (w.Code == 200) != allowed || (w.Code != 200 && w.Code != 403) {
			t.Errorf("status %d, asked %d times", w.Code, len(d.asked))
		}
		if w.Body.Len() != 0 || w.Header().Get("Content-Length") != "0" || len(d.recorded) != 1 {
			t.Errorf("body %q, headers %v, recorded %d times", w.Body, w.Header(), len(d.recorded))
		}
		if allowed && (!strings.HasPrefix(d.asked[0].Path, "/") || !d.asked[0].Addr.IsValid()) {
			t.Errorf("asked %+v", d.asked[0])
		}
	})
}

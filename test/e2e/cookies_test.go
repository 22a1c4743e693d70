package e2e

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
	"github.com/altagate/altagate/pkg/frontend/extauthz"
	"github.com/altagate/altagate/test/rig"
)

// handout is one request of a viewer to whom altagate hands out "v1.new".
type handout struct{ name, target, cookie, want string }

func handouts() []handout {
	const life = "; Max-Age=86400; HttpOnly; SameSite=Lax"
	return []handout{
		{"a playlist", "/live/ch1/index.m3u8?token=1", "", "altagate_id=v1.new; Path=/live/ch1/" + life},
		{"a manifest", "/live/ch1/a.mpd", "", "altagate_id=v1.new; Path=/live/ch1/" + life},
		{"at the root", "/index.m3u8", "", "altagate_id=v1.new; Path=/" + life},
		{"a path as the player spells it", "/%D1%82%D0%B2/caf%c3%a9%20hd/index.m3u8", "", "altagate_id=v1.new; Path=/%D1%82%D0%B2/caf%c3%a9%20hd/" + life},
		{"a query like a path", "/live/ch1/index.m3u8?x=/a/b.m3u8", "", "altagate_id=v1.new; Path=/live/ch1/" + life},
		{"in place of an older one", "/live/ch1/index.m3u8", "altagate_id=v1.old", "altagate_id=v1.new; Path=/live/ch1/" + life},
		{"in place of one that it begins with", "/live/ch1/index.m3u8", "altagate_id=v1.newer; b=v1.new", "altagate_id=v1.new; Path=/live/ch1/" + life},

		{"who has it", "/live/ch1/index.m3u8", "a=b; altagate_id=v1.new", ""},
		{"who has it beside a nearer one", "/live/ch1/index.m3u8", "altagate_id=v1.old; a=b; altagate_id=v1.new", ""},
		{"a segment", "/live/ch1/1.ts", "", ""},
		{"a segment with a playlist in its query", "/live/ch1/1.ts?/index.m3u8", "", ""},
		{"a path that would add to the cookie", "/live/a;Domain=example.com/index.m3u8", "", ""},
		{"a name that would", "/live/a;b.m3u8", "", ""},
	}
}

// try sends the request, and compares the cookie that comes back.
func (h handout) try(t *testing.T, v viewer) {
	t.Helper()
	r := as("v1.new", h.target)
	if h.cookie != "" {
		r.header["Cookie"] = []string{h.cookie}
	}
	if got := handed(t, v, r); got != h.want {
		t.Errorf("%s: handed out %q, want %q", h.name, got, h.want)
	}
}

// TestEachShippedNginxHandsOutTheCookie has altagate hand out an id: the viewer
// gets it with a playlist, for its directory and below, once.
func TestEachShippedNginxHandsOutTheCookie(t *testing.T) {
	for _, file := range []string{"nginx/altagate.conf", "nginx/cached.conf", "nginx/hls-edge.conf", "nginx/rewrite.conf"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			g := startFakeGate(t)
			o := startOrigin(t)
			v := viewer{edge: g.edge(t, file, o.address)}
			for _, tt := range handouts() {
				tt.try(t, v)
			}
			if got := handed(t, v, request{target: "/live/ch1/index.m3u8"}); got != "" {
				t.Errorf("without an id of altagate's: handed out %q", got)
			}
			if got := handed(t, v, as("v1.new", "/live/ch1/index.m3u8?token=deny")); got != "" {
				t.Errorf("with a denial: handed out %q", got)
			}
		})
	}
}

// TestEachShippedNginxHandsOutTheCookieForOtherSitesOverTLS has nginx take the
// viewer's scheme for https, as behind what ends TLS.
func TestEachShippedNginxHandsOutTheCookieForOtherSitesOverTLS(t *testing.T) {
	for file, scheme := range map[string]rig.Swap{
		"nginx/altagate.conf": {`map "$scheme $altagate_new`, `map "https $altagate_new`},
		"nginx/cached.conf":   {`map "$scheme $altagate_cached_new`, `map "https $altagate_cached_new`},
		"nginx/hls-edge.conf": {`map "$scheme $altagate_hls_new`, `map "https $altagate_hls_new`},
		"nginx/rewrite.conf":  {`map "$scheme $altagate_rewrite_new`, `map "https $altagate_rewrite_new`},
	} {
		g := startFakeGate(t)
		v := viewer{edge: g.edge(t, file, startOrigin(t).address, scheme)}
		const want = "altagate_id=v1.new; Path=/live/ch1/; Max-Age=86400; HttpOnly; Secure; SameSite=None; Partitioned"
		if got := handed(t, v, as("v1.new", "/live/ch1/index.m3u8")); got != want {
			t.Errorf("%s: handed out %q, want %q", file, got, want)
		}
	}
}

// handed is the Set-Cookie of altagate's that a viewer got. An answer that has
// one must say that it is the viewer's alone.
func handed(t *testing.T, v viewer, r request) (cookie string) {
	t.Helper()
	got := v.send(t, r)
	for _, set := range got.header.Values("Set-Cookie") {
		if set == "origin=1" {
			continue
		}
		if cookie != "" {
			t.Errorf("%s: two cookies", r.target)
		}
		cookie = set
		if !strings.Contains(strings.Join(got.header.Values("Cache-Control"), ","), "private") {
			t.Errorf("%s: a cookie that caches may keep: %v", r.target, got.header)
		}
	}
	return cookie
}

// TestEachShippedNginxTellsAltagateOfNoOtherCookie sends cookies as browsers and
// others do.
func TestEachShippedNginxTellsAltagateOfNoOtherCookie(t *testing.T) {
	tests := map[string]string{
		"":                                "",
		"a=b; session=s3cret":             "",
		"altagate_id=v1.x":                "altagate_id=v1.x; altagate_id=",
		"a=b; altagate_id=v1.x; s=s3cret": "altagate_id=v1.x; altagate_id=",
		"altagate_id=v1.x; s=s3cret; altagate_id=v1.y":     "altagate_id=v1.x; altagate_id=v1.y",
		"altagate_id=v1.x;altagate_id=v1.y":                "altagate_id=v1.x; altagate_id=v1.y",
		`altagate_id="s3cret"; altagate_id=v1.y`:           "altagate_id=v1.y; altagate_id=",
		"xaltagate_id=s3cret; altagate_idx=s3cret":         "",
		"Altagate_Id=s3cret; s=altagate_id=s3cret":         "",
		"altagate_id=" + strings.Repeat("; a=s3cret", 600): "",
	}
	for _, file := range []string{"nginx/altagate.conf", "nginx/cached.conf", "nginx/hls-edge.conf", "nginx/rewrite.conf"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			g := startFakeGate(t)
			o := startOrigin(t)
			v := viewer{edge: g.edge(t, file, o.address)}
			for cookie, want := range tests {
				r := request{target: "/live/ch1/1.ts", header: http.Header{"Cookie": {cookie}}}
				if got := v.send(t, r); got.status != 200 {
					t.Errorf("%q: status %d", cookie, got.status)
				}
				if got := g.lastHeader().Get("Cookie"); got != want {
					t.Errorf("%.80q: altagate got %q, want %q", cookie, got, want)
				}
			}
			// Two lines are read together.
			raw(t, v, "GET /live/ch1/1.ts HTTP/1.1\r\nHost: tv.example.com:"+rig.Port(v.edge.address)+
				"\r\nCookie: a=b\r\nCookie: altagate_id=v1.x\r\n\r\n")
			if got := g.lastHeader().Get("Cookie"); got != "altagate_id=v1.x; altagate_id=" {
				t.Errorf("two lines: altagate got %q", got)
			}
		})
	}
}

// TestEachShippedEnvoyTellsAltagateOfTheCookie asks altagate's own frontends, with
// a checker that allows everything behind them.
func TestEachShippedEnvoyTellsAltagateOfTheCookie(t *testing.T) {
	c := &allower{}
	config := frontend.Config{Checker: c, May: func(net.Addr) bool { return true }}
	a := &altagate{http: listenHTTP(t, config), grpc: listenGRPC(t, config)}
	for _, file := range []string{"envoy/http.yaml", "envoy/grpc.yaml"} {
		o := startOrigin(t)
		v := viewer{edge: startEnvoy(t, edge{file: file}, a, o.address)}
		for cookie, want := range map[string][check.MaxIDs]string{
			"a=b":                             {},
			"a=b; altagate_id=v1.x-_; c=d":    {"v1.x-_"},
			"altagate_id=v1.x;altagate_id=v1": {"v1.x", "v1"},
		} {
			got := v.send(t, request{target: "/live/ch1/1.ts", header: http.Header{"Cookie": {cookie}}})
			if ids := c.last().IDs; got.status != 200 || ids != want {
				t.Errorf("%s, %q: status %d, ids %q, want %q", file, cookie, got.status, ids, want)
			}
			// To the origin it goes for itself, as the viewer's other cookies do.
			if id := o.lastHeader().Get("X-Altagate-Id"); id != "v1.new" {
				t.Errorf("%s: the origin got the id %q", file, id)
			}
			if set := got.header.Values("Set-Cookie"); len(set) != 1 || got.header.Get("X-Altagate-Id") != "" {
				t.Errorf("%s: the viewer sees %v", file, got.header)
			}
		}
		raw(t, v, "GET /live/ch1/1.ts HTTP/1.1\r\nHost: tv.example.com\r\nCookie: a=b\r\nCookie: altagate_id=v1.x\r\n\r\n")
		if ids := c.last().IDs; ids != [check.MaxIDs]string{"v1.x"} {
			t.Errorf("%s, two lines: ids %q", file, ids)
		}
	}
}

// TestEachShippedEnvoyHandsOutTheCookieByItsScript adds the filter that
// docs/envoy.md has to the shipped files.
func TestEachShippedEnvoyHandsOutTheCookieByItsScript(t *testing.T) {
	const router = "                  - name: envoy.filters.http.router\n"
	script := rig.Shipped(t, "envoy/altagate.lua", t.TempDir())
	filter := `                  - name: envoy.filters.http.lua
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
                      default_source_code: {filename: ` + script + `}
`
	config := frontend.Config{Checker: &allower{}, May: func(net.Addr) bool { return true }}
	a := &altagate{http: listenHTTP(t, config), grpc: listenGRPC(t, config)}
	for _, file := range []string{"envoy/http.yaml", "envoy/grpc.yaml"} {
		v := viewer{edge: startEnvoy(t, edge{file: file}, a, startOrigin(t).address, rig.Swap{router, filter + router})}
		for _, h := range handouts() {
			t.Run(file+"/"+h.name, func(t *testing.T) { h.try(t, v) })
		}
	}
}

// allower allows everything, with an id to hand on, and keeps the last check.
type allower struct {
	mu    sync.Mutex
	asked check.Request
}

func (a *allower) Check(_ context.Context, r *check.Request) check.Decision {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = *r
	return check.Decision{Allow: true, Reason: check.Session, Session: "abc", ID: "v1.new"}
}

func (a *allower) last() check.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

func listenHTTP(t *testing.T, c frontend.Config) string {
	t.Helper()
	server := httptest.NewServer(frontend.Handler(c))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func listenGRPC(t *testing.T, c frontend.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := extauthz.New(c, func(line string) { t.Log(line) })
	s.SetReady(true)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		// Envoy's health check watches it for ever.
		ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

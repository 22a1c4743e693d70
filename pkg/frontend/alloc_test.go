package frontend

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// joined is the decision of most checks.
type joined struct{}

func (joined) Check(ctx context.Context, _ *check.Request) check.Decision {
	ctx.Deadline()
	return check.Decision{
		Allow: true, Reason: check.Session, Route: "live", Session: "b2f7c9d0a1e34f5896a7b8c9d0e1f2a3", Cache: 5 * time.Second,
		Outcome: check.Outcome{User: "42"},
	}
}

// blank is a response of net/http's, without the network.
type blank struct{ header http.Header }

func (b blank) Header() http.Header         { return b.header }
func (b blank) WriteHeader(int)             {}
func (b blank) Write(p []byte) (int, error) { return len(p), nil }

// asked is a check as nginx sends it, and a handler for it.
func asked() (http.Handler, *http.Request, blank) {
	c := Config{
		Checker: joined{}, May: func(net.Addr) bool { return true },
		Record: func(*check.Request, check.Decision, time.Duration) {},
	}
	r := &http.Request{
		Method: http.MethodGet, RequestURI: "/auth/nginx", ProtoMajor: 1, Host: "altagate", RemoteAddr: "127.0.0.1:4711",
		Header: http.Header{
			"X-Original-Uri": {"/live/a/index.m3u8?token=1"}, "X-Original-Method": {"GET"}, "X-Forwarded-Proto": {"https"},
			"X-Forwarded-Host": {"tv.example.com:443"}, "X-Real-Ip": {"192.0.2.7"}, "User-Agent": {"player/1.0"},
		},
	}
	return Handler(c), r, blank{http.Header{}}
}

func TestACheckOverHTTPAllocatesLittle(t *testing.T) {
	h, r, w := asked()
	// The caller's address and its IP, the check's Request, its context, and the
	// values of the headers.
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > 6 {
		t.Errorf("%v allocations", n)
	}
	if got := w.header.Get("X-Session-Id"); got == "" || w.header.Get("X-Altagate-Reason") != "session" {
		t.Errorf("answer %v", w.header)
	}
}

func TestHeadersAreSpelledAsNetHTTPSpellsThem(t *testing.T) {
	for _, f := range Fields(&check.Decision{}) {
		if want := http.CanonicalHeaderKey(f.Lower); f.Header != want {
			t.Errorf("%s: net/http has %s", f.Header, want)
		}
	}
}

func BenchmarkCheckOverHTTP(b *testing.B) {
	h, r, w := asked()
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

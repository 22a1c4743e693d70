package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/gate"
	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/pkg/stream"
)

// size is what altagate's work costs, inside the process, at a number of something.
type size struct {
	what  string
	count int
	// nanoseconds are those of one joined check, in each round.
	nanoseconds []float64
	// bytes are those of the heap for each of what is counted; 0 if that is not told.
	bytes float64
	// pause is the longest pause of the garbage collection meanwhile.
	pause time.Duration
}

const (
	sizeRounds = 7
	// joinsARound is how many requests join sessions in one round, each of another
	// viewer.
	joinsARound = 200_000
)

// sizes measures how a joined check grows with sessions and with routes.
func (b *bench) sizes(t *testing.T) {
	t.Helper()
	for _, n := range []int{1, 1_000_000} {
		b.grown = append(b.grown, withSessions(t, n))
	}
	for _, n := range []int{1, 1000} {
		b.grown = append(b.grown, withRoutes(t, n))
	}
	for _, s := range b.grown {
		fmt.Fprintf(t.Output(), "%s\n", s)
	}
}

// String is a row of the page.
func (s size) String() string {
	bytes, pause := "", ""
	if s.bytes > 0 {
		bytes, pause = fmt.Sprintf("%.0f", s.bytes), s.pause.Round(time.Microsecond).String()
	}
	return fmt.Sprintf("| %d %s | %s | %s | %s |", s.count, s.what, spread(s.nanoseconds, 0), bytes, pause)
}

// viewing is a request of the n-th viewer.
func viewing(n int, target string) check.Request {
	path, query, _ := strings.Cut(target, "?")
	return check.Request{
		Proxy: "nginx", Method: http.MethodGet, Scheme: "https", Host: "tv.example.com", Path: path, Query: query,
		Addr: netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), UserAgent: "VLC/3.0.20 LibVLC/3.0.20",
	}
}

// withSessions measures the store of sessions alone, which is what grows.
func withSessions(t *testing.T, count int) size {
	t.Helper()
	layout, err := stream.Parse("auto", nil)
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	s, err := session.New(session.Config{Limit: 2 * count, Notify: func(check.Event) {}, Ask: func(*session.Question) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rules := &session.Rules{Route: "tv", Layout: layout, Join: session.Join{Token: true, Client: true}}
	for n := range count {
		r := viewing(n, fmt.Sprintf("/live/ch%d/index.m3u8?token=%d", n%100, n))
		o := check.Outcome{Verdict: check.Allowed, Backend: "portal", User: fmt.Sprint(n)}
		s.Settle(rules, &r, session.Joined{}, session.NewID(), check.Decision{Allow: true, Reason: check.Backend, Outcome: o})
	}
	result := size{what: "live sessions", count: count}
	if count > 1 {
		result.bytes = float64(heap()-before) / float64(count)
	}
	requests := make([]check.Request, 0, joinsARound)
	for range joinsARound {
		n := rand.IntN(count) //nolint:gosec // any viewer
		requests = append(requests, viewing(n, fmt.Sprintf("/live/ch%d/v720/seg-17.ts", n%100)))
	}
	result.nanoseconds = rounds(t, func(i int) bool { return s.Join(rules, &requests[i]).Decision.Allow })
	result.pause = longestPause()
	return result
}

// withRoutes measures a whole check, the frontend apart.
func withRoutes(t *testing.T, count int) size {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer backend.Close()
	var text strings.Builder
	fmt.Fprintf(&text, "backends: {portal: {url: '%s'}}\nroutes:\n", backend.URL)
	for n := range count {
		fmt.Fprintf(&text, "  - {name: r%d, match: {hosts: [tv.example.com], paths: [/live/%d/]}, backends: [portal]}\n", n, n)
	}
	cfg, err := config.Parse([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	g, err := gate.New(cfg, nil, func(check.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	requests := make([]check.Request, 0, count)
	for n := range count {
		r := viewing(n, fmt.Sprintf("/live/%d/ch/index.m3u8?token=%d", n, n))
		if d := g.Check(ctx, &r); !d.Allow {
			t.Fatalf("route %d: %+v", n, d)
		}
		requests = append(requests, r)
	}
	return size{what: "routes", count: count, nanoseconds: rounds(t, func(i int) bool { return g.Check(ctx, &requests[i%count]).Allow })}
}

// rounds has each request decided once in each round, and gives their nanoseconds.
func rounds(t *testing.T, joins func(i int) bool) (nanoseconds []float64) {
	t.Helper()
	for range sizeRounds {
		start := time.Now()
		for i := range joinsARound {
			if !joins(i) {
				t.Fatalf("request %d did not join", i)
			}
		}
		nanoseconds = append(nanoseconds, float64(time.Since(start).Nanoseconds())/joinsARound)
	}
	return nanoseconds
}

// heap is how many bytes of it live.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // What a pool holds goes with the second.
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// longestPause is that of the last collections, up to 256 of them.
func longestPause() (longest time.Duration) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for _, ns := range m.PauseNs {
		longest = max(longest, time.Duration(ns)) //nolint:gosec // nanoseconds of a pause
	}
	return longest
}

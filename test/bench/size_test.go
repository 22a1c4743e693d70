package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
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
	// bytes are those of the heap for each of what is counted, and resident how many more
	// the process holds of the machine's memory, garbage and all; 0 if that is not told.
	bytes    float64
	resident uint64
	// pause is the longest for which the garbage collection stopped everything meanwhile,
	// and collection what one of them takes of a processor.
	pause, collection time.Duration
}

const (
	sizeRounds = 7
	// joinsARound is how many requests join sessions in one round, each of another
	// viewer.
	joinsARound = 200_000
	// manySessions is how many there are beside one.
	manySessions = 1_000_000
	// garbage is how much the heap may grow before it is collected, in percent of what
	// lives: what altagate sets itself where so many sessions live.
	garbage = 20
)

// sizes measures how a joined check grows with sessions and with routes, and what it
// waits for where many sessions end at once.
func (b *bench) sizes(t *testing.T) {
	t.Helper()
	b.grown = append(b.grown, withSessions(t)...)
	for _, n := range []int{1, 1000} {
		b.grown = append(b.grown, withRoutes(t, n, false))
	}
	b.grown = append(b.grown, withRoutes(t, 1000, true))
	b.ends = endsAtOnce(t)
	b.writeGrown(t.Output())
}

// writeGrown writes the table of sizes.
func (b *bench) writeGrown(out io.Writer) {
	if len(b.grown) < 2 {
		return // With -run it may be left out.
	}
	fmt.Fprintf(out, `
Inside the process, without a frontend, %d joined checks in each of %d rounds, of any viewer.
With sessions it is the store of sessions alone that is measured, one and a million by turns;
with routes a whole check. Each session has an address and a token of 32 digits of its own; there
are 500 streams and 20 User-Agents, and half of the viewers have an X-UserId. Resident is by how
much what the process holds of the machine's memory has grown when all are there, with the garbage
of that, and the heap collected as altagate has it (after %d %% of what lives).

| with | ns a check | bytes of the heap each | resident, MB | CPU of a collection | longest GC pause |
|---|---|---|---|---|---|
`, joinsARound, sizeRounds, garbage)
	for _, s := range b.grown {
		fmt.Fprintln(out, s)
	}
	var ratios []float64
	for i, many := range b.grown[1].nanoseconds {
		ratios = append(ratios, many/b.grown[0].nanoseconds[i])
	}
	fmt.Fprintf(out, "\nA check among a million sessions, in place of one: %s times the time.\n\n%s\n", spread(ratios, 2), b.ends)
}

// String is a row of the page.
func (s size) String() string {
	bytes, resident, collection, pause := "", "", "", ""
	if s.bytes > 0 {
		bytes, resident = fmt.Sprintf("%.0f", s.bytes), strconv.FormatUint(s.resident>>20, 10)
		collection, pause = s.collection.Round(time.Millisecond/10).String(), s.pause.Round(time.Microsecond).String()
	}
	return fmt.Sprintf("| %d %s | %s | %s | %s | %s | %s |", s.count, s.what, spread(s.nanoseconds, 0), bytes, resident, collection, pause)
}

// viewing is a request of the n-th viewer.
func viewing(n int, target string) check.Request {
	path, query, _ := strings.Cut(target, "?")
	return check.Request{
		Proxy: "nginx", Method: http.MethodGet, Scheme: "https", Host: "tv.example.com", Path: path, Query: query,
		Addr:      netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}),
		UserAgent: fmt.Sprintf("Mozilla/5.0 (Linux; Android 9; box %d) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/88.0 Safari/537.36", n%20),
	}
}

// store is one of sessions alone, with so many of them.
func store(t *testing.T, count int) (*session.Store, *session.Rules) {
	t.Helper()
	layout, err := stream.Parse("auto", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.New(session.Config{Limit: 2 * count, Notify: func(check.Event) {}, Ask: func(*session.Question) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	rules := &session.Rules{Route: "tv", Layout: layout, Join: session.Join{Token: true, Client: true}, Grace: session.DefaultGrace}
	for n := range count {
		r := viewing(n, fmt.Sprintf("/live/ch%d/index.m3u8?token=%032x", n%500, n))
		o := check.Outcome{Verdict: check.Allowed, Backend: "portal", Status: http.StatusOK}
		if n%2 == 0 {
			o.User = strconv.Itoa(100_000 + n)
		}
		s.Settle(rules, &r, session.Joined{}, session.NewID(), check.Decision{Allow: true, Reason: check.Backend, Outcome: o})
	}
	return s, rules
}

// segments are requests of any viewers of so many.
func segments(count int) []check.Request {
	requests := make([]check.Request, 0, joinsARound)
	for i := range joinsARound {
		n := rand.IntN(count) //nolint:gosec // any viewer
		requests = append(requests, viewing(n, fmt.Sprintf("/live/ch%d/v720/seg-%d.ts", n%500, i)))
	}
	return requests
}

// withSessions measures the store of sessions alone, which is what grows: with one, and
// with many, by turns.
func withSessions(t *testing.T) []size {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(garbage))
	one, rulesOfOne := store(t, 1)
	debug.FreeOSMemory()
	before, residentBefore := heap(), resident(t)
	many, rules := store(t, manySessions)
	grown := resident(t) - residentBefore
	a := size{what: "live session", count: 1}
	b := size{what: "live sessions", count: manySessions, resident: grown, bytes: float64(heap()-before) / manySessions, collection: collection()}
	ofOne, ofMany := segments(1), segments(manySessions)
	for range sizeRounds {
		a.nanoseconds = append(a.nanoseconds, inARound(t, func(i int) bool { return one.Join(rulesOfOne, &ofOne[i]).Decision.Allow }))
		b.nanoseconds = append(b.nanoseconds, inARound(t, func(i int) bool { return many.Join(rules, &ofMany[i]).Decision.Allow }))
	}
	b.pause = longestPause()
	runtime.KeepAlive(many)
	return []size{a, b}
}

// withRoutes measures a whole check, the frontend apart. Each route has a backend of its
// own, or all have one.
func withRoutes(t *testing.T, count int, own bool) size {
	t.Helper()
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer backend.Close()
	var text strings.Builder
	what, backends := "routes", 1
	if own {
		what, backends = "routes, and as many backends", count
	}
	text.WriteString("backends:\n")
	for n := range backends {
		fmt.Fprintf(&text, "  b%d: {url: '%s/%[1]d'}\n", n, backend.URL)
	}
	text.WriteString("routes:\n")
	for n := range count {
		fmt.Fprintf(&text, "  - {name: r%d, match: {hosts: [tv.example.com], paths: [/live/%[1]d/]}, backends: [b%d]}\n", n, n%backends)
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
	return size{what: what, count: count, nanoseconds: rounds(t, func(i int) bool { return g.Check(ctx, &requests[i%count]).Allow })}
}

// rounds has each request decided once in each round, and gives their nanoseconds.
func rounds(t *testing.T, joins func(i int) bool) (nanoseconds []float64) {
	t.Helper()
	for range sizeRounds {
		nanoseconds = append(nanoseconds, inARound(t, joins))
	}
	return nanoseconds
}

// inARound has each request decided once, and gives the nanoseconds of one.
func inARound(t *testing.T, joins func(i int) bool) float64 {
	t.Helper()
	start := time.Now()
	for i := range joinsARound {
		if !joins(i) {
			t.Fatalf("request %d did not join", i)
		}
	}
	return float64(time.Since(start).Nanoseconds()) / joinsARound
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

// collection is what one collection takes of a processor, where no program waits for it.
func collection() time.Duration {
	const times = 10
	used := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}}
	runtime.GC()
	metrics.Read(used)
	before := used[0].Value.Float64()
	for range times {
		runtime.GC()
	}
	metrics.Read(used)
	return time.Duration((used[0].Value.Float64() - before) / times * float64(time.Second))
}

// resident is how many bytes of the machine's memory this process holds.
func resident(t *testing.T) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	line, _, _ := strings.Cut(after, "kB")
	n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
	if err != nil {
		t.Fatalf("/proc/self/status does not say how much memory is resident: %v", err)
	}
	return n << 10
}

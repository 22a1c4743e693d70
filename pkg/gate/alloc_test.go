package gate_test

import (
	"bufio"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// TestAJoinedCheckAllocatesNothing is about the whole line from the route to the
// decision: garbage there is paid for by every segment of every viewer.
func TestAJoinedCheckAllocatesNothing(t *testing.T) {
	p := newPortal(t, status(http.StatusOK))
	g := open(t, "backends: {a: {url: "+p.URL+"}}\nroutes: [{name: live, backends: [a]}]\n", ignore)
	ctx := within(t, time.Minute)
	r := viewer("/live/index.m3u8")
	if d := g.Check(ctx, r); !d.Allow || d.Reason != check.Backend {
		t.Fatalf("the first check: %+v", d)
	}
	n := testing.AllocsPerRun(200, func() {
		if d := g.Check(ctx, r); !d.Allow || d.Reason != check.Session {
			t.Fatalf("%+v", d)
		}
	})
	// Under the race detector a pool forgets some.
	if n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

// bare is the URL of a backend that allows everybody and allocates nothing.
func bare(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				reader := bufio.NewReader(conn)
				for {
					line, err := reader.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) == len("\r\n") {
						conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) //nolint:errcheck // then the check fails
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/auth"
}

const asksAlways = "', limits: {rate: 1000000}}}\nroutes: [{name: live, backends: [a], session: {join: []}}]\n"

// TestACheckThatAsksAllocatesLittle keeps what is altagate's own of it
// small: a question by net/http alone makes 38 allocations.
func TestACheckThatAsksAllocatesLittle(t *testing.T) {
	g := open(t, "backends: {a: {url: '"+bare(t)+asksAlways, ignore)
	ctx := within(t, time.Minute)
	r := viewer("/live/index.m3u8")
	n := testing.AllocsPerRun(200, func() {
		if d := g.Check(ctx, r); !d.Allow || d.Reason != check.Backend {
			t.Fatalf("%+v", d)
		}
	})
	if n > 82 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCheckThatAsks(b *testing.B) {
	g := open(b, "backends: {a: {url: '"+bare(b)+asksAlways, ignore)
	ctx := within(b, time.Hour)
	r := viewer("/live/index.m3u8")
	b.ReportAllocs()
	for b.Loop() {
		if d := g.Check(ctx, r); !d.Allow || d.Reason != check.Backend {
			b.Fatalf("%+v", d)
		}
	}
}

package gate_test

import (
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

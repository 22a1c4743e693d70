package gate_test

import (
	"net/http"
	"testing"

	"github.com/altagate/altagate/pkg/check"
)

// TestARouteThatObservesDeniesNobody has viewers whom the route would deny: all that
// it does besides is as on any other.
func TestARouteThatObservesDeniesNobody(t *testing.T) {
	p := newPortal(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("token") != "123" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	g := open(t, "backends: {portal: {url: "+p.URL+"}}\n"+
		"routes:\n  - {name: live, match: {paths: [/live/]}, backends: [portal], mode: observe}\n"+
		"  - {name: rest, backends: [portal]}\n", ignore)
	junk := func(path string) *check.Request {
		r := viewer(path)
		r.Query, r.UserAgent = "token=1", "mpv"
		return r
	}
	for _, test := range []struct {
		name     string
		r        *check.Request
		want     told
		observed check.Reason
	}{
		{"an allow", viewer("/live/ch1/index.m3u8"), told{true, check.Backend, "live", "portal", 0}, ""},
		{"its session", viewer("/live/ch1/1.ts"), told{true, check.Session, "live", "portal", 0}, ""},
		{"a denial", junk("/live/ch1/index.m3u8"), told{true, check.Observe, "live", "portal", 0}, check.Backend},
		{"which is remembered", junk("/live/ch1/index.m3u8"), told{true, check.Observe, "live", "", 0}, check.RecentDenial},
		{"and opens no session", junk("/live/ch1/1.ts"), told{true, check.Observe, "live", "portal", 0}, check.Backend},
		{"another route", junk("/vod/index.m3u8"), told{false, check.Backend, "rest", "portal", 403}, ""},
	} {
		d := g.Check(within(t, patience), test.r)
		if got := tell(d); got != test.want || d.Observed != test.observed {
			t.Errorf("%s: %+v, would deny %q; want %+v, %q", test.name, got, d.Observed, test.want, test.observed)
		}
	}
}

func TestAMalformedQuestionIsDeniedWhereARouteOnlyObserves(t *testing.T) {
	p := newPortal(t, status(http.StatusOK))
	g := open(t, "backends: {portal: {url: "+p.URL+"}}\nroutes: [{name: all, backends: [portal], mode: observe}]\n", ignore)
	r := viewer("/ch1/index.m3u8")
	r.UserAgent = "a\nb" // No frontend lets it through.
	if d := g.Check(within(t, patience), r); d.Allow || d.Reason != check.Malformed {
		t.Errorf("got %+v", tell(d))
	}
}

func TestAnOutageKeepsNobodyOutWhereARouteOnlyObserves(t *testing.T) {
	e := newEvents()
	g := open(t, "backends: {portal: {url: "+nobody(t)+"}}\nroutes: [{name: all, backends: [portal], mode: observe}]\n", e.notify)
	<-e.turned
	d := g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	if !d.Allow || d.Reason != check.Observe || d.Observed != check.Default {
		t.Errorf("got %+v, would deny %q", tell(d), d.Observed)
	}
}

package gate_test

import (
	"net/netip"
	"testing"

	"github.com/altagate/altagate/pkg/check"
)

func TestWhoIsTrustedDependsOnTheRoute(t *testing.T) {
	p := newPortal(t, status(200))
	g := open(t, `
backends: {portal: {url: `+p.URL+`}}
routes:
  - {name: live, match: {paths: [/live/]}, backends: [portal], trusted: [10.0.0.0/8, 2001:db8::/32]}
  - {name: rest, match: {paths: [/vod/]}, backends: [portal]}
`, ignore)
	named := viewer("/vod/a")
	named.Route = "live"
	for _, tt := range []struct {
		r    *check.Request
		addr string
		want bool
	}{
		{viewer("/live/a"), "10.9.9.9", true},
		{viewer("/live/a"), "2001:db8::1", true},
		{viewer("/live/a"), "11.0.0.1", false},
		{viewer("/vod/a"), "10.9.9.9", false},
		{named, "10.9.9.9", true},
		{viewer("/elsewhere"), "10.9.9.9", false},
	} {
		if got := g.Trusts(tt.r, netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("%s on %s%s: %v, want %v", tt.addr, tt.r.Route, tt.r.Path, got, tt.want)
		}
	}
}

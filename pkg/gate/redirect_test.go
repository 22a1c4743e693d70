package gate_test

import (
	"net/http"
	"testing"

	"github.com/altagate/altagate/pkg/check"
)

func TestAViewerWhoIsDeniedIsSentElsewhereFromAnEntry(t *testing.T) {
	const promo = "https://TV.example.com:8443/%70romo/index.m3u8?from=gate"
	p := newPortal(t, status(http.StatusForbidden))
	g := open(t, "backends: {portal: {url: "+p.URL+"}}\nroutes:\n"+
		"  - {name: live, match: {paths: [/live/, /promo/]}, backends: [portal], redirect: '"+promo+"', deny_status: 451}\n"+
		"  - {name: observed, match: {paths: [/observed/]}, backends: [portal], redirect: '"+promo+"', mode: observe}\n"+
		"  - {name: ruled, match: {paths: [/ruled/]}, backends: [portal], redirect: '"+promo+"', rules: [{action: deny}], session: {layout: path}}\n"+
		"  - {name: rest, backends: [portal]}\n", ignore)
	for _, test := range []struct {
		name, method, path, want string
		allow                    bool
	}{
		{"a playlist", "GET", "/live/ch1/index.m3u8", promo, false},
		{"at once again", "GET", "/live/ch1/index.m3u8", promo, false},
		{"a manifest", "HEAD", "/live/ch1/x.mpd", promo, false},
		{"a segment", "GET", "/live/ch1/1.ts", "", false},
		{"another method", "POST", "/live/ch1/index.m3u8", "", false},
		{"where it would be sent", "GET", "/promo/index.m3u8", "", false},
		{"beside that", "GET", "/promo/x/index.m3u8", promo, false},
		{"a route that observes", "GET", "/observed/index.m3u8", "", true},
		{"by a rule, each path by itself", "GET", "/ruled/index.m3u8", promo, false},
		{"a route without", "GET", "/vod/index.m3u8", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := viewer(test.path)
			r.Method = test.method
			d := g.Check(within(t, patience), r)
			if d.Redirect != test.want || d.Allow != test.allow || !d.Allow && d.Status < 400 {
				t.Errorf("got %+v, sent to %q", tell(d), d.Redirect)
			}
		})
	}
}

// TestAnOutageSendsNobodyElsewhere has a question that is not answered: the next try
// may be.
func TestAnOutageSendsNobodyElsewhere(t *testing.T) {
	p := newPortal(t, reset)
	g := open(t, "backends: {portal: {url: "+p.URL+"}}\nroutes: [{name: all, backends: [portal], redirect: 'https://promo.example.com/a.m3u8'}]\n", ignore)
	if d := g.Check(within(t, patience), viewer("/ch1/index.m3u8")); d.Allow || d.Reason != check.Unanswered || d.Redirect != "" {
		t.Errorf("got %+v, sent to %q", tell(d), d.Redirect)
	}
}

package gate_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/gate"
	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/test/rig"
)

// ruled is a config with one route and its rules.
func ruled(url, rules, more string) string {
	return fmt.Sprintf("%s\nbackends: {portal: {url: %s}}\nroutes:\n  - name: all\n    backends: [portal]\n    rules: [%s]\n", more, url, rules)
}

func TestTheFirstRuleThatFitsDecidesAndElseTheBackend(t *testing.T) {
	countries := rig.Countries(t, map[string]string{"192.0.2.0/24": "DE", "198.51.100.0/24": "FR"})
	p := newPortal(t, status(http.StatusOK))
	g := open(t, ruled(p.URL, `
      {action: allow, addresses: [10.0.0.0/8]},
      {action: deny, user_agents: [curl, ""]},
      {action: pass, countries: [DE]},
      {action: deny}`, "country_file: "+countries), ignore)
	for _, test := range []struct {
		name, addr, userAgent, method string
		want                          told
		asks                          int
	}{
		{"an address that is allowed", "10.0.0.7", "curl/8.5", "GET", told{true, check.Rule, "all", "", 0}, 0},
		{"a User-Agent that is denied", "192.0.2.7", "CURL/8.5", "GET", told{false, check.Rule, "all", "", 403}, 0},
		{"none at all", "192.0.2.7", "", "GET", told{false, check.Rule, "all", "", 403}, 0},
		{"a country that goes on", "192.0.2.7", "VLC/3.0", "GET", told{true, check.Backend, "all", "portal", 0}, 1},
		{"another country", "198.51.100.7", "VLC/3.0", "GET", told{false, check.Rule, "all", "", 403}, 0},
		{"no country", "2001:db8::7", "VLC/3.0", "GET", told{false, check.Rule, "all", "", 403}, 0},
		{"another method", "10.0.0.7", "VLC/3.0", "POST", told{true, check.Rule, "all", "", 0}, 0},
		{"another method that is denied", "198.51.100.7", "VLC/3.0", "POST", told{false, check.Rule, "all", "", 403}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(p.asked())
			r := viewer("/ch1/index.m3u8")
			r.Addr, r.UserAgent, r.Method = netip.MustParseAddr(test.addr), test.userAgent, test.method
			if got := tell(g.Check(within(t, patience), r)); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if n := len(p.asked()) - before; n != test.asks {
				t.Errorf("the backend was asked %d times, want %d", n, test.asks)
			}
		})
	}
	if all, _ := g.Sessions().List(session.Filter{}, "", 100); len(all) != 1 {
		t.Errorf("there are sessions %+v, want that of the backend's allow alone", all)
	}
}

// TestARuleThatAReloadBringsHoldsAtOnce has somebody watch whom it denies.
func TestARuleThatAReloadBringsHoldsAtOnce(t *testing.T) {
	p := newPortal(t, status(http.StatusOK))
	g := open(t, one(p.URL, "", "deny"), ignore)
	wantAllowed(t, g, viewer("/ch1/index.m3u8"), check.Backend)
	watching(t, g, check.Session, "/ch1/1.ts")
	if err := g.Reload(parsed(t, ruled(p.URL, "{action: deny, addresses: [192.0.2.0/24]}", ""))); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/ch1/index.m3u8", "/ch1/2.ts"} {
		if d := g.Check(within(t, patience), viewer(path)); d.Allow || d.Reason != check.Rule {
			t.Errorf("%s: %+v", path, tell(d))
		}
	}
}

func TestAnAllowOfARuleNeedsNoBackend(t *testing.T) {
	e := newEvents()
	g := open(t, ruled(nobody(t), "{action: allow, addresses: [192.0.2.7]}", ""), e.notify)
	<-e.turned
	watching(t, g, check.Rule, "/ch1/index.m3u8", "/ch1/1.ts", "/ch2/index.m3u8")
	r := viewer("/ch1/1.ts")
	r.Addr = netip.MustParseAddr(another)
	if d := g.Check(within(t, patience), r); d.Allow || d.Reason != check.Default {
		t.Errorf("another viewer: %+v", tell(d))
	}
}

// TestAnOperatorsEndHoldsAgainstAnAllowOfARule ends a session and brings such a rule.
func TestAnOperatorsEndHoldsAgainstAnAllowOfARule(t *testing.T) {
	p := newPortal(t, status(http.StatusOK))
	g := open(t, one(p.URL, "", "deny"), ignore)
	d := g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	if ended, err := g.Sessions().End(d.Session, time.Hour, false); err != nil || len(ended) != 1 {
		t.Fatalf("ended %v, %v", ended, err)
	}
	if err := g.Reload(parsed(t, ruled(p.URL, "{action: allow}", ""))); err != nil {
		t.Fatal(err)
	}
	if d := g.Check(within(t, patience), viewer("/ch1/1.ts")); d.Allow || d.Reason != check.Revoked {
		t.Errorf("got %+v", tell(d))
	}
	watching(t, g, check.Rule, "/ch2/index.m3u8")
}

func TestAFileOfCountriesThatCannotBeReadLeavesTheOldConfigInForce(t *testing.T) {
	p := newPortal(t, status(http.StatusOK))
	g := open(t, one(p.URL, "", "deny"), ignore)
	missing := filepath.Join(t.TempDir(), "missing.mmdb")
	bad := parsed(t, ruled(p.URL, "{action: deny}", "country_file: "+missing))
	if err := g.Reload(bad); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("got %v", err)
	}
	wantAllowed(t, g, viewer("/ch1/index.m3u8"), check.Backend)
	if _, err := gate.New(bad, nil, ignore); err == nil {
		t.Error("a gate was made")
	}
}

// TestRulesAllocateNothingForThoseWhoWatch compares a joined request with and without
// rules.
func TestRulesAllocateNothingForThoseWhoWatch(t *testing.T) {
	countries := rig.Countries(t, map[string]string{"192.0.2.0/24": "DE"})
	p := newPortal(t, status(http.StatusOK))
	allocations := func(config string) float64 {
		g := open(t, config, ignore)
		wantAllowed(t, g, viewer("/ch1/index.m3u8"), check.Backend)
		r, ctx := viewer("/ch1/1.ts"), t.Context()
		return testing.AllocsPerRun(100, func() {
			if d := g.Check(ctx, r); d.Reason != check.Session {
				t.Fatalf("got %+v", tell(d))
			}
		})
	}
	without := allocations(one(p.URL, "", "deny"))
	with := allocations(ruled(p.URL, "{action: deny, addresses: [10.0.0.0/8]}, {action: deny, user_agents: [curl]}, {action: pass, countries: [DE]}",
		"country_file: "+countries))
	if with > without {
		t.Errorf("%v allocations with rules, %v without", with, without)
	}
	t.Logf("%v allocations", with)
}

func TestExplainTellsWhichRuleDecides(t *testing.T) {
	p := newPortal(t, status(http.StatusOK))
	cfg := parsed(t, ruled(p.URL, "{action: pass, addresses: [10.0.0.0/8]}, {action: deny, user_agents: [vlc]}", ""))
	e, err := gate.Explain(within(t, patience), cfg, viewer("/a"), "")
	if err != nil || e.Decision.Allow || e.Decision.Reason != check.Rule || e.Decision.Route != "all" || e.Decision.Rule != "rules[1]" {
		t.Errorf("got %+v, %v", e.Decision, err)
	}
	if len(e.Traces) != 0 || len(p.asked()) != 0 {
		t.Error("the backend was asked")
	}
}

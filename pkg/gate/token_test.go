package gate_test

import (
	"crypto/sha1" //nolint:gosec // It is what Alta computes.
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/gate"
	"github.com/altagate/altagate/pkg/securetoken"
	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/pkg/state"
)

// tokenRoute is a config with one route that takes Alta's tokens.
func tokenRoute(url, more string) string {
	return fmt.Sprintf("backends: {portal: {url: %s}}\nroutes: [{name: all, backends: [portal], on_unavailable: deny, "+
		"secure_token: {kind: alta, secrets: [s3cret-s3cret-s3cret]}%s}]\n", url, more)
}

// signed is a viewer's check with a token for a path and an address, good for a time
// from now.
func signed(path, forPath, addr string, good time.Duration) *check.Request {
	start, end := time.Now().Add(-time.Hour).Unix(), time.Now().Add(good).Unix()
	sum := sha1.Sum([]byte(fmt.Sprintf("%s%s%d%ds3cret-s3cret-s3cretsalt", forPath, addr, start, end))) //nolint:gosec // See above.
	r := viewer(path)
	r.Query = fmt.Sprintf("token=%x-salt-%d-%d", sum, end, start)
	return r
}

func TestATokenOpensASessionWithoutABackend(t *testing.T) {
	e := newEvents()
	g := open(t, tokenRoute(nobody(t), ""), e.notify)
	<-e.turned
	const entry = "/tv/ch1/index.m3u8"
	for range 2 {
		d := g.Check(within(t, patience), signed(entry, entry, paying, time.Hour))
		if !d.Allow || d.Route != "all" || d.Session == "" || d.Outcome.Backend != check.SecureToken {
			t.Fatalf("got %+v", d)
		}
	}
	// Segments carry no token, and the backend is away.
	watching(t, g, check.Session, "/tv/ch1/1.ts", "/tv/ch1/v720/2.ts")
	for name, r := range map[string]*check.Request{
		"another stream": viewer("/tv/ch2/1.ts"),
		"another viewer": from(another, "123", 1),
	} {
		if d := g.Check(within(t, patience), r); d.Allow || d.Reason != check.Default {
			t.Errorf("%s: %+v", name, tell(d))
		}
	}
	if all, _ := g.Sessions().List(session.Filter{}, "", 10); len(all) != 1 || all[0].Backend != check.SecureToken {
		t.Errorf("the sessions are %+v", all)
	}
}

func TestABadTokenIsADenialAndWhatIsNoneGoesToTheBackend(t *testing.T) {
	p := newPortal(t, status(http.StatusOK))
	g := open(t, tokenRoute(p.URL, ", deny_status: 451"), ignore)
	const entry = "/tv/ch1/index.m3u8"
	for name, test := range map[string]struct {
		r   *check.Request
		why error
	}{
		"of another path":   {signed("/tv/ch2/index.m3u8", entry, paying, time.Hour), securetoken.ErrForged},
		"of another viewer": {signed(entry, entry, another, time.Hour), securetoken.ErrForged},
		"expired":           {signed(entry, entry, paying, -time.Minute), securetoken.ErrExpired},
	} {
		d := g.Check(within(t, patience), test.r)
		if want := (told{false, check.Rule, "all", check.SecureToken, 451}); tell(d) != want || d.Rule != check.SecureToken || !errors.Is(d.Outcome.Err, test.why) {
			t.Errorf("%s: %+v %v", name, tell(d), d.Outcome.Err)
		}
	}
	if n := len(p.asked()); n != 0 {
		t.Errorf("the backend was asked %d times", n)
	}
	wantAllowed(t, g, viewer(entry), check.Backend) // token=123 is the portal's.
}

// TestATokenDecidesAboutOtherMethodsToo has requests that join and open nothing.
func TestATokenDecidesAboutOtherMethodsToo(t *testing.T) {
	p := newPortal(t, status(http.StatusForbidden))
	g := open(t, tokenRoute(p.URL, ""), ignore)
	r := signed("/a", "/a", paying, time.Hour)
	r.Path, r.Method = "/tv/x.m3u8", http.MethodPost
	if d := g.Check(within(t, patience), r); d.Allow || d.Reason != check.Rule {
		t.Errorf("got %+v", tell(d))
	}
	r = signed("/tv/x.m3u8", "/tv/x.m3u8", paying, time.Hour)
	r.Method = http.MethodPost
	if d := g.Check(within(t, patience), r); !d.Allow || d.Session != "" {
		t.Errorf("got %+v", tell(d))
	}
	if all, _ := g.Sessions().List(session.Filter{}, "", 10); len(all) != 0 {
		t.Errorf("the sessions are %+v", all)
	}
}

func TestAnOperatorsEndHoldsAgainstAToken(t *testing.T) {
	g := open(t, tokenRoute(nobody(t), ""), ignore)
	const entry = "/tv/ch1/index.m3u8"
	r := signed(entry, entry, paying, time.Hour)
	d := g.Check(within(t, patience), r)
	if _, err := g.Sessions().End(d.Session, time.Hour, false); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "POST"} {
		r.Method = method
		if d := g.Check(within(t, patience), r); d.Allow || d.Reason != check.Revoked {
			t.Errorf("%s: %+v", method, tell(d))
		}
	}
}

// TestASessionOfATokenIsKeptOverARestart writes it to a state file.
func TestASessionOfATokenIsKeptOverARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	cfg := parsed(t, tokenRoute(nobody(t), ""))
	const entry = "/tv/ch1/index.m3u8"
	for i := range 2 {
		journal, err := state.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		g, err := gate.New(cfg, journal, ignore)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			wantAllowed(t, g, signed(entry, entry, paying, time.Hour), check.Rule)
		}
		watching(t, g, check.Session, "/tv/ch1/1.ts")
		g.Close()
		if err := journal.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExplainTellsWhatATokenIsWorth(t *testing.T) {
	cfg := parsed(t, tokenRoute(nobody(t), ""))
	const entry = "/tv/ch1/index.m3u8"
	e, err := gate.Explain(within(t, patience), cfg, signed(entry, entry, paying, time.Hour), "")
	if err != nil || !e.Decision.Allow || e.Decision.Rule != check.SecureToken || len(e.Traces) != 0 {
		t.Errorf("got %+v, %v", e.Decision, err)
	}
	e, err = gate.Explain(within(t, patience), cfg, signed(entry, entry, another, time.Hour), "")
	if err != nil || e.Decision.Allow || !errors.Is(e.Decision.Outcome.Err, securetoken.ErrForged) {
		t.Errorf("got %+v, %v", e.Decision, err)
	}
}

package gate_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/gate"
)

func contextWithCancel(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t, patience))
	t.Cleanup(cancel)
	return ctx, cancel
}

// one is a config with the backend "portal" alone.
func one(url, settings, policy string) string {
	return fmt.Sprintf("backends: {portal: {url: %s%s}}\nroutes: [{name: all, backends: [portal], on_unavailable: %s}]", url, settings, policy)
}

func mustReload(t testing.TB, g *gate.Gate, yaml string) {
	t.Helper()
	if err := g.Reload(parsed(t, yaml)); err != nil {
		t.Fatal(err)
	}
}

func TestAReloadKeepsTheConnectionsOfABackendWithTheSameSettings(t *testing.T) {
	p, e := newPortal(t, status(200)), newEvents()
	g := open(t, one(p.URL, "", "deny"), e.notify)
	<-e.turned
	g.Check(within(t, patience), viewer("/a"))
	before, _ := p.connections()
	mustReload(t, g, one(p.URL, ", timeout: 2s", "allow"))
	if d := g.Check(within(t, patience), viewer("/a")); !d.Allow {
		t.Errorf("got %+v", d)
	}
	if after, _ := p.connections(); after != before {
		t.Errorf("%d connections were opened after the reload", after-before)
	}
	if n := len(of[check.Turned](e)); n != 1 {
		t.Errorf("the backend was reported there or away %d times, want once", n)
	}
}

func TestAReloadKeepsWhatIsKnownOfABackendThatIsAway(t *testing.T) {
	url, e := nobody(t), newEvents()
	g := open(t, one(url, "", "deny"), e.notify)
	<-e.turned
	mustReload(t, g, one(url, "", "allow"))
	// A new backend would be probed, and reported, before this is decided.
	if diff := cmp.Diff(told{true, check.Default, "all", "portal", 0}, tell(g.Check(within(t, patience), viewer("/a")))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if turned := of[check.Turned](e); len(turned) != 1 {
		t.Errorf("reported %+v", turned)
	}
}

func TestAReloadClosesABackendThatIsGoneOrAnother(t *testing.T) {
	other := newPortal(t, status(200))
	for name, after := range map[string]func(url string) string{
		"gone":           func(string) string { return one(other.URL, "", "deny") },
		"other settings": func(url string) string { return one(url, ", headers: {X-Key: a}", "deny") },
		"other name":     func(url string) string { return strings.ReplaceAll(one(url, "", "deny"), "portal", "gateway") },
	} {
		t.Run(name, func(t *testing.T) {
			p, e := newPortal(t, status(200)), newEvents()
			g := open(t, one(p.URL, "", "deny"), e.notify)
			<-e.turned
			g.Check(within(t, patience), viewer("/a"))
			before, _ := p.connections()
			mustReload(t, g, after(p.URL))
			<-e.turned // the new backend was probed
			p.until(t, "the old connections to be closed", func() bool {
				opened, open := p.connections()
				return open <= opened-before
			})
			if d := g.Check(within(t, patience), viewer("/a")); !d.Allow {
				t.Errorf("got %+v", d)
			}
		})
	}
}

func TestAReloadThatFailsLeavesTheOldConfigInForce(t *testing.T) {
	p := newPortal(t, status(200))
	g := open(t, one(p.URL, "", "deny"), ignore)
	bad := "backends: {portal: {url: " + p.URL + "}, tls: {url: https://127.0.0.1:1, ca_file: " + t.TempDir() + "/none.pem}}\n" +
		"routes: [{name: new, backends: [portal, tls]}]"
	err := g.Reload(parsed(t, bad))
	if err == nil || !strings.HasPrefix(err.Error(), "backend tls: reading CA file: ") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(told{true, check.Backend, "all", "portal", 0}, tell(g.Check(within(t, patience), viewer("/a")))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := gate.New(parsed(t, bad), nil, ignore); err == nil {
		t.Error("New takes it")
	}
	if _, err := gate.Explain(t.Context(), parsed(t, bad), viewer("/a"), ""); err == nil {
		t.Error("Explain takes it")
	}
}

// TestACheckEndsOnTheConfigThatItBeganWith fails a question, and the probe after
// it, when its backend is no longer in the config: the old policy decides, and of
// the old backend nothing more is reported.
func TestACheckEndsOnTheConfigThatItBeganWith(t *testing.T) {
	release := make(chan struct{})
	p := newPortalWithProbe(t,
		func(w http.ResponseWriter, r *http.Request) {
			<-release
			reset(w, r)
		},
		func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
				reset(w, r)
			default:
				w.WriteHeader(http.StatusNotFound)
			}
		})
	e := newEvents()
	g := open(t, one(p.URL, ", timeout: 10s", "allow"), e.notify)
	<-e.turned
	old := make(chan check.Decision)
	go func() { old <- g.Check(within(t, patience), viewer("/a")) }()
	p.until(t, "the question", func() bool { return len(p.asked()) == 1 })

	other := newPortal(t, status(403))
	mustReload(t, g, strings.Replace(one(other.URL, "", "deny"), "name: all", "name: new", 1))
	<-e.turned
	if diff := cmp.Diff(told{false, check.Backend, "new", "portal", 403}, tell(g.Check(within(t, patience), viewer("/a")))); diff != "" {
		t.Errorf("a check after the reload (-want +got)\n%s", diff)
	}
	close(release)
	if diff := cmp.Diff(told{true, check.Default, "all", "portal", 0}, tell(<-old)); diff != "" {
		t.Errorf("a check from before (-want +got)\n%s", diff)
	}
	p.until(t, "the old connections to be closed", func() bool {
		_, open := p.connections()
		return open == 0
	})
	if turned := of[check.Turned](e); len(turned) != 2 || !turned[0].There || !turned[1].There {
		t.Errorf("reported %+v", turned)
	}
}

// TestAReloadUnderLoadLosesNoCheck swaps backends, policies and routes under
// checks of which each must be allowed by the backend.
func TestAReloadUnderLoadLosesNoCheck(t *testing.T) {
	p := newPortal(t, status(200))
	g := open(t, one(p.URL, "", "deny"), ignore)
	configs := []string{
		one(p.URL, "", "allow"),
		one(p.URL, ", timeout: 5s", "deny"),
		strings.Replace(one(p.URL, ", timeout: 5s", "deny"), "name: all", "name: every", 1),
		one(p.URL, "", "deny"),
	}
	const workers, each = 4, 50
	var checks sync.WaitGroup
	for worker := range workers {
		checks.Go(func() {
			for i := range each {
				r := viewer(fmt.Sprintf("/%d/%d", worker, i))
				r.Addr = netip.AddrFrom4([4]byte{192, 0, 2, byte(worker)})
				if d := g.Check(within(t, patience), r); !d.Allow || d.Reason != check.Backend {
					t.Errorf("check %d of worker %d: %+v", i, worker, d)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { checks.Wait(); close(done) }()
	for i := 0; ; i++ {
		select {
		case <-done:
			if n := len(p.asked()); n != workers*each {
				t.Errorf("the backend was asked %d times, want %d", n, workers*each)
			}
			return
		default:
			mustReload(t, g, configs[i%len(configs)])
		}
	}
}

// TestARefusedReloadChangesNothingThatIsSeen has a config that is refused for its
// second backend, and whose first is away.
func TestARefusedReloadChangesNothingThatIsSeen(t *testing.T) {
	p := newPortal(t, status(200))
	e := newEvents()
	g := open(t, one(p.URL, "", "deny"), e.notify)
	<-e.turned
	bad := parsed(t, "backends:\n  a: {url: "+nobody(t)+"}\n  z: {url: https://127.0.0.1:1/, ca_file: /none.pem}\n"+
		"routes: [{name: all, backends: [a, z]}]")
	for range 20 {
		if err := g.Reload(bad); err == nil {
			t.Fatal("a config with a file that is not there was taken over")
		}
	}
	if d := g.Check(within(t, patience), viewer("/x")); !d.Allow {
		t.Errorf("got %+v", d)
	}
	g.Close() // nothing is reported after it
	if n := len(of[check.Turned](e)); n != 1 {
		t.Errorf("%d turns were reported, want the one of the config in force", n)
	}
}

package gate_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/gate"
)

// told is what a test compares of a decision.
type told struct {
	Allow          bool
	Reason         check.Reason
	Route, Backend string
	Status         int
}

func tell(d check.Decision) told {
	return told{d.Allow, d.Reason, d.Route, d.Outcome.Backend, d.Status}
}

func TestACheckGoesToTheBackendsOfItsRoute(t *testing.T) {
	live, vod, rest := newPortal(t, status(200)), newPortal(t, status(403)), newPortal(t, status(200))
	g := open(t, fmt.Sprintf(`
backends: {live: {url: %s}, vod: {url: %s}, rest: {url: %s}}
routes:
  - {name: live, match: {hosts: [tv.example.com], paths: [/live/]}, backends: [live]}
  - {name: vod, match: {hosts: [tv.example.com], paths: [/vod/]}, backends: [vod], deny_status: 451}
  - {name: other, match: {paths: [/live/]}, backends: [rest]}
`, live.URL, vod.URL, rest.URL), ignore)
	with := func(path string, edit func(*check.Request)) *check.Request {
		r := viewer(path)
		edit(r)
		return r
	}
	none := told{Reason: check.NoRoute}
	for _, test := range []struct {
		name string
		r    *check.Request
		want told
		asks *portal
	}{
		{"by path", viewer("/live/a.m3u8"), told{true, check.Backend, "live", "live", 0}, live},
		{"by another path", viewer("/vod/a.m3u8"), told{false, check.Backend, "vod", "vod", 451}, vod},
		{
			"by host", with("/live/a.m3u8", func(r *check.Request) { r.Host = "other.example.com" }),
			told{true, check.Backend, "other", "rest", 0}, rest,
		},
		{
			"by name, whatever the path", with("/x", func(r *check.Request) { r.Route = "live" }),
			told{true, check.Backend, "live", "live", 0}, live,
		},
		{"no route has the path", viewer("/x"), none, nil},
		{"no route has the name", with("/live/a.m3u8", func(r *check.Request) { r.Route = "lvie" }), none, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := map[*portal]int{live: len(live.asked()), vod: len(vod.asked()), rest: len(rest.asked())}
			if diff := cmp.Diff(test.want, tell(g.Check(within(t, patience), test.r))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for p, n := range before {
				want := 0
				if p == test.asks {
					want = 1
				}
				if got := len(p.asked()) - n; got != want {
					t.Errorf("%s was asked %d times, want %d", p.URL, got, want)
				}
			}
		})
	}
}

// situation is what a route's backends do, and what follows.
type situation struct {
	name     string
	backends []string
	deny     told // with on_unavailable: deny
	allow    told // with on_unavailable: allow
}

func always(d told) (deny, allow told) { return d, d }

// situations are those of a route "all" with the deny_status 451.
func situations(t *testing.T) []situation {
	t.Helper()
	allows, denies, missing := newPortal(t, status(200)).URL, newPortal(t, status(403)).URL, newPortal(t, status(204)).URL
	hangs, resets, away := newPortal(t, hang).URL, newPortal(t, reset).URL, nobody(t)
	allowed := func(by string) told { return told{true, check.Backend, "all", by, 0} }
	denied := func(by string) told { return told{false, check.Backend, "all", by, 451} }
	unanswered := func(by string) told { return told{false, check.Unanswered, "all", by, 451} }
	byDefault := func(by string) (deny, allow told) {
		return told{false, check.Default, "all", by, 451}, told{true, check.Default, "all", by, 0}
	}
	var all []situation
	add := func(name string, deny, allow told, backends ...string) {
		all = append(all, situation{name, backends, deny, allow})
	}
	row := func(name string, d told, backends ...string) {
		deny, allow := always(d)
		add(name, deny, allow, backends...)
	}
	row("allows", allowed("b0"), allows)
	row("denies", denied("b0"), denies)
	row("answers 204", denied("b0"), missing)
	row("hangs, and answers the probe", unanswered("b0"), hangs)
	row("resets, and answers the probe", unanswered("b0"), resets)
	deny, allow := byDefault("b0")
	add("is away", deny, allow, away)
	row("one denies, one allows", allowed("b1"), denies, allows)
	row("one is away, one allows", allowed("b1"), away, allows)
	row("one resets, one allows", allowed("b1"), resets, allows)
	row("all deny", denied("b1"), denies, missing)
	row("one is away, one denies", unanswered("b0"), away, denies)
	row("one hangs, one denies", unanswered("b0"), hangs, denies)
	row("one is away, one resets", unanswered("b1"), away, resets)
	deny, allow = byDefault("b1")
	add("all are away", deny, allow, away, nobody(t))
	return all
}

func (s situation) yaml(policy string) string {
	var b strings.Builder
	b.WriteString("backends:\n")
	for i, u := range s.backends {
		fmt.Fprintf(&b, "  b%d: {url: %s, timeout: 2s}\n", i, u)
	}
	fmt.Fprintf(&b, "routes: [{name: all, on_unavailable: %s, deny_status: 451, backends: [", policy)
	for i := range s.backends {
		fmt.Fprintf(&b, "b%d, ", i)
	}
	return b.String() + "]}]\n"
}

// TestCheckAndExplainDecideAlike runs each situation under both policies: a
// person who asks why is told what viewers are told.
func TestCheckAndExplainDecideAlike(t *testing.T) {
	for _, s := range situations(t) {
		for policy, want := range map[string]told{"deny": s.deny, "allow": s.allow} {
			t.Run(s.name+"/"+policy, func(t *testing.T) {
				t.Parallel()
				yaml := s.yaml(policy)
				got := open(t, yaml, ignore).Check(within(t, patience), viewer("/live/a.m3u8"))
				if diff := cmp.Diff(want, tell(got)); diff != "" {
					t.Errorf("Check (-want +got)\n%s", diff)
				}
				e, err := gate.Explain(within(t, patience), parsed(t, yaml), viewer("/live/a.m3u8"), "")
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, tell(e.Decision)); diff != "" {
					t.Errorf("Explain (-want +got)\n%s", diff)
				}
				if len(e.Traces) != len(s.backends) {
					t.Errorf("explains %d questions, want %d", len(e.Traces), len(s.backends))
				}
			})
		}
	}
}

// TestADefaultAllowIsGivenOnlyAfterTheProbe holds the probe until the question
// has failed: what it then finds is what decides.
func TestADefaultAllowIsGivenOnlyAfterTheProbe(t *testing.T) {
	for name, test := range map[string]struct {
		probe http.HandlerFunc
		want  told
	}{
		"the probe fails too":   {reset, told{true, check.Default, "all", "portal", 0}},
		"the probe is answered": {status(500), told{false, check.Unanswered, "all", "portal", 403}},
	} {
		t.Run(name, func(t *testing.T) {
			failed := make(chan struct{})
			var once sync.Once
			p := newPortalWithProbe(t,
				func(w http.ResponseWriter, r *http.Request) {
					once.Do(func() { close(failed) })
					reset(w, r)
				},
				func(w http.ResponseWriter, r *http.Request) {
					<-failed
					test.probe(w, r)
				})
			g := open(t, "backends: {portal: {url: "+p.URL+"}}\nroutes: [{name: all, backends: [portal], on_unavailable: allow}]", ignore)
			if diff := cmp.Diff(test.want, tell(g.Check(within(t, patience), viewer("/a")))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestSeveralBackendsAreAskedAtOnce has each answer only when both were asked.
func TestSeveralBackendsAreAskedAtOnce(t *testing.T) {
	var both sync.WaitGroup
	both.Add(2)
	met := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			both.Done()
			both.Wait()
			w.WriteHeader(code)
		}
	}
	a, b := newPortal(t, met(403)), newPortal(t, met(200))
	g := open(t, fmt.Sprintf("backends: {a: {url: %s, timeout: 10s}, b: {url: %s, timeout: 10s}}\nroutes: [{name: all, backends: [a, b]}]", a.URL, b.URL), ignore)
	if d := g.Check(within(t, patience), viewer("/a")); !d.Allow {
		t.Errorf("got %+v", d)
	}
}

// TestAHungBackendHoldsNobodyUpWhileAnotherAllows would be late if it did.
func TestAHungBackendHoldsNobodyUpWhileAnotherAllows(t *testing.T) {
	hung, good := newPortal(t, hang), newPortal(t, status(200))
	g := open(t, fmt.Sprintf("backends: {hung: {url: %s, timeout: 60s}, good: {url: %s}}\nroutes: [{name: all, backends: [hung, good]}]", hung.URL, good.URL), ignore)
	if diff := cmp.Diff(told{true, check.Backend, "all", "good", 0}, tell(g.Check(within(t, patience), viewer("/a")))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestALateCheckLeavesItsOutcomeToTheNextTry(t *testing.T) {
	release := make(chan struct{})
	p := newPortal(t, held(release, 200))
	g := open(t, "backends: {portal: {url: "+p.URL+", timeout: 10s}}\nroutes: [{name: all, backends: [portal]}]", ignore)

	late := g.Check(within(t, 100*time.Millisecond), viewer("/a"))
	if diff := cmp.Diff(told{false, check.Late, "all", "", 503}, tell(late)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	p.until(t, "the question", func() bool { return len(p.asked()) == 1 })
	begun := make(chan struct{})
	next := make(chan check.Decision)
	ctx := waiting{within(t, patience), sync.OnceFunc(func() { close(begun) })}
	go func() { next <- g.Check(ctx, viewer("/a")) }()
	<-begun
	close(release)
	if d := <-next; !d.Allow || d.Reason != check.Backend {
		t.Errorf("the next try: %+v", d)
	}
	if n := len(p.asked()); n != 1 {
		t.Errorf("the backend was asked %d times, want once", n)
	}
}

func TestTheSameQuestionIsPutOnceWithOneSessionAndAnotherByItself(t *testing.T) {
	release := make(chan struct{})
	p := newPortal(t, held(release, 200))
	g := open(t, "backends: {portal: {url: "+p.URL+", timeout: 10s}}\nroutes: [{name: all, backends: [portal]}]", ignore)
	const same = 50
	checks := make([]*check.Request, 0, same+5)
	for range same {
		checks = append(checks, viewer("/a"))
	}
	for _, edit := range []func(*check.Request){
		func(r *check.Request) { r.Path = "/b" },
		func(r *check.Request) { r.Query = "token=124" },
		func(r *check.Request) { r.Addr = r.Addr.Next() },
		func(r *check.Request) { r.UserAgent = "mpv" },
		func(r *check.Request) { r.Scheme = "http" },
	} {
		r := viewer("/a")
		edit(r)
		checks = append(checks, r)
	}

	decisions := make([]check.Decision, len(checks))
	var begun, ended sync.WaitGroup
	begun.Add(len(checks))
	for i, r := range checks {
		ctx := waiting{within(t, patience), sync.OnceFunc(begun.Done)}
		ended.Go(func() { decisions[i] = g.Check(ctx, r) })
	}
	begun.Wait()
	p.until(t, "all questions", func() bool { return len(p.asked()) >= 6 })
	close(release)
	ended.Wait()

	sessions := map[string]int{}
	for i, d := range decisions {
		if !d.Allow {
			t.Errorf("check %d: %+v", i, d)
		}
		sessions[d.Outcome.Session]++
	}
	asked := p.asked()
	if len(asked) != 6 || len(sessions) != 6 || sessions[decisions[0].Outcome.Session] != same {
		t.Fatalf("asked %d times for %d sessions, want 6 and %d checks on one: %v", len(asked), len(sessions), same, sessions)
	}
	for _, q := range asked {
		id := q.Header.Get("X-Session-Id")
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) || sessions[id] == 0 {
			t.Errorf("session id %q: sent, but not told, or not 128 bits in hex", id)
		}
	}
}

func TestAViewerWhoLeavesTakesNobodysAnswerAway(t *testing.T) {
	release := make(chan struct{})
	p := newPortal(t, held(release, 200))
	g := open(t, "backends: {portal: {url: "+p.URL+", timeout: 10s}}\nroutes: [{name: all, backends: [portal]}]", ignore)
	leaving, leave := contextWithCancel(t)
	gone, stays := make(chan check.Decision), make(chan check.Decision)
	go func() { gone <- g.Check(leaving, viewer("/a")) }()
	p.until(t, "the question", func() bool { return len(p.asked()) == 1 })
	begun := make(chan struct{})
	ctx := waiting{within(t, patience), sync.OnceFunc(func() { close(begun) })}
	go func() { stays <- g.Check(ctx, viewer("/a")) }()
	<-begun
	leave()
	if d := <-gone; d.Allow {
		t.Errorf("who left was allowed: %+v", d)
	}
	close(release)
	if d := <-stays; !d.Allow || len(p.asked()) != 1 {
		t.Errorf("who stayed: %+v after %d questions, want an allow after one", d, len(p.asked()))
	}
}

func TestAShortDeadlineIsReportedOnceForABackend(t *testing.T) {
	p := newPortal(t, status(200))
	yaml := func(timeout string) string {
		return fmt.Sprintf(`
backends: {fast: {url: %s, timeout: 1s}, slow: {url: %s, timeout: %s}}
routes:
  - {name: one, match: {paths: [/one/]}, backends: [fast, slow]}
  - {name: two, match: {paths: [/two/]}, backends: [slow]}
`, p.URL, p.URL, timeout)
	}
	e := newEvents()
	g := open(t, yaml("10s"), e.notify)
	ask := func(d time.Duration) {
		for _, path := range []string{"/one/a", "/two/a", "/one/b"} {
			g.Check(within(t, d), viewer(path))
		}
	}
	reload := func(timeout string) {
		if err := g.Reload(parsed(t, yaml(timeout))); err != nil {
			t.Fatal(err)
		}
	}
	ask(patience)
	g.Check(t.Context(), viewer("/one/a")) // it has no deadline
	if short := of[check.ShortDeadline](e); len(short) != 0 {
		t.Errorf("reported without reason: %+v", short)
	}
	ask(5 * time.Second)
	reload("10s")
	ask(5 * time.Second)
	short := of[check.ShortDeadline](e)
	if len(short) != 1 {
		t.Fatalf("reported %d times: %+v", len(short), short)
	}
	if slow := g.Backends()[1]; slow.Name != "slow" || slow.ShortDeadlines != 6 {
		t.Errorf("counted %d checks of %s, want each of 6 of slow", slow.ShortDeadlines, slow.Name)
	}
	s := short[0]
	if s.Proxy != "nginx" || s.Backend != "slow" || s.Timeout != 10*time.Second || s.Deadline <= 0 || s.Deadline > 5*time.Second {
		t.Errorf("reported %+v", s)
	}
	reload("9s")
	ask(5 * time.Second)
	if short := of[check.ShortDeadline](e); len(short) != 2 || short[1].Timeout != 9*time.Second {
		t.Errorf("a backend with a new timeout: reported %+v", short)
	}
}

func BenchmarkCheck(b *testing.B) {
	p := newPortal(b, status(200))
	g := open(b, "backends: {portal: {url: "+p.URL+"}}\nroutes: [{name: all, backends: [portal]}]", ignore)
	r := viewer("/live/a.m3u8")
	b.ReportAllocs()
	for b.Loop() {
		if d := g.Check(b.Context(), r); !d.Allow {
			b.Fatalf("got %+v", d)
		}
	}
}

package gate_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/gate"
	"github.com/altagate/altagate/pkg/session"
)

// watching has a viewer ask for paths of a channel without a query.
func watching(t *testing.T, g *gate.Gate, want check.Reason, paths ...string) {
	t.Helper()
	for _, path := range paths {
		r := viewer(path)
		r.Query = ""
		if d := g.Check(within(t, patience), r); !d.Allow || d.Reason != want {
			t.Errorf("%s: %+v, want an allow by %s", path, tell(d), want)
		}
	}
}

// again tries until something has become true, as a player does.
func again(t *testing.T, what string, is func() bool) {
	t.Helper()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	limit := time.After(patience)
	for !is() {
		select {
		case <-every.C:
		case <-limit:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// tokens allows token=123, with the header given.
func tokens(header http.Header) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		if r.URL.Query().Get("token") != "123" {
			w.WriteHeader(http.StatusForbidden)
		}
	}
}

func TestAViewingIsAskedAboutOnce(t *testing.T) {
	p := newPortal(t, tokens(http.Header{"X-UserId": {"u42"}}))
	g := open(t, one(p.URL, "", "deny"), ignore)
	first := g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	if !first.Allow || first.Reason != check.Backend {
		t.Fatalf("the first request: %+v", first)
	}
	for range 3 {
		if d := g.Check(within(t, patience), viewer("/ch1/index.m3u8")); d.Reason != check.Session || d.Session != first.Session || d.Outcome.User != "u42" {
			t.Errorf("a refresh: %+v, want session %s", d, first.Session)
		}
	}
	watching(t, g, check.Session, "/ch1/1.ts", "/ch1/720p/index.m3u8", "/ch1/720p/1.ts")
	if n := len(p.asked()); n != 1 {
		t.Errorf("the backend was asked %d times, want once", n)
	}
	if told := p.asked()[0].Header.Get("X-Session-Id"); told != first.Session {
		t.Errorf("the backend was told session %q, the proxy %q", told, first.Session)
	}
}

func TestWhoOpenedNoSessionIsAskedAbout(t *testing.T) {
	p := newPortal(t, tokens(nil))
	g := open(t, one(p.URL, "", "deny"), ignore)
	g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	for name, edit := range map[string]func(*check.Request){
		"another address":    func(r *check.Request) { r.Addr = r.Addr.Next() },
		"another User-Agent": func(r *check.Request) { r.UserAgent += "x" },
		"another channel":    func(r *check.Request) { r.Path = "/ch10/1.ts" },
		"another host":       func(r *check.Request) { r.Host = "other.example.com" },
		"another method":     func(r *check.Request) { r.Method = "POST" },
		"another token":      func(r *check.Request) { r.Query = "token=1" },
	} {
		before := len(p.asked())
		r := viewer("/ch1/1.ts")
		r.Query = ""
		edit(r)
		if d := g.Check(within(t, patience), r); d.Allow || d.Reason != check.Backend || len(p.asked()) != before+1 {
			t.Errorf("%s: %+v", name, tell(d))
		}
	}
}

func TestADenialIsRememberedForAMoment(t *testing.T) {
	p := newPortal(t, tokens(nil))
	g := open(t, one(p.URL, "", "deny"), ignore)
	r := viewer("/ch1/index.m3u8")
	r.Query = "token=1"
	for i, want := range []told{{false, check.Backend, "all", "portal", 403}, {false, check.RecentDenial, "all", "", 403}} {
		if d := g.Check(within(t, patience), r); tell(d) != want {
			t.Errorf("try %d: %+v, want %+v", i, tell(d), want)
		}
	}
	if d := g.Check(within(t, patience), viewer("/ch1/index.m3u8")); !d.Allow {
		t.Errorf("with the right token: %+v", d)
	}
}

func TestALateOutcomeServesTheNextTry(t *testing.T) {
	release := make(chan struct{})
	p := newPortal(t, held(release, http.StatusOK))
	g := open(t, one(p.URL, ", timeout: 10s", "deny"), ignore)
	if d := g.Check(within(t, 100*time.Millisecond), viewer("/ch1/index.m3u8")); d.Allow || d.Reason != check.Late {
		t.Fatalf("got %+v", d)
	}
	close(release)
	// Whether or not the first call has ended by now.
	if d := g.Check(within(t, patience), viewer("/ch1/index.m3u8")); !d.Allow || len(p.asked()) != 1 {
		t.Errorf("the next try: %+v after %d questions", d, len(p.asked()))
	}
	watching(t, g, check.Session, "/ch1/1.ts")
}

func TestSessionsSurviveAReload(t *testing.T) {
	p := newPortal(t, tokens(nil))
	g := open(t, one(p.URL, "", "deny"), ignore)
	g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	mustReload(t, g, one(p.URL, ", timeout: 3s", "deny"))
	watching(t, g, check.Session, "/ch1/1.ts")
}

func TestAnAnswerThatIsOverIsRepeatedAsItWasFirstAsked(t *testing.T) {
	t.Parallel()
	p := newPortal(t, tokens(http.Header{"X-AuthDuration": {"1"}}))
	g := open(t, one(p.URL, "", "deny"), ignore)
	g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	p.until(t, "the question to be repeated", func() bool {
		watching(t, g, check.Session, "/ch1/1.ts")
		return len(p.asked()) > 1
	})
	first, again := p.asked()[0], p.asked()[1]
	for _, name := range []string{"X-Session-Id", "X-Real-Path", "X-Real-Ip", "X-Real-Origin", "X-Real-Ua"} {
		if first.Header.Get(name) != again.Header.Get(name) {
			t.Errorf("%s was %q first, and %q again", name, first.Header.Get(name), again.Header.Get(name))
		}
	}
	if again.URL.RawQuery != "token=123" {
		t.Errorf("asked again with the query %q", again.URL.RawQuery)
	}
}

func TestASessionThatIsDeniedWhenItIsAskedAboutAgainIsOver(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	p := newPortal(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-AuthDuration", "1")
		if asked.Add(1) > 1 {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	g := open(t, one(p.URL, "", "allow"), ignore)
	g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	again(t, "the session to end", func() bool {
		r := viewer("/ch1/1.ts")
		r.Query = ""
		d := g.Check(within(t, patience), r)
		return !d.Allow && d.Reason == check.Backend
	})
}

func TestGraceKeepsAViewerWhileTheBackendIsAway(t *testing.T) {
	t.Parallel()
	p := newPortal(t, tokens(http.Header{"X-AuthDuration": {"1"}}))
	e := newEvents()
	g := open(t, one(p.URL, "", "deny"), e.notify)
	<-e.turned
	g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	p.CloseClientConnections()
	p.Listener.Close()
	again(t, "the answer to be over", func() bool {
		r := viewer("/ch1/1.ts")
		r.Query = ""
		d := g.Check(within(t, patience), r)
		if !d.Allow {
			t.Fatalf("a viewer who was allowed is denied: %+v", d)
		}
		return d.Reason == check.Grace
	})
	watching(t, g, check.Grace, "/ch1/2.ts")
	if d := g.Check(within(t, patience), viewer("/ch2/index.m3u8")); d.Allow || d.Reason != check.Default {
		t.Errorf("a newcomer: %+v", d)
	}
}

func TestATokenThatDiesIsNeverAskedAboutAgain(t *testing.T) {
	t.Parallel()
	p := newPortal(t, tokens(http.Header{"X-AuthDuration": {"1"}}))
	g := open(t, one(p.URL, ", preset: ministra", "deny"), ignore)
	g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	watching(t, g, check.Session, "/ch1/1.ts")
	again(t, "the session to end", func() bool {
		r := viewer("/ch1/2.ts")
		r.Query = ""
		return !g.Check(within(t, patience), r).Allow
	})
	for i, q := range p.asked() {
		if i > 0 && q.URL.RawQuery != "" {
			t.Errorf("question %d has the token again: %s", i, q.URL.RawQuery)
		}
	}
}

func TestOtherMethodsAreAskedAboutEachTimeAndOpenNothing(t *testing.T) {
	p := newPortal(t, tokens(nil))
	g := open(t, one(p.URL, "", "deny"), ignore)
	for i := range 3 {
		r := viewer("/ch1/index.m3u8")
		r.Method = "OPTIONS"
		if d := g.Check(within(t, patience), r); !d.Allow || d.Reason != check.Backend || d.Session != "" || len(p.asked()) != i+1 {
			t.Errorf("got %+v after %d questions", d, len(p.asked()))
		}
	}
	r := viewer("/ch1/1.ts")
	r.Query = ""
	if d := g.Check(within(t, patience), r); d.Allow {
		t.Errorf("a segment: %+v", d)
	}
}

func TestASessionIsAskedAboutAtTheBackendThatAllowedIt(t *testing.T) {
	t.Parallel()
	denies := newPortal(t, status(http.StatusForbidden))
	allows := newPortal(t, tokens(http.Header{"X-AuthDuration": {"1"}}))
	g := open(t, fmt.Sprintf("backends: {a: {url: %s}, b: {url: %s}}\nroutes: [{name: all, backends: [a, b]}]", denies.URL, allows.URL), ignore)
	g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	allows.until(t, "the question to be repeated", func() bool {
		watching(t, g, check.Session, "/ch1/1.ts")
		return len(allows.asked()) > 1
	})
	if n := len(denies.asked()); n > 1 {
		t.Errorf("the backend that had not allowed it was asked %d times, want once at the most", n)
	}
}

func TestWhereNothingJoinsEachRequestIsAskedAbout(t *testing.T) {
	p := newPortal(t, tokens(nil))
	g := open(t, fmt.Sprintf("backends: {portal: {url: %s}}\nroutes: [{name: all, backends: [portal], session: {join: []}}]", p.URL), ignore)
	for i := range 3 {
		if d := g.Check(within(t, patience), viewer("/ch1/index.m3u8")); !d.Allow || d.Reason != check.Backend || len(p.asked()) != i+1 {
			t.Errorf("got %+v after %d questions", d, len(p.asked()))
		}
	}
	if page, _ := g.Sessions().List(session.Filter{}, "", 10); len(page) > 0 {
		t.Errorf("sessions that nothing can join: %+v", page)
	}
}

func TestAQuestionThatCannotBePutIsNoOutage(t *testing.T) {
	t.Parallel()
	p := newPortal(t, tokens(http.Header{"X-AuthDuration": {"1"}}))
	g := open(t, one(p.URL, ", preset: ministra", "allow"), ignore)
	g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	again(t, "the session to end", func() bool {
		r := viewer("/ch1/1.ts")
		r.Query = ""
		return !g.Check(within(t, patience), r).Allow
	})
	for _, query := range []string{"altagate_id=;", "altagate_id=x;y=2", "a=1&altagate_id;b"} {
		r := viewer("/ch1/2.ts")
		r.Query = query
		if d := g.Check(within(t, patience), r); d.Allow || d.Reason != check.Malformed {
			t.Errorf("%s: %+v, want malformed", query, tell(d))
		}
	}
}

func TestAnOperatorsEndHoldsWhateverTheMethod(t *testing.T) {
	p := newPortal(t, tokens(http.Header{"X-UserId": {"u42"}}))
	for _, join := range []string{"[token, client]", "[]"} {
		g := open(t, fmt.Sprintf("backends: {portal: {url: %s}}\nroutes: [{name: all, backends: [portal], session: {join: %s}}]", p.URL, join), ignore)
		g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
		if _, err := g.Sessions().EndUser("u42", time.Hour); err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PROPFIND"} {
			r := viewer("/ch1/index.m3u8")
			r.Method = method
			if d := g.Check(within(t, patience), r); d.Allow {
				t.Errorf("join %s, %s: %+v, want revoked", join, method, tell(d))
			}
		}
	}
}

func TestATokenThatIsGoodOnceIsEnoughForRequestsAtTheSameMoment(t *testing.T) {
	var used atomic.Bool
	first, release := make(chan struct{}), make(chan struct{})
	p := newPortal(t, func(w http.ResponseWriter, _ *http.Request) {
		if !used.Swap(true) {
			close(first)
			return
		}
		<-release
		w.WriteHeader(http.StatusForbidden)
	})
	g := open(t, one(p.URL, ", timeout: 10s", "deny"), ignore)
	segment := make(chan check.Decision)
	go func() {
		<-first
		segment <- g.Check(within(t, patience), viewer("/ch1/1.ts"))
	}()
	master := g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	close(release)
	if d := <-segment; !master.Allow || !d.Allow {
		t.Errorf("the playlist: %+v, its segment: %+v", tell(master), tell(d))
	}
}

func TestASlowAnswerAboutASessionMakesNobodyLate(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	release := make(chan struct{})
	defer close(release)
	p := newPortal(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-AuthDuration", "1")
		if asked.Add(1) > 1 {
			<-release
		}
	})
	g := open(t, one(p.URL, ", timeout: 20s", "deny"), ignore)
	g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	again(t, "the answer to be over", func() bool {
		r := viewer("/ch1/1.ts")
		r.Query = ""
		d := g.Check(within(t, 2*time.Second), r)
		if !d.Allow {
			t.Fatalf("a viewer who was allowed is denied: %+v", tell(d))
		}
		return d.Reason == check.Grace
	})
}

package gate_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/gate"
	"github.com/altagate/altagate/pkg/limit"
)

// The addresses of the tests: an attacker's, and those of viewers.
const (
	attacker = "198.51.100.1"
	paying   = "192.0.2.7"
	another  = "192.0.2.8"
)

// from is a check of an address with a token. Each of n is another question.
func from(addr, token string, n int) *check.Request {
	r := viewer(fmt.Sprintf("/ch%d/index.m3u8", n))
	r.Addr, r.Query = netip.MustParseAddr(addr), "token="+token
	return r
}

// holding allows token=123 at once, answers hold=1 when release is closed, and denies
// the rest at once.
func holding(release <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("token") {
		case "123":
		case "held":
			held(release, http.StatusForbidden)(w, r)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}
}

// flood puts n questions that are held from an address, and counts the reasons of
// those that are not. The function that it gives waits for the others.
func flood(t *testing.T, g *gate.Gate, p *portal, addr string, n, held int) (wait func()) {
	t.Helper()
	before := len(p.asked())
	answers := make(chan told, n)
	for i := range n {
		go func() { answers <- tell(g.Check(within(t, patience), from(addr, "held", i))) }()
	}
	for range n - held {
		if got := <-answers; got.Allow || got.Reason != check.Overload || got.Status != http.StatusServiceUnavailable {
			t.Errorf("a question of the flood: %+v, want overload", got)
		}
	}
	p.until(t, "the flood's questions", func() bool { return len(p.asked()) == before+held })
	return func() {
		for range held {
			<-answers
		}
	}
}

func wantAllowed(t *testing.T, g *gate.Gate, r *check.Request, reason check.Reason) {
	t.Helper()
	if d := g.Check(within(t, patience), r); !d.Allow || d.Reason != reason {
		t.Errorf("%s %s: %+v, want an allow by %s", r.Addr, r.Path, tell(d), reason)
	}
}

func wantTurnedAway(t *testing.T, g *gate.Gate, r *check.Request, bound error) {
	t.Helper()
	d := g.Check(within(t, patience), r)
	if d.Allow || d.Reason != check.Overload || d.Status != http.StatusServiceUnavailable || !errors.Is(d.Outcome.Err, bound) {
		t.Errorf("%s %s: %+v, %v; want overload by %v", r.Addr, r.Path, tell(d), d.Outcome.Err, bound)
	}
}

// TestAFloodFromOneAddressKeepsNobodyElseOut has an attacker hang question after
// question, within the bounds of a config that says nothing of them.
func TestAFloodFromOneAddressKeepsNobodyElseOut(t *testing.T) {
	release := make(chan struct{})
	p, e := newPortal(t, holding(release)), newEvents()
	g := open(t, one(p.URL, ", timeout: 20s", "allow"), e.notify)
	<-e.turned
	wantAllowed(t, g, from(paying, "123", 1), check.Backend)
	wait := flood(t, g, p, attacker, 500, 32)
	wantAllowed(t, g, from(paying, "123", 1), check.Session)
	wantAllowed(t, g, from(another, "123", 1), check.Backend)
	wantAllowed(t, g, from(paying, "123", 2), check.Backend)
	watching(t, g, check.Session, "/ch1/1.ts", "/ch2/1.ts")
	wantTurnedAway(t, g, from(attacker, "123", 3), limit.ErrAddress)
	close(release)
	wait()
	if turned := of[check.Turned](e); len(turned) != 1 {
		t.Errorf("the backend turned %+v", turned)
	}
	wantReported(t, e, check.TurnedAway{Backend: "portal", Addr: netip.MustParseAddr(attacker), Err: limit.ErrAddress, Address: true})
}

// wantReported wants one report of questions that were turned away.
func wantReported(t *testing.T, e *events, want check.TurnedAway) {
	t.Helper()
	if got := of[check.TurnedAway](e); len(got) != 1 || got[0] != want {
		t.Errorf("reported %+v, want once %+v", got, want)
	}
}

func TestTooManyQuestionsInAllAreOverloadWhateverThePolicy(t *testing.T) {
	for _, policy := range []string{"deny", "allow"} {
		release := make(chan struct{})
		p, e := newPortal(t, holding(release)), newEvents()
		g := open(t, one(p.URL, ", timeout: 20s, limits: {questions: 3, queue: 0, per_address: 3}", policy), e.notify)
		<-e.turned
		wantAllowed(t, g, from(paying, "123", 1), check.Backend)
		wait := flood(t, g, p, attacker, 3, 3)
		wantTurnedAway(t, g, from(another, "123", 1), limit.ErrQuestions)
		wantTurnedAway(t, g, from(another, "123", 1), limit.ErrQuestions) // and no recent denial
		watching(t, g, check.Session, "/ch1/1.ts")
		close(release)
		wait()
		wantAllowed(t, g, from(another, "123", 1), check.Backend)
		wantReported(t, e, check.TurnedAway{Backend: "portal", Addr: netip.MustParseAddr(another), Err: limit.ErrQuestions})
	}
}

// TestAQuestionThatFindsNoTurnIsNoFailureOfTheBackend has two questions on a backend
// that hangs, one after the other.
func TestAQuestionThatFindsNoTurnIsNoFailureOfTheBackend(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hang)
	g := open(t, one(p.URL, ", timeout: 2s, limits: {questions: 1, queue: 1}", "allow"), ignore)
	first := make(chan check.Decision)
	go func() { first <- g.Check(within(t, patience), from(attacker, "held", 1)) }()
	p.until(t, "the first question", func() bool { return len(p.asked()) == 1 })
	wantTurnedAway(t, g, from(paying, "123", 1), limit.ErrQueue)
	if d := <-first; d.Reason != check.Unanswered {
		t.Errorf("the first question: %+v", tell(d))
	}
	if n := len(p.asked()); n != 1 {
		t.Errorf("the backend was asked %d times, want once", n)
	}
}

func TestAQuestionThatWaitsIsAskedWhenItIsItsTurn(t *testing.T) {
	release := make(chan struct{})
	p := newPortal(t, holding(release))
	g := open(t, one(p.URL, ", timeout: 20s, limits: {questions: 1, queue: 1}", "deny"), ignore)
	wait := flood(t, g, p, attacker, 1, 1)
	second, begun := make(chan check.Decision), make(chan struct{})
	go func() {
		ctx := waiting{within(t, patience), sync.OnceFunc(func() { close(begun) })}
		second <- g.Check(ctx, from(paying, "123", 1))
	}()
	<-begun
	close(release)
	wait()
	if d := <-second; !d.Allow || d.Reason != check.Backend {
		t.Errorf("got %+v", tell(d))
	}
}

func TestABigNATCanBeGivenMore(t *testing.T) {
	release := make(chan struct{})
	p := newPortal(t, holding(release))
	g := open(t, one(p.URL, ", timeout: 20s, limits: {per_address: 2, addresses: [{in: 203.0.113.0/24, times: 3}]}", "deny"), ignore)
	waits := []func(){flood(t, g, p, "203.0.113.50", 10, 6), flood(t, g, p, "203.0.113.51", 6, 6), flood(t, g, p, attacker, 10, 2)}
	close(release)
	for _, wait := range waits {
		wait()
	}
}

func TestAnAddressBeginsQuestionsAtItsRateAndAnotherOneIsNotHeldUp(t *testing.T) {
	p := newPortal(t, holding(nil))
	g := open(t, one(p.URL, ", limits: {rate: 1}", "deny"), ignore)
	refused := 0
	for i := range 100 {
		r := from("2001:db8::1", "junk", i)
		if i%2 == 1 {
			r.Addr = netip.MustParseAddr("2001:db8::2") // the same /64
		}
		if d := g.Check(within(t, patience), r); d.Reason == check.Overload && errors.Is(d.Outcome.Err, limit.ErrRate) {
			refused++
		}
	}
	if asked := len(p.asked()); asked < 10 || refused == 0 || asked+refused != 100 {
		t.Errorf("%d questions were asked and %d turned away, want 10 and one more for each second", asked, refused)
	}
	wantAllowed(t, g, from("2001:db8:0:1::1", "123", 1), check.Backend)
}

func TestASessionsOwnQuestionIsNotInTheRateOfItsAddress(t *testing.T) {
	t.Parallel()
	p := newPortal(t, tokens(http.Header{"X-AuthDuration": {"1"}}))
	g := open(t, one(p.URL, ", limits: {rate: 1, per_address: 1}", "deny"), ignore)
	wantAllowed(t, g, from(paying, "123", 1), check.Backend)
	again(t, "the question to be repeated", func() bool {
		g.Check(within(t, patience), from(paying, "junk", int(time.Now().UnixNano()))) // uses the rate up
		watching(t, g, check.Session, "/ch1/1.ts")
		times := 0
		for _, q := range p.asked() {
			if q.URL.RawQuery == "token=123" {
				times++
			}
		}
		return times > 2
	})
}

func TestASessionWhoseOwnQuestionIsTurnedAwayIsInItsGrace(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	p := newPortal(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-AuthDuration", "1")
		holding(release)(w, r)
	})
	g := open(t, one(p.URL, ", timeout: 20s, limits: {questions: 1, queue: 0}", "deny"), ignore)
	wantAllowed(t, g, from(paying, "123", 1), check.Backend)
	wait := flood(t, g, p, attacker, 1, 1)
	reached := func(reason check.Reason) {
		again(t, "an allow by "+string(reason), func() bool {
			r := viewer("/ch1/1.ts")
			r.Query = ""
			d := g.Check(within(t, patience), r)
			if !d.Allow {
				t.Fatalf("a viewer who was allowed is denied: %+v", tell(d))
			}
			return d.Reason == reason
		})
	}
	reached(check.Grace)
	close(release)
	wait()
	reached(check.Session)
}

func TestABackendThatIsBusyLeavesTheDecisionToTheOthersOnlyIfTheyAllow(t *testing.T) {
	release := make(chan struct{})
	busy, other := newPortal(t, holding(release)), newPortal(t, holding(nil))
	g := open(t, fmt.Sprintf("backends: {busy: {url: %s, timeout: 20s, limits: {questions: 1, queue: 0}}, other: {url: %s}}\n"+
		"routes:\n  - {name: both, backends: [busy, other], on_unavailable: allow}\n"+
		"  - {name: one, match: {paths: [/ch1/]}, backends: [busy]}", busy.URL, other.URL), ignore)
	hold := from(attacker, "held", 1) // on the other route
	held := make(chan check.Decision)
	go func() { held <- g.Check(within(t, patience), hold) }()
	busy.until(t, "the question", func() bool { return len(busy.asked()) == 1 })
	wantAllowed(t, g, from(paying, "123", 2), check.Backend)
	wantTurnedAway(t, g, from(paying, "junk", 2), limit.ErrQuestions)
	close(release)
	<-held
}

func TestAReloadKeepsWhatCountsAndPutsNewBoundsInForce(t *testing.T) {
	release := make(chan struct{})
	p, e := newPortal(t, holding(release)), newEvents()
	config := func(questions int) string {
		return one(p.URL, fmt.Sprintf(", timeout: 20s, limits: {questions: %d, queue: 0}", questions), "deny")
	}
	g := open(t, config(1), e.notify)
	<-e.turned
	wait := flood(t, g, p, attacker, 1, 1)
	mustReload(t, g, config(1))
	wantTurnedAway(t, g, from(paying, "123", 1), limit.ErrQuestions)
	mustReload(t, g, config(2))
	wantAllowed(t, g, from(paying, "123", 1), check.Backend)
	if n := len(of[check.Turned](e)); n != 1 {
		t.Errorf("the backend was reported there or away %d times, want once: its bounds alone are new", n)
	}
	close(release)
	wait()
}

// TestWhileTheBackendIsAwayNoBoundIsMet has one address ask more than it may: nothing
// is asked, so there is nothing to protect.
func TestWhileTheBackendIsAwayNoBoundIsMet(t *testing.T) {
	e := newEvents()
	g := open(t, one(nobody(t), ", limits: {questions: 1, queue: 0, rate: 1}", "allow"), e.notify)
	<-e.turned
	for i := range 50 {
		wantAllowed(t, g, from(paying, "123", i), check.Default)
	}
}

// TestWhoWasLetInByADefaultIsANewcomerWhenTheBackendIsBack has an attacker come in by
// the default on many streams, and hang the question about each when the backend is
// back: they are his questions, and within the bounds of his address.
func TestWhoWasLetInByADefaultIsANewcomerWhenTheBackendIsBack(t *testing.T) {
	release := make(chan struct{})
	var back atomic.Bool
	p := newPortalWithProbe(t, holding(release), func(w http.ResponseWriter, _ *http.Request) {
		if !back.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	e := newEvents()
	g := open(t, one(p.URL, ", timeout: 20s, unavailable_statuses: [503], limits: {questions: 8, queue: 8, per_address: 2}", "allow"), e.notify)
	<-e.turned
	for i := range 40 {
		wantAllowed(t, g, from(attacker, "held", i), check.Default)
	}
	back.Store(true)
	<-e.turned
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if d := g.Check(within(t, patience), from(attacker, "held", i)); d.Allow {
				t.Errorf("an attacker is allowed: %+v", tell(d))
			}
		})
	}
	p.until(t, "the attacker's questions", func() bool { return len(p.asked()) >= 2 })
	again(t, "the attacker's other questions to be turned away", func() bool { return len(of[check.TurnedAway](e)) > 0 })
	wantAllowed(t, g, from(another, "123", 1), check.Backend)
	if n := len(p.asked()); n > 3 {
		t.Errorf("%d questions are under way, want 2 of the attacker's and one of a viewer", n)
	}
	close(release)
	all.Wait()
}

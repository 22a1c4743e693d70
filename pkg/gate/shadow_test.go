package gate_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/altagate/altagate/pkg/check"
)

// reported waits for n reports about shadow questions.
func (e *events) reported(t *testing.T, p *portal, n int) []check.Shadowed {
	t.Helper()
	p.until(t, fmt.Sprintf("%d reports", n), func() bool { return len(of[check.Shadowed](e)) >= n })
	return of[check.Shadowed](e)
}

// nudging has the events of a portal's waiter come with those of the gate.
func nudging(e *events, p *portal) func(check.Event) {
	return func(event check.Event) {
		e.notify(event)
		p.note(func() {})
	}
}

func TestAShadowBackendIsAskedTheSameAndDecidesNothing(t *testing.T) {
	token := func(good string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("token") != good {
				w.WriteHeader(http.StatusForbidden)
			}
		}
	}
	own, other, e := newPortal(t, token("old")), newPortal(t, token("new")), newEvents()
	g := open(t, fmt.Sprintf("backends: {portal: {url: %s}, next: {url: %s}}\n"+
		"routes: [{name: all, backends: [portal], shadow: [next]}]\n", own.URL, other.URL), nudging(e, own))
	for i, test := range []struct {
		path, token string
		own, shadow check.Verdict
	}{
		{"/ch1/index.m3u8", "old", check.Allowed, check.Denied},
		{"/ch2/index.m3u8", "new", check.Denied, check.Allowed},
		{"/ch3/index.m3u8", "junk", check.Denied, check.Denied},
	} {
		r := viewer(test.path)
		r.Query = "token=" + test.token
		if d := g.Check(within(t, patience), r); d.Allow != (test.own == check.Allowed) || d.Reason != check.Backend || d.Outcome.Backend != "portal" {
			t.Errorf("%s: %+v", test.token, tell(d))
		}
		got := e.reported(t, own, i+1)[i]
		if got.Own != test.own || got.Shadow != test.shadow || got.Dropped || got.Route != "all" || got.Backend != "next" || got.Request.Path != test.path {
			t.Errorf("%s: reported %+v", test.token, got)
		}
		if want, asked := own.asked()[i].Header, other.asked()[i].Header; got.Session != want.Get("X-Session-Id") || !sameHeaders(want, asked) {
			t.Errorf("%s: the shadow was asked with %v, want %v", test.token, asked, want)
		}
	}
	watching(t, g, check.Session, "/ch1/1.ts")
	if n := len(other.asked()); n != 3 {
		t.Errorf("the shadow was asked %d times, want once for each question", n)
	}
}

func sameHeaders(a, b http.Header) bool {
	for name := range a {
		if !slices.Equal(a[name], b[name]) {
			return false
		}
	}
	return true
}

// TestATokenThatIsGoodForOneQuestionIsTheOwnBackends has both backends be the same
// portal, which takes each token once.
func TestATokenThatIsGoodForOneQuestionIsTheOwnBackends(t *testing.T) {
	used := map[string]bool{}
	var p *portal
	p = newPortal(t, func(w http.ResponseWriter, r *http.Request) {
		token, denied := r.URL.Query().Get("token"), false
		p.note(func() { denied, used[token] = used[token], true })
		if denied {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	e := newEvents()
	g := open(t, fmt.Sprintf("backends: {portal: {url: %s}, next: {url: %s}}\n"+
		"routes: [{name: all, backends: [portal], shadow: [next]}]\n", p.URL, p.URL), nudging(e, p))
	for i := range 20 {
		r := viewer("/ch1/index.m3u8")
		r.Query = fmt.Sprintf("token=%d", i)
		if d := g.Check(within(t, patience), r); !d.Allow {
			t.Errorf("token %d: %+v", i, tell(d))
		}
	}
	for _, got := range e.reported(t, p, 20) {
		if got.Own != check.Allowed || got.Shadow != check.Denied {
			t.Errorf("reported %+v", got)
		}
	}
}

// TestAShadowBackendThatHangsHoldsNobodyUp has more viewers than the shadow takes
// questions.
func TestAShadowBackendThatHangsHoldsNobodyUp(t *testing.T) {
	release := make(chan struct{})
	own, other, e := newPortal(t, status(http.StatusOK)), newPortal(t, held(release, http.StatusOK)), newEvents()
	g := open(t, fmt.Sprintf("backends: {portal: {url: %s}, next: {url: %s, timeout: 20s, limits: {questions: 2, queue: 0}}}\n"+
		"routes: [{name: all, backends: [portal], shadow: [next]}]\n", own.URL, other.URL), nudging(e, own))
	for i := range 10 {
		wantAllowed(t, g, from(paying, "123", i), check.Backend)
		wantAllowed(t, g, from(paying, "123", i), check.Session)
	}
	for _, got := range e.reported(t, own, 8) {
		if !got.Dropped {
			t.Errorf("reported %+v", got)
		}
	}
	close(release)
	answered := 0
	for _, got := range e.reported(t, own, 10) {
		if !got.Dropped && got.Shadow == check.Allowed {
			answered++
		}
	}
	if answered != 2 {
		t.Errorf("%d shadow questions were answered, want 2", answered)
	}
}

// TestAReloadTakesAShadowBackendAwayWhenItsQuestionsHaveEnded looks at what a config
// without it leaves behind.
func TestAReloadTakesAShadowBackendAwayWhenItsQuestionsHaveEnded(t *testing.T) {
	release := make(chan struct{})
	own, other, e := newPortal(t, status(http.StatusOK)), newPortal(t, held(release, http.StatusOK)), newEvents()
	g := open(t, fmt.Sprintf("backends: {portal: {url: %s}, next: {url: %s, timeout: 20s}}\n"+
		"routes: [{name: all, backends: [portal], shadow: [next]}]\n", own.URL, other.URL), nudging(e, own))
	wantAllowed(t, g, from(paying, "123", 1), check.Backend)
	other.until(t, "the shadow question", func() bool { return len(other.asked()) == 1 })
	if err := g.Reload(parsed(t, one(own.URL, "", "deny"))); err != nil {
		t.Fatal(err)
	}
	wantAllowed(t, g, from(paying, "123", 2), check.Backend)
	close(release)
	if got := e.reported(t, own, 1); got[0].Shadow != check.Allowed || len(got) != 1 {
		t.Errorf("reported %+v", got)
	}
	other.until(t, "its connections to close", func() bool { opened, open := other.connections(); return opened > 0 && open == 0 })
}

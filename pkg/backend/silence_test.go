package backend

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
)

func TestAHungBackendIsAwayWhenItsSilenceLastedLongerThanQuestionsExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", says(200), says(200))
		b := scripted(t, s, e, "a")
		s.calls()
		s.set("a", silence, silence)

		first := ask(t, b)
		time.Sleep(1500 * time.Millisecond)
		late := ask(t, b) // goes ahead: no probe has gone unanswered yet
		time.Sleep(600 * time.Millisecond)
		waiting := ask(t, b) // at 2.1s one has
		for name, o := range map[string]<-chan check.Outcome{"first": first, "late": late} {
			if got := word(<-o); got != "unanswered" {
				t.Errorf("%s: %s", name, got)
			}
		}
		if got := word(<-waiting); got != "absent" || time.Since(s.begun) != 14500*time.Millisecond {
			t.Errorf("waiting: %s after %s", got, time.Since(s.begun))
		}
		// The first probe comes at half the first question's timeout; the second
		// when the last question has run out, at 1.5s + 2s. From there it takes ten
		// seconds, and one for the probe that counts.
		want := []string{"0s question a", "1s probe a", "1.5s question a"}
		for i := range 11 {
			want = append(want, fmt.Sprintf("%d.5s probe a", 3+i))
		}
		if diff := cmp.Diff(want, s.calls()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"http://a there=true up=true", "http://a there=false up=false"}, e.turns()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestASilenceThatNoQuestionExplainsIsAwayWithTheSecondProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", silence, silence)
		b := scripted(t, s, e, "a")
		time.Sleep(2001 * time.Millisecond)
		if diff := cmp.Diff([]string{"0s probe a", "1s probe a"}, s.calls()[:2]); diff != "" || !b.Away() {
			t.Errorf("away: %t, %s", b.Away(), diff)
		}
	})
}

// worker is a portal that answers one request at a time, and goes on with one
// whose caller has left.
type worker struct{ free chan struct{} }

func newWorker() worker { return worker{make(chan struct{}, 1)} }

// after answers when the worker was busy with it for that time.
func (w worker) after(busy time.Duration, then act) act {
	return func(r *http.Request) (*http.Response, error) {
		connected(r)
		select {
		case w.free <- struct{}{}:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		done := make(chan struct{})
		time.AfterFunc(busy, func() {
			<-w.free
			close(done)
		})
		select {
		case <-done:
			return then(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

// TestAViewerWhoHoldsThePortalsOnlyWorkerOpensTheGateForNobody has a question that
// keeps the portal busy for long after altagate gave it up.
func TestAViewerWhoHoldsThePortalsOnlyWorkerOpensTheGateForNobody(t *testing.T) {
	for _, busy := range []time.Duration{3 * time.Second, 6 * time.Second, 12 * time.Second} {
		t.Run(busy.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, e, portal := newScript(), &events{}, newWorker()
				probe := portal.after(time.Millisecond, says(404))
				s.set("a", nil, probe)
				b := scripted(t, s, e, "a")
				time.Sleep(time.Second)

				s.set("a", portal.after(busy, says(403)), probe)
				evil := ask(t, b)
				synctest.Wait()
				s.set("a", portal.after(time.Millisecond, says(403)), probe)
				others := make(chan string, 100)
				for range 100 {
					time.Sleep(200 * time.Millisecond)
					go func() { others <- word(b.Ask(t.Context(), viewer(), s1())) }()
				}
				if got := word(<-evil); got != "unanswered" {
					t.Errorf("who holds the worker: %s", got)
				}
				var got []string
				for range 100 {
					got = append(got, <-others)
				}
				if slices.Contains(got, "absent") || got[99] != "deny" {
					t.Errorf("others: %q", got)
				}
				if diff := cmp.Diff([]string{"http://a there=true up=true"}, e.turns()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestAfterASilenceTheFirstAnswerIsNoticedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", says(200), says(200))
		b := scripted(t, s, e, "a")
		s.set("a", silence, silence)
		<-ask(t, b)
		time.Sleep(3 * time.Second)
		waiting := ask(t, b)
		time.Sleep(300 * time.Millisecond)
		s.set("a", says(200), says(200))
		begun := time.Now()
		if got := word(<-waiting); got != "allow" || time.Since(begun) > time.Second {
			t.Errorf("%s after %s", got, time.Since(begun))
		}
		if turns := e.turns(); len(turns) != 1 {
			t.Errorf("turned: %q", turns)
		}
	})
}

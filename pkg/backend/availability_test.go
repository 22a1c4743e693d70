package backend

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
)

func TestWhatOneAddressDoesDecidesTheOutcome(t *testing.T) {
	for _, test := range []struct {
		name            string
		question, probe act
		want            string
		after           time.Duration // of the question
		questions       int
	}{
		{"allows", says(200), says(200), "allow", 0, 1},
		{"denies", says(403), says(200), "deny", 0, 1},
		{"denies, and the probe is refused", says(403), refuse, "absent", 0, 0},
		{"is refused", refuse, refuse, "absent", 0, 0},
		{"is refused, and the probe gets 500", refuse, says(500), "unanswered", 0, 1},
		{"resets the question alone", reset, says(404), "unanswered", 0, 1},
		{"hangs for the question alone", silence, says(404), "unanswered", 2 * time.Second, 1},
		{"has no descriptors for the question", noDescriptors, says(404), "overload", 0, 1},
		{"has no descriptors for the probe", reset, noDescriptors, "overload", 0, 1},
		{"has no descriptors for the probe, and allows", says(200), noDescriptors, "allow", 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript()
				s.set("a", test.question, test.probe)
				b := scripted(t, s, nil, "a")
				s.calls()
				begun := time.Now()
				if got := word(<-ask(t, b)); got != test.want {
					t.Errorf("outcome is %s, want %s", got, test.want)
				}
				if took := time.Since(begun); took != test.after {
					t.Errorf("took %s, want %s", took, test.after)
				}
				if n := count(s.calls(), "question"); n != test.questions {
					t.Errorf("%d questions were sent, want %d", n, test.questions)
				}
			})
		})
	}
}

// count counts the calls that have the word.
func count(calls []string, word string) (n int) {
	for _, c := range calls {
		if strings.Contains(c, word) {
			n++
		}
	}
	return n
}

func TestAQuestionBeforeTheFirstFindingIsPutAndItsFailureWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.set("a", reset, slowly(700*time.Millisecond, refuse))
		b := scripted(t, s, nil, "a")
		begun := time.Now()
		if got := word(<-ask(t, b)); got != "absent" || time.Since(begun) != 700*time.Millisecond {
			t.Errorf("%s after %s, want absent after the probe's 700ms", got, time.Since(begun))
		}
		if calls := s.calls(); count(calls, "question") != 1 || count(calls, "probe") != 1 {
			t.Errorf("sent: %q", calls)
		}
	})
}

func TestQuestionsThatWaitForTheSecondProbeGoAheadWhenItIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", says(200), says(200))
		b := scripted(t, s, e, "a")
		s.calls()

		s.set("a", silence, silence)
		holding := ask(t, b)
		time.Sleep(1500 * time.Millisecond)
		s.set("a", says(200), slowly(500*time.Millisecond, says(404)))
		time.Sleep(600 * time.Millisecond) // the probe at 1s had no answer
		waiting := ask(t, b)
		if got := word(<-waiting); got != "allow" {
			t.Errorf("the waiting question: %s", got)
		}
		if got := word(<-holding); got != "unanswered" {
			t.Errorf("the question that held the portal's worker: %s", got)
		}
		if turns := e.turns(); len(turns) != 1 {
			t.Errorf("turned: %q", turns)
		}
	})
}

func TestWaitingForASuspectIsWithinTheQuestionsTimeoutAndTheCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.set("a", silence, silence)
		b := scripted(t, s, nil, "a") // its first probe runs from 0s to 1s
		early := ask(t, b)            // holds the second probe until 2s
		time.Sleep(1100 * time.Millisecond)
		s.calls()

		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if got := word(b.Ask(ctx, viewer(), s1())); got != "unanswered" {
			t.Errorf("outcome is %s", got)
		}
		if took := time.Since(begun); took != 300*time.Millisecond {
			t.Errorf("took %s", took)
		}
		if calls := s.calls(); count(calls, "question") != 0 {
			t.Errorf("sent: %q", calls)
		}
		<-early
	})
}

func TestNoViewersFailingQuestionsMakeABackendAwayWhileItAnswersTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", nil, says(403))
		b := scripted(t, s, e, "a")
		evil := []act{reset, silence, refuse, says(999), slowly(1900*time.Millisecond, reset)}
		for i := range 50 {
			s.set("a", evil[i%len(evil)], says(403))
			outcomes := []<-chan check.Outcome{ask(t, b), ask(t, b), ask(t, b)}
			synctest.Wait()
			s.set("a", says(200), says(403))
			if got := word(<-ask(t, b)); got != "allow" {
				t.Fatalf("round %d: a good question: %s", i, got)
			}
			for _, o := range outcomes {
				if got := word(<-o); got != "unanswered" {
					t.Fatalf("round %d: a bad question: %s", i, got)
				}
			}
		}
		if diff := cmp.Diff([]string{"http://a there=true up=true"}, e.turns()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhileAwayNothingIsAskedAndTheReturnIsNoticedWithinASecondOrSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", says(200), refuse)
		b := scripted(t, s, e, "a")
		for range 100 {
			begun := time.Now()
			if o := <-ask(t, b); word(o) != "absent" || o.Err == nil || time.Since(begun) != 0 {
				t.Fatalf("outcome is %+v after %s", o, time.Since(begun))
			}
			time.Sleep(100 * time.Millisecond)
		}
		calls := s.calls()
		if n := count(calls, "probe"); count(calls, "question") != 0 || n < 9 || n > 12 {
			t.Errorf("sent in 10s: %q", calls)
		}
		if asked := e.asked(); len(asked) != 0 {
			t.Errorf("reported questions: %v", asked)
		}
		s.set("a", says(200), says(500))
		time.Sleep(1200 * time.Millisecond)
		if got := word(<-ask(t, b)); got != "allow" {
			t.Errorf("after the return: %s", got)
		}
		s.calls()
		time.Sleep(time.Minute)
		if calls := s.calls(); len(calls) != 0 {
			t.Errorf("probed on after the return: %q", calls)
		}
		want := []string{"http://a there=false up=false", "http://a there=true up=true"}
		if diff := cmp.Diff(want, e.turns()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOwnFailuresOfTheProbeLeaveAnAwayBackendAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", says(200), refuse)
		b := scripted(t, s, e, "a")
		s.set("a", says(200), noDescriptors)
		time.Sleep(5 * time.Second)
		if got := word(<-ask(t, b)); got != "absent" {
			t.Errorf("without descriptors: %s", got)
		}
		s.set("a", says(200), says(200))
		time.Sleep(1200 * time.Millisecond)
		if got := word(<-ask(t, b)); got != "allow" {
			t.Errorf("after the return: %s", got)
		}
	})
}

func TestASlowQuestionHasTheBackendProbedBesideIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", slowly(1500*time.Millisecond, says(200)), says(200))
		b := scripted(t, s, e, "a")
		s.calls()
		if got := word(<-ask(t, b)); got != "allow" {
			t.Errorf("outcome is %s", got)
		}
		if diff := cmp.Diff([]string{"0s question a", "1s probe a"}, s.calls()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOneFindingIsEnoughForAFailedQuestionHoweverOftenItIsProbedAfterwards(t *testing.T) {
	p := &pool{all: []*address{{state: there, pending: true, findings: 2}}}
	if f, done := p.judge([]uint64{1}); !done || f.absent {
		t.Errorf("found %+v, done %t after a finding", f, done)
	}
	if _, done := p.judge([]uint64{2}); done {
		t.Error("done without a finding")
	}
}

func TestProbesOfOneAddressAreOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.set("a", reset, says(200))
		b := scripted(t, s, nil, "a")
		s.calls()
		s.set("a", reset, slowly(500*time.Millisecond, says(200)))
		var outcomes []<-chan check.Outcome
		for range 100 {
			outcomes = append(outcomes, ask(t, b))
		}
		for _, o := range outcomes {
			if got := word(<-o); got != "unanswered" {
				t.Errorf("outcome is %s", got)
			}
		}
		if n := count(s.calls(), "probe"); n != 1 {
			t.Errorf("%d probes for 100 failures at the same moment", n)
		}
	})
}

func TestACallerWhoLeavesIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", silence, says(200))
		b := scripted(t, s, e, "a")
		s.calls()
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, leave)
		if got := word(b.Ask(ctx, viewer(), s1())); got != "unanswered" {
			t.Errorf("outcome is %s", got)
		}
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{"0s question a"}, s.calls()); diff != "" {
			t.Error(diff)
		}
		if asked := e.asked(); len(asked) != 0 {
			t.Errorf("reported: %v", asked)
		}
	})
}

func TestACallerWhoLeavesWhileASuspectIsProbedIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", silence, silence)
		b := scripted(t, s, e, "a") // its first probe runs from 0s to 1s
		early := ask(t, b)          // holds the second probe until 2s
		time.Sleep(1100 * time.Millisecond)
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, leave)
		begun := time.Now()
		if got := word(b.Ask(ctx, viewer(), s1())); got != "unanswered" || time.Since(begun) != 100*time.Millisecond {
			t.Errorf("%s after %s", got, time.Since(begun))
		}
		if asked := e.asked(); len(asked) != 0 {
			t.Errorf("reported: %v", asked)
		}
		<-early
	})
}

func TestACallersShortDeadlineHasTheBackendProbedAndIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", says(200), says(200))
		b := scripted(t, s, e, "a")
		s.set("a", silence, refuse)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		begun := time.Now()
		b.Ask(ctx, viewer(), s1())
		if took := time.Since(begun); took != 200*time.Millisecond {
			t.Errorf("took %s", took)
		}
		synctest.Wait()
		if got := word(<-ask(t, b)); got != "absent" {
			t.Errorf("the next question: %s", got)
		}
	})
}

func TestCloseEndsProbingAndWhoeverWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", reset, says(200))
		s.set("b", says(200), refuse)
		b := scripted(t, s, e, "a", "b")
		s.set("a", reset, silence)
		waiting := ask(t, b)
		synctest.Wait()
		b.Close()
		if got := word(<-waiting); got != "unanswered" {
			t.Errorf("outcome is %s", got)
		}
		s.calls()
		turned := len(e.turns())
		<-ask(t, b)
		time.Sleep(time.Minute)
		if calls := s.calls(); count(calls, "probe") != 0 || len(e.turns()) != turned {
			t.Errorf("after Close: %q, %q", calls, e.turns())
		}
	})
}

func TestAnUnavailableStatusOfTheProbeMeansAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.set("a", says(502), says(502))
		c := Config{UnavailableStatuses: []int{502}}
		c.URLs = append(c.URLs, mustURL(t, "http://a/auth"))
		b, err := assemble(c, s.send)
		if err != nil {
			t.Fatal(err)
		}
		b.Watch()
		defer b.Close()
		if got := word(<-ask(t, b)); got != "absent" {
			t.Errorf("outcome is %s", got)
		}
	})
}

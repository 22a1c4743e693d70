package backend

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
)

// backends makes one backend for each host.
func backends(t *testing.T, s *script, e *events, hosts ...string) (all []*Backend) {
	t.Helper()
	for _, h := range hosts {
		b := scripted(t, s, e, h)
		b.config.Name = h
		all = append(all, b)
	}
	return all
}

func TestSeveralBackendsAreAskedAtOnceAndAnyAllowWins(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name            string
		a, probeA       act
		b, probeB       act
		want, decidedBy string
		after           time.Duration
	}{
		{"allow, and the other denies", says(200), says(200), says(403), says(200), "allow", "a", 0},
		{"allow, and the other hangs", silence, says(200), slowly(50*ms, says(200)), says(200), "allow", "b", 50 * ms},
		{"allow, and the other is away", says(200), refuse, slowly(50*ms, says(200)), says(200), "allow", "b", 50 * ms},
		{"allow, and the other has no descriptors", noDescriptors, says(200), slowly(50*ms, says(200)), says(200), "allow", "b", 50 * ms},
		{"both deny", says(403), says(200), slowly(50*ms, says(404)), says(200), "deny", "b", 50 * ms},
		{"a deny, and the other is away", says(200), refuse, slowly(50*ms, says(403)), says(200), "unanswered", "a", 50 * ms},
		{"a deny, and the other hangs", says(403), says(200), silence, says(200), "unanswered", "b", 2 * time.Second},
		{"a deny, and the other hangs with its probe", says(403), says(200), silence, silence, "unanswered", "b", 2 * time.Second},
		{"a deny, and the other has no descriptors", says(403), says(200), noDescriptors, says(200), "overload", "b", 0},
		{"both are away", says(200), refuse, says(200), refuse, "absent", "", 0},
		{"both hang with their probes", silence, silence, silence, silence, "unanswered", "", 2 * time.Second},
		{"one is away, and the other resets", says(200), refuse, slowly(50*ms, reset), says(200), "unanswered", "b", 50 * ms},
		{"one is away, and the other has no descriptors", says(200), refuse, noDescriptors, says(200), "overload", "", 0},
		{"one is away, and the probe of the other has none", says(200), refuse, slowly(50*ms, reset), noDescriptors, "overload", "b", 50 * ms},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript()
				s.set("a", test.a, test.probeA)
				s.set("b", test.b, test.probeB)
				all := backends(t, s, nil, "a", "b")
				begun := time.Now()
				o := Ask(t.Context(), all, viewer(), s1())
				if got := word(o); got != test.want {
					t.Errorf("outcome is %s, want %s", got, test.want)
				}
				if test.decidedBy != "" && o.Backend != test.decidedBy || o.Session != "s1" {
					t.Errorf("decided by %q for session %q, want %q", o.Backend, o.Session, test.decidedBy)
				}
				if took := time.Since(begun); took != test.after {
					t.Errorf("took %s, want %s", took, test.after)
				}
			})
		})
	}
}

func TestQuestionsThatAnAllowCallsOffAreNoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", silence, says(200))
		s.set("b", slowly(1500*time.Millisecond, says(200)), says(200))
		all := backends(t, s, e, "a", "b")
		if got := word(Ask(t.Context(), all, viewer(), s1())); got != "allow" {
			t.Errorf("outcome is %s", got)
		}
		time.Sleep(10 * time.Second) // a question that goes on would fail at 2s
		if diff := cmp.Diff([]check.Verdict{check.Allowed}, e.asked()); diff != "" {
			t.Error(diff)
		}
		if n := len(e.turns()); n != 2 {
			t.Errorf("%d turns, want the two first findings", n)
		}
	})
}

func TestACallerWhoLeavesCallsAllQuestionsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", silence, says(200))
		s.set("b", silence, says(200))
		all := backends(t, s, e, "a", "b")
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, leave)
		if got := word(Ask(ctx, all, viewer(), s1())); got != "unanswered" {
			t.Errorf("outcome is %s", got)
		}
		if asked := e.asked(); len(asked) != 0 {
			t.Errorf("reported: %v", asked)
		}
	})
}

func TestWithoutBackendsNothingIsAllowedAndNothingAbsent(t *testing.T) {
	if o := Ask(t.Context(), nil, viewer(), s1()); word(o) != "unanswered" {
		t.Errorf("outcome is %+v", o)
	}
}

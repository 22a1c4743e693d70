package backend

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
)

// door lets questions in or not, and counts.
type door struct {
	err          error
	enter, leave int
	// waits is set if a question waits at the door until its time is over.
	waits bool
}

func (d *door) Enter(ctx context.Context, _ *check.Request, within time.Duration) (func(), error) {
	d.enter++
	if d.waits {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if d.err != nil {
		return nil, d.err
	}
	return func() { d.leave++ }, nil
}

func TestAQuestionThatIsTurnedAwayIsOverloadAndSaysNothingOfTheBackend(t *testing.T) {
	busy := errors.New("busy")
	for _, test := range []struct {
		name            string
		door            door
		question, probe act
		want            string
		left            int
		after           time.Duration
		sent            []string
	}{
		{"let in", door{}, says(200), says(200), "allow", 1, 0, []string{"0s question a"}},
		{"let in, and it fails", door{}, reset, says(200), "unanswered", 1, 0, []string{"0s question a", "0s probe a"}},
		{"turned away", door{err: busy}, says(200), refuse, "overload", 0, 0, nil},
		{"no turn comes", door{waits: true}, says(200), refuse, "overload", 0, time.Second, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, e := newScript(), &events{}
				s.set("a", says(200), says(200))
				b := scripted(t, s, e, "a")
				b.config.Enter = test.door.Enter
				s.set("a", test.question, test.probe)
				s.calls()
				o := b.Ask(t.Context(), viewer(), s1())
				if word(o) != test.want || o.Absent || time.Since(s.begun) != test.after {
					t.Errorf("%s after %v: %+v", word(o), time.Since(s.begun), o)
				}
				synctest.Wait()
				if diff := cmp.Diff(test.sent, s.calls()); diff != "" {
					t.Errorf("sent (-want +got)\n%s", diff)
				}
				if test.door.leave != test.left {
					t.Errorf("left %d times, want %d", test.door.leave, test.left)
				}
			})
		})
	}
}

func TestNothingEntersABackendThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", refuse, refuse)
		b := scripted(t, s, e, "a")
		d := &door{err: errors.New("busy")}
		b.config.Enter = d.Enter
		if o := b.Ask(t.Context(), viewer(), s1()); !o.Absent || o.Overload || o.Err == nil || d.enter != 0 {
			t.Errorf("entered %d times: %+v", d.enter, o)
		}
	})
}

func TestAQuestionThatWaitsForItsTurnHoldsUpNoAllowOfAnotherBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", says(200), says(200))
		s.set("b", says(200), says(200))
		all := backends(t, s, e, "a", "b")
		all[0].config.Enter = (&door{waits: true}).Enter
		if o := Ask(t.Context(), all, viewer(), s1()); word(o) != "allow" || time.Since(s.begun) != 0 {
			t.Errorf("after %v: %+v", time.Since(s.begun), o)
		}
	})
}

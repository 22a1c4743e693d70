package session

import (
	"fmt"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

func TestASessionEndsAfterIdle(t *testing.T) {
	rules := viewers()
	rules.Idle, rules.Grace = 5*time.Minute, 0
	inWorld(t, rules, func(w *world) {
		w.want(entry, "allow backend")
		w.pass(time.Minute)
		w.want(segment, "allow session")
		w.pass(5*time.Minute - time.Nanosecond)
		w.wantEnds("a moment before")
		w.pass(time.Nanosecond)
		w.wantEnds("idle", "idle")
		got := w.ended()[0]
		if got.Requests != 2 || got.Last.Sub(got.Started) != time.Minute || got.Stream != "/live/ch1/" {
			t.Errorf("the end says %+v", got)
		}
		w.want(entry, "allow backend")
	})
}

func TestAnAuthDurationThatIsLongerThanIdleIsTheIdle(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Hour))
		w.want(entry, "allow backend")
		w.pass(44 * time.Minute) // a minute before the question would be put again
		w.want(segment, "allow session")
		w.wantAsked(1, "within the hour")
	})
}

func TestMaxEndsASessionThatIsWatched(t *testing.T) {
	rules := viewers()
	rules.Max, rules.Grace = time.Hour, 0
	inWorld(t, rules, func(w *world) {
		w.script(ministra())
		w.want(entry+"?token=1", "allow backend")
		for range 60 {
			w.want(segment, "allow session")
			w.pass(time.Minute)
		}
		w.wantEnds("an hour", "max")
		w.want(segment, "deny backend")
		w.want(entry+"?token=2", "allow backend")
	})
}

func TestTheQuestionIsRepeatedBeforeItsTimeIfARequestCame(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Minute))
		w.want(entry+"?token=1", "allow backend")
		w.wantAsked(1, "the first")
		var at []time.Duration
		for range 10 {
			before := time.Now()
			w.pass(10 * time.Second)
			w.want(segment, "allow session")
			w.pass(50*time.Second - time.Nanosecond)
			asked := w.questions()
			if len(asked) == 0 {
				t.Fatal("not asked before the minute was over")
			}
			last := asked[len(asked)-1]
			if !last.again || last.String() != entry+"?token=1" {
				t.Errorf("repeated as %v", last)
			}
			at = append(at, last.at.Sub(before))
		}
		spread := map[time.Duration]bool{}
		for _, d := range at {
			spread[d] = true
		}
		if len(spread) < 3 {
			t.Errorf("the questions are not spread: they came after %v", at)
		}
	})
}

func TestARequestSoonBeforeTheTimeIsOverHasTheQuestionPutToo(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Minute))
		w.want(entry+"?token=1", "allow backend")
		w.want(entry+"?token=2", "allow backend")
		w.wantAsked(2, "two boxes")
		w.pass(58 * time.Second)
		w.wantAsked(0, "nobody watches")
		w.want(segment, "allow session")
		w.pass(time.Second)
		w.wantAsked(1, "a request that joins the newest")
	})
}

func TestViewingsThatAViewerLeftAreNotAskedAboutBecauseHeWatches(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(10 * time.Second))
		for token := range 5 {
			w.want(fmt.Sprintf("%s?token=%d", entry, token), "allow backend")
		}
		w.wantAsked(5, "five times zapped back")
		for range 30 {
			w.want(segment, "allow session")
			w.pass(time.Second)
		}
		if n := len(w.questions()); n < 3 || n > 5 {
			t.Errorf("asked %d times in 30 s about one viewing with an answer good for 10 s", n)
		}
	})
}

func TestWithoutARequestTheNextOneHasTheQuestionPut(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Minute))
		w.want(entry+"?token=1", "allow backend")
		w.pass(5 * time.Minute)
		w.wantAsked(1, "a pause")
		w.want(segment, "allow session")
		asked := w.wantAsked(1, "the next request")
		if !asked[0].again || asked[0].String() != entry+"?token=1" {
			t.Errorf("the request's own question was put: %v", asked[0])
		}
		w.pass(time.Minute - time.Nanosecond)
		w.wantAsked(0, "no request since")
	})
}

func TestOneQuestionOfASessionAtATime(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Minute))
		w.want(entry, "allow backend")
		w.slow = 30 * time.Second
		w.pass(40 * time.Second)
		w.want(segment, "allow session")
		for range 20 {
			w.pass(time.Second)
			w.want(segment, "allow session")
		}
		if asked := w.wantAsked(2, "while it is under way"); !asked[1].again || w.again != 1 {
			t.Errorf("got %v, and it was put %d times", asked, w.again)
		}
	})
}

func TestADenialEndsASession(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Minute))
		w.want(entry+"?token=1", "allow backend")
		w.script(deny)
		w.pass(time.Second)
		w.want(segment, "allow session")
		w.pass(time.Minute)
		w.wantEnds("the backend denied", "denied")
		w.want(segment, "deny backend")
	})
}

// A denial in answer to a session's question is final: an outage right after does
// not bring it back.
func TestNoGraceAfterADenial(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Minute))
		w.want(entry+"?token=1", "allow backend")
		w.script(deny)
		w.pass(5 * time.Minute)
		w.want(segment, "deny backend")
		w.wantEnds("the backend denied", "denied")
		w.goAway(true)
		w.want(segment+"?x=1", "deny default")
	})
}

func TestAFailureEndsNothingBeforeGraceAndIsTriedAgain(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Minute))
		w.want(entry, "allow backend")
		began := time.Now()
		w.fail(true)
		w.questions()
		for time.Since(began) < time.Minute+DefaultGrace-time.Second {
			w.pass(time.Second)
			want := "allow session"
			if time.Since(began) >= time.Minute {
				want = "allow grace"
			}
			w.want(segment, want)
		}
		if n := len(w.questions()); n < 20 || n > 60 {
			t.Errorf("asked %d times in ten minutes: that is no back-off to 30 seconds", n)
		}
		w.pass(time.Second)
		w.wantEnds("grace is over", "unavailable")
		w.want(segment, "deny unanswered")
	})
}

func TestAFailureAndThenAnAllowGoesOn(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Minute))
		first := w.wantOf(request(entry), "allow backend")
		w.goAway(true)
		w.pass(5 * time.Minute)
		w.want(segment, "allow grace")
		w.goAway(false)
		w.pass(35 * time.Second)
		if d := w.wantOf(request(segment), "allow session"); d.Session != first.Session {
			t.Error("it is another session")
		}
		w.wantEnds("an outage of five minutes")
	})
}

func TestATokenThatDiesIsNeverAskedAboutAgain(t *testing.T) {
	rules := viewers()
	rules.Once = true
	inWorld(t, rules, func(w *world) {
		portal := ministra()
		w.script(func(r *check.Request) check.Outcome {
			o := portal(r)
			o.AuthDuration = time.Hour
			return o
		})
		w.want(entry+"?token=1", "allow backend")
		for range 59 {
			w.pass(time.Minute)
			w.want(entry+"?token=1", "allow session")
		}
		w.pass(time.Minute)
		w.wantAsked(1, "its hour")
		w.want(entry+"?token=1", "deny backend")
		w.wantEnds("the new question was denied", "expired")
		w.want(entry+"?token=2", "allow backend")
		w.want(segment, "allow session")
	})
}

func TestAHundredYearsAreNoReasonToAskAtOnce(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(100 * 365 * 24 * time.Hour))
		w.want(entry, "allow backend")
		for range 5 {
			w.pass(time.Minute)
			w.want(segment, "allow session")
		}
		w.wantAsked(1, "an allow that is good for ever")
	})
}

func TestAShorterMaxOfAReloadHolds(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry, "allow backend")
		w.pass(5 * time.Minute)
		rules := viewers()
		rules.Max, rules.Grace = time.Minute, 0
		w.use(rules)
		w.script(deny)
		w.want(segment, "deny backend")
		w.wantEnds("a reload", "max")
	})
}

func TestIdleAndMaxHaveTheirGraceWhileTheBackendCannotBeAsked(t *testing.T) {
	tests := map[string]func(r *Rules){
		"idle": func(r *Rules) { r.Idle = time.Minute },
		"max":  func(r *Rules) { r.Max = time.Minute },
	}
	for reason, set := range tests {
		t.Run(reason, func(t *testing.T) {
			rules := viewers()
			set(&rules)
			inWorld(t, rules, func(w *world) {
				w.want(entry+"?token=1", "allow backend")
				w.goAway(true)
				w.pass(time.Minute)
				if !w.only().Ended {
					t.Error("an operator does not see that it is over")
				}
				for range 10 {
					w.want(entry+"?token=1", "allow grace")
					w.want(segment, "allow grace")
					w.pass(time.Minute - time.Nanosecond)
				}
				w.pass(9 * time.Nanosecond)
				w.want(segment, "allow grace")
				w.pass(time.Nanosecond)
				w.want(segment, "deny default")
				w.wantEnds("grace renews nothing", reason)
				if got := w.ended()[0]; got.Requests != 22 || got.Last != got.Started {
					t.Errorf("the end says %+v", got)
				}
			})
		})
	}
}

// It had to be asked about long before it was idle: its grace began then.
func TestASessionThatIsOverHasNoMoreGraceThanItsQuestion(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Second))
		w.want(entry, "allow backend")
		w.pass(DefaultIdle)
		w.goAway(true)
		w.want(segment, "allow grace")
		w.pass(time.Second)
		w.want(segment, "deny default")
	})
}

func TestASessionThatIsOverCountsOnlyWhileThereIsNoAnswer(t *testing.T) {
	rules := viewers()
	rules.Idle = time.Minute
	inWorld(t, rules, func(w *world) {
		w.want(entry+"?token=1", "allow backend")
		w.pass(time.Minute)
		w.fail(true)
		w.want(segment, "allow grace")
		w.fail(false)
		w.script(deny)
		w.want(segment, "deny backend")
		w.want(entry+"?token=1&_HLS_msn=1", "deny backend")
		w.goAway(true)
		w.pass(5 * time.Second)
		w.want(entry+"?token=1", "deny default")
		w.wantEnds("its own question was denied", "idle")
	})
}

func TestWhatHasEndedForGoodIsNotAllowedByAQuestionThatBeganBefore(t *testing.T) {
	rules := viewers()
	rules.Idle = time.Minute
	failed := check.Decision{Allow: true, Reason: check.Grace}
	tests := map[string]struct {
		end  func(w *world)
		want string
	}{
		"its grace":                          {func(w *world) { w.pass(DefaultGrace) }, "deny unanswered"},
		"an operator":                        {func(w *world) { w.end(0, false) }, "deny unanswered"},
		"an operator's end that still holds": {func(w *world) { w.end(time.Hour, false) }, "deny revoked"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, rules, func(w *world) {
				w.want(entry, "allow backend")
				w.pass(time.Minute)
				r := request(segment)
				j := w.store.Join(w.rules, &r)
				if !j.Standing {
					t.Fatal("the session does not stand")
				}
				tt.end(w)
				if got := said(w.store.Settle(w.rules, &r, j, NewID(), failed)); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// end ends the only session as an operator does.
func (w *world) end(hold time.Duration, user bool) {
	w.t.Helper()
	if ended, err := w.store.End(w.only().ID, hold, user); err != nil || len(ended) == 0 {
		w.t.Fatalf("End gives %v, %v", ended, err)
	}
}

func TestEveryStartAndEndIsOneEvent(t *testing.T) {
	rules := viewers()
	rules.Grace = 0
	inWorld(t, rules, func(w *world) {
		w.script(func(*check.Request) check.Outcome {
			return check.Outcome{Verdict: check.Allowed, Backend: "portal", User: "u7", SessionName: "stb"}
		})
		d := w.wantOf(request(entry+"?token=1"), "allow backend")
		w.pass(3 * time.Second)
		w.want(segment, "allow session")
		w.pass(DefaultIdle)
		started, ended := w.started(), w.ended()
		if len(started) != 1 || len(ended) != 1 {
			t.Fatalf("%d starts and %d ends", len(started), len(ended))
		}
		info := check.SessionInfo{
			ID: d.Session, Route: "tv", Host: "tv.example.com", Stream: "/live/ch1/", Addr: request(entry).Addr,
			UserAgent: "VLC/3", Backend: "portal", User: "u7", Name: "stb",
		}
		if started[0] != (check.SessionStarted{SessionInfo: info}) {
			t.Errorf("the start says %+v", started[0])
		}
		e := ended[0]
		if e.SessionInfo != info || e.Requests != 2 || e.Last.Sub(e.Started) != 3*time.Second || e.Reason != "idle" {
			t.Errorf("the end says %+v", e)
		}
	})
}

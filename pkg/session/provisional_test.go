package session

import (
	"fmt"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// open is a route that lets newcomers in while its backend is away.
func openRoute() Rules {
	r := viewers()
	r.AllowUnavailable = true
	return r
}

func TestADefaultOpensAProvisionalSessionForAnEntryOnly(t *testing.T) {
	inWorld(t, openRoute(), func(w *world) {
		w.goAway(true)
		w.want(segment, "allow default")
		w.want("/live/ch1/poster.jpg", "allow default")
		w.wantLive(0, "no entry")
		w.want(entry+"?token=1", "allow default")
		if got := w.only(); !got.Provisional || got.Stream != "/live/ch1/" {
			t.Errorf("got %+v", got)
		}
		w.want(segment, "allow default")
		if got := w.only(); got.Requests != 2 {
			t.Errorf("%d requests, want 2", got.Requests)
		}
	})
}

func TestAProvisionalSessionIsAskedAboutOnceWhenTheBackendIsBack(t *testing.T) {
	inWorld(t, openRoute(), func(w *world) {
		w.goAway(true)
		first := w.wantOf(request(entry+"?token=1"), "allow default")
		for range 4 {
			w.pass(15 * time.Second)
			w.want(segment, "allow default")
		}
		w.goAway(false)
		w.pass(5 * time.Second)
		asked := w.wantAsked(1, "the backend is back")
		if asked[0].String() != entry+"?token=1" || asked[0].id != first.Session {
			t.Errorf("asked %v", asked[0])
		}
		if d := w.wantOf(request(segment), "allow session"); d.Session != first.Session || w.only().Provisional {
			t.Error("it did not become a session")
		}
		w.pass(5 * time.Minute)
		w.want(segment, "allow session")
		w.wantAsked(0, "it is a session now")
	})
}

func TestAProvisionalSessionThatTheBackendDeniesEnds(t *testing.T) {
	inWorld(t, openRoute(), func(w *world) {
		w.goAway(true)
		w.want(entry+"?token=junk", "allow default")
		w.script(deny)
		w.goAway(false)
		w.want(segment, "deny backend")
		w.wantEnds("junk", "denied")
	})
}

func TestAProvisionalSessionThatPausesIsAskedAboutByItsNextRequest(t *testing.T) {
	inWorld(t, openRoute(), func(w *world) {
		w.goAway(true)
		w.want(entry+"?token=1", "allow default")
		w.pass(2 * time.Minute)
		w.goAway(false)
		w.pass(2 * time.Minute)
		w.wantAsked(0, "nobody watches")
		w.want(segment, "allow session")
		w.wantAsked(1, "the next request")
	})
}

// The question of a provisional session may fail while the backend is there. Its
// viewer is then as any newcomer, or who broke the question would ride on; it is
// asked again until its time is over.
func TestAProvisionalSessionWhoseQuestionFailsLetsNobodyIn(t *testing.T) {
	inWorld(t, openRoute(), func(w *world) {
		w.goAway(true)
		w.want(entry, "allow default")
		w.goAway(false)
		w.fail(true)
		for range 60 {
			w.want(segment, "deny unanswered")
			w.pass(time.Second)
		}
		w.fail(false)
		w.pass(lastRetry)
		w.want(segment, "allow session")
	})
}

func TestAProvisionalSessionWhoseQuestionFailsForItsGraceEnds(t *testing.T) {
	rules := openRoute()
	rules.Grace = 5 * time.Minute
	inWorld(t, rules, func(w *world) {
		w.goAway(true)
		w.want(entry, "allow default")
		w.goAway(false)
		w.fail(true)
		began := time.Now()
		for time.Since(began) < rules.Grace+5*time.Second {
			w.want(segment, "deny unanswered")
			w.pass(time.Second)
		}
		w.wantEnds("grace", "unavailable")
	})
}

func TestWhereTokensDieAProvisionalSessionIsNotAskedAboutAndEndsAfterGrace(t *testing.T) {
	rules := openRoute()
	rules.Once = true
	inWorld(t, rules, func(w *world) {
		w.goAway(true)
		w.want(entry+"?token=1", "allow default")
		w.pass(time.Minute)
		w.want(segment, "allow default")
		w.goAway(false)
		began := time.Now()
		w.pass(3 * time.Second) // It is looked at every two seconds or so.
		for time.Since(began) < DefaultGrace {
			w.want(segment, "allow grace")
			w.pass(time.Second)
		}
		w.pass(6 * time.Second)
		w.wantEnds("grace after the return", "expired")
		w.wantAsked(0, "tokens die")
	})
}

func TestWhereTokensDieAProvisionalSessionOfBeforeARestartIsNotAskedAbout(t *testing.T) {
	rules := openRoute()
	rules.Once = true
	inWorldOf(t, rules, Config{Journal: newDisk()}, func(w *world) {
		w.goAway(true)
		w.want(entry+"?token=1", "allow default")
		w.restart()
		w.goAway(false)
		w.pass(5 * time.Second)
		w.wantAsked(0, "tokens die")
		w.want(segment, "allow grace")
	})
}

// Nobody has ever allowed it, so it does not stand when the backend is there and a
// question fails: a viewer can make its own fail.
func TestAProvisionalSessionHasNoGraceOfItsOwn(t *testing.T) {
	rules := openRoute()
	rules.Idle = time.Minute
	inWorld(t, rules, func(w *world) {
		w.goAway(true)
		w.want(entry, "allow default")
		w.pass(time.Minute + looked)
		w.wantEnds("idle", "idle")
		w.goAway(false)
		w.fail(true)
		w.want(entry, "deny unanswered")
		w.want(segment, "deny unanswered")
	})
}

func TestAViewerWhoIsAllowedMeanwhileHasOneSession(t *testing.T) {
	inWorld(t, openRoute(), func(w *world) {
		r := request(entry)
		j := w.store.Join(w.rules, &r)
		w.goAway(true)
		w.want(entry, "allow default")
		allow := check.Decision{Allow: true, Reason: check.Backend, Outcome: check.Outcome{Verdict: check.Allowed}}
		w.store.Settle(w.rules, &r, j, NewID(), allow)
		w.wantEnds("the backend allowed", "confirmed")
		if w.only().Provisional {
			t.Error("the provisional one is left")
		}
	})
}

func TestAPolicyThatLetsNobodyInEndsProvisionalSessions(t *testing.T) {
	inWorld(t, openRoute(), func(w *world) {
		w.goAway(true)
		w.want(entry, "allow default")
		w.use(viewers())
		w.want(segment, "deny default")
		w.wantEnds("a reload", "policy")
	})
}

func TestJunkInAnOutageEvictsNobodyWhoPaid(t *testing.T) {
	inWorldOf(t, openRoute(), bound(100), func(w *world) {
		for n := range 60 {
			w.wantOf(from(address(n), entry), "allow backend")
		}
		w.pass(2 * time.Minute)
		w.goAway(true)
		for n := range 400 {
			w.wantOf(from(address(1000+n), entry+fmt.Sprintf("?junk=%d", n)), "allow default")
		}
		w.wantLive(100, "the bound")
		for range 5 {
			w.pass(time.Minute)
			for n := range 400 {
				w.wantOf(from(address(9000+n), entry), "allow default")
			}
		}
		for n := range 60 {
			w.wantOf(from(address(n), segment), "allow session")
		}
		for _, e := range w.ended() {
			if !e.Provisional {
				t.Fatalf("the session of %s ended: %s", e.Addr, e.Reason)
			}
		}
		w.wantLive(100, "the bound")
	})
}

func TestProvisionalSessionsHoldAtMostHalfTheBound(t *testing.T) {
	inWorldOf(t, openRoute(), bound(100), func(w *world) {
		w.goAway(true)
		for n := range 200 {
			w.wantOf(from(address(n), entry), "allow default")
		}
		w.wantLive(50, "half the bound")
	})
}

func TestQuestionsAboutProvisionalSessionsAreBounded(t *testing.T) {
	inWorld(t, openRoute(), func(w *world) {
		w.goAway(true)
		for n := range 500 {
			w.wantOf(from(address(n), entry), "allow default")
		}
		w.slow = time.Second
		w.goAway(false)
		for range 50 {
			w.pass(time.Second)
			if n := len(w.questions()); n > 2*maxBackground {
				t.Fatalf("%d questions in a second that each take one; %d at a time is the most", n, maxBackground)
			}
		}
		page, _ := w.store.List(Filter{}, "", 1000)
		for _, n := range page {
			if n.Provisional {
				t.Fatalf("%s is still provisional", n.Address)
			}
		}
		w.wantLive(500, "all became sessions")
	})
}

// A session about which the backend does not answer keeps nobody out whom another
// lets in.
func TestAProvisionalSessionInDoubtHidesNoOther(t *testing.T) {
	rules := openRoute()
	rules.Join.ID = true
	inWorldOf(t, rules, withKeys(t), func(w *world) {
		w.want(entry+"?token=1", "allow backend")
		w.goAway(true)
		id := w.wantOf(request("/live/ch1.m3u8?token=2"), "allow default").ID
		w.fail(true)
		w.goAway(false)
		w.want("/live/ch1-4.ts", "deny unanswered")
		w.want(segment+"?altagate_id="+id, "allow session")
	})
}

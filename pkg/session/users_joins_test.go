package session

import (
	"fmt"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

func TestWhatEndedByALimitIsKeptOutByEachJoin(t *testing.T) {
	rules := viewers()
	rules.Join.ID = true
	inWorldOf(t, rules, withKeys(t), func(w *world) {
		w.script(family(1, true))
		id := w.wantOf(device(1, tv1), "allow backend").ID
		w.wantOf(device(2, tv1), "allow backend")
		moved := device(3, segment)
		moved.IDs[0] = id
		w.wantOf(moved, "deny limit")
		w.wantOf(device(4, segment+"?altagate_id="+id), "deny limit")
		w.wantOf(device(1, segment), "deny limit")
		w.wantOf(device(1, tv1+"&_HLS_msn=3"), "deny limit")
		w.wantAsked(2, "two devices")
	})
}

func TestWhereTheAddressJoinsItIsOneViewer(t *testing.T) {
	rules := viewers()
	rules.Join.Address = true
	inWorld(t, rules, func(w *world) {
		w.script(family(1, false))
		w.want(tv1, "allow backend")
		r := request(tv2)
		r.UserAgent = "AppleCoreMedia"
		w.wantOf(r, "allow backend")
		w.use(viewers()) // On a route without that join he is the same one still.
		r.Path = "/live/ch3/index.m3u8"
		w.wantOf(r, "allow backend")
		w.wantOf(device(2, tv1), "deny limit")
	})
}

func TestAViewerWithAnotherUserAgentIsAnother(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(1, false))
		w.want(tv1, "allow backend")
		r := request(tv2)
		r.UserAgent = "AppleCoreMedia"
		w.wantOf(r, "deny limit")
		r.Method, r.Path = "HEAD", "/live/ch3/index.m3u8"
		w.wantOf(r, "deny limit")
	})
}

func TestOtherMethodsAreJudgedAndNotCounted(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(1, true))
		over := func(r check.Request) bool {
			return w.store.Over(w.rules, &r, check.Outcome{User: "u1", Backend: "portal", MaxSessions: 1})
		}
		if over(device(2, tv1)) {
			t.Error("nobody watches")
		}
		w.wantOf(device(1, tv1), "allow backend")
		if !over(device(2, tv1)) || over(device(1, tv2)) {
			t.Error("one watches, and he alone may")
		}
		w.wantEnds("nothing is taken from anybody")
		w.pass(time.Minute)
		if over(device(2, tv1)) {
			t.Error("nobody watches any more")
		}
	})
}

func TestTwoUsersOfOneViewerOnOneStreamDoNotMixUp(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(func(r *check.Request) check.Outcome {
			return check.Outcome{Verdict: check.Allowed, User: r.Query, MaxSessions: 1, Unique: true}
		})
		w.want(entry+"?a", "allow backend")
		w.want(entry+"?b", "allow backend")
		w.wantOf(device(2, entry+"?b"), "allow backend")
		w.want(entry+"?b", "deny limit")
		w.want(entry+"?a", "allow session")
		w.want(segment, "allow session") // It fits the one that lives.
		if got := w.onlyOf("a"); got.Requests != 3 {
			t.Errorf("got %+v", got)
		}
	})
}

// onlyOf is the one session of a user.
func (w *world) onlyOf(user string) Info {
	w.t.Helper()
	page, _ := w.store.List(Filter{User: user}, "", 2)
	if len(page) != 1 {
		w.t.Fatalf("%s has %d sessions, want one", user, len(page))
	}
	return page[0]
}

func TestAnOperatorSeesWhoCountsAndNobodyWhoWasEnded(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(1, true))
		first := w.wantOf(device(1, tv1), "allow backend")
		w.pass(time.Second)
		w.wantOf(device(2, tv1), "allow backend")
		if got := w.only(); !got.Active || got.MaxSessions != 1 || got.Address != device(2, "/").Addr {
			t.Errorf("got %+v", got)
		}
		if _, ok := w.store.Find(first.Session); ok {
			t.Error("an ended session is found")
		}
		if ended, err := w.store.End(first.Session, 0, true); len(ended) != 0 || err != nil {
			t.Errorf("ended %v, %v", ended, err)
		}
		w.pass(time.Minute)
		if got := w.only(); got.Active {
			t.Errorf("got %+v", got)
		}
		ended, err := w.store.EndUser("u1", time.Hour)
		if len(ended) != 1 || err != nil {
			t.Errorf("ended %v, %v", ended, err)
		}
		w.wantEnds("each once", "limit", "operator")
		w.wantOf(device(1, tv1), "deny revoked")
	})
}

func TestWhatALimitEndedIsTheFirstToGoWhereThereIsNoRoom(t *testing.T) {
	inWorldOf(t, viewers(), bound(3), func(w *world) {
		w.script(func(r *check.Request) check.Outcome {
			if r.Query != "token=1" {
				return check.Outcome{Verdict: check.Allowed}
			}
			return family(1, true)(r)
		})
		w.wantOf(device(1, tv1), "allow backend")
		w.wantOf(device(2, tv1), "allow backend")
		w.wantOf(device(3, entry), "allow backend")
		w.wantOf(device(1, tv1), "deny limit")
		w.wantOf(device(4, entry), "allow backend")
		w.wantOf(device(5, entry), "deny overload")
		w.wantOf(device(2, tv1), "allow session")
		w.wantEnds("nobody who watches goes", "limit")
	})
}

func TestANumberThatNoPersonHasIsNoLimit(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		for _, limit := range []int{0, -1, check.MaxViewers + 1} {
			w.script(family(limit, true))
			for n := range 5 {
				w.wantOf(device(n, fmt.Sprintf("/live/ch%d/index.m3u8?token=1", limit)), "allow backend")
			}
		}
		w.wantEnds("no limit")
	})
}

// A session of a route that has no limit any more, or of a reply without one, does
// not bound others; the newest answer counts.
func TestTheNewestAnswerAboutAUserCounts(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(1, true))
		w.wantOf(device(1, tv1), "allow backend")
		w.wantOf(device(2, tv1), "allow backend")
		w.script(family(0, false))
		w.wantOf(device(3, tv1), "allow backend")
		w.pass(2 * time.Second)
		w.wantOf(device(1, tv1), "allow backend")
		w.wantOf(device(2, tv1), "allow session")
	})
}

func TestARepeatedAnswerCanNameAnotherUser(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		user := "u1"
		w.script(func(r *check.Request) check.Outcome {
			o := check.Outcome{Verdict: check.Allowed, User: user, MaxSessions: 1, AuthDuration: time.Minute}
			if r.Addr == device(2, "/").Addr {
				o.User = "u2"
			}
			return o
		})
		w.wantOf(device(1, tv1), "allow backend")
		w.wantOf(device(2, tv1), "allow backend")
		user = "u2"
		for range 12 {
			w.pass(5 * time.Second)
			w.check(device(1, segment))
			w.check(device(2, segment))
		}
		w.wantEnds("it is one too many there", "limit")
		w.wantOf(device(1, segment), "deny limit")
		w.wantOf(device(2, segment), "allow session")
		user = "u1"
		w.wantOf(device(3, tv1), "allow backend") // Nobody is u1 any more.
	})
}

func TestWhoHasAPlaceByAnotherChannelHasOneAtOnceOnTheOneThatEnded(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(1, true))
		w.wantOf(device(1, tv1), "allow backend")
		w.wantOf(device(2, tv1), "allow backend")
		w.wantOf(device(1, tv1), "deny limit")
		w.wantOf(device(1, tv2), "allow backend")
		w.wantOf(device(1, tv1), "allow backend")
	})
}

// After a restart it is not known to the second who had a place: the first to ask has
// it, and nobody else.
func TestARestartGivesNoPlaceTwice(t *testing.T) {
	inWorldOf(t, viewers(), Config{Journal: newDisk()}, func(w *world) {
		w.script(family(1, false))
		w.wantOf(device(1, tv1), "allow backend")
		w.pass(time.Minute)
		w.wantOf(device(2, tv1), "allow backend")
		w.restart()
		w.wantOf(device(3, tv1), "deny limit")
		w.wantOf(device(2, segment), "allow session")
		w.wantOf(device(1, segment), "deny limit")
		w.wantOf(device(2, tv2), "allow backend")
	})
}

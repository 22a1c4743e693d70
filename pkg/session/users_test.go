package session

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// family is a portal whose tokens are all good, for one user with a limit.
func family(limit int, unique bool) func(*check.Request) check.Outcome {
	return func(*check.Request) check.Outcome {
		return check.Outcome{Verdict: check.Allowed, User: "u1", MaxSessions: limit, Unique: unique}
	}
}

// device is a request of the n-th device, each at an address of its own.
func device(n int, target string) check.Request {
	return from(address(n), target)
}

const (
	tv1 = "/live/ch1/index.m3u8?token=1"
	tv2 = "/live/ch2/index.m3u8?token=1"
)

func TestAUserHasNoMoreViewersAtATimeThanTheLimit(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(2, false))
		w.wantOf(device(1, tv1), "allow backend")
		w.wantOf(device(2, tv1), "allow backend")
		w.wantAsked(2, "two devices")
		d := w.wantOf(device(3, tv1), "deny limit")
		if d.Outcome.User != "u1" || d.Session != "" {
			t.Errorf("got %+v", d)
		}
		w.wantOf(device(3, tv1), "deny limit")
		w.wantOf(device(3, "/live/ch1/seg1.ts?token=1"), "deny limit")
		w.wantAsked(2, "a player that tries again at once")
		w.wantOf(device(1, segment), "allow session")
		w.wantOf(device(2, segment), "allow session")
		w.wantLive(2, "the limit")
		w.wantEnds("a newcomer who is denied ends nobody's session")

		w.pass(59 * time.Second)
		w.wantOf(device(2, segment), "allow session")
		w.wantOf(device(3, tv1), "deny limit")
		w.pass(4 * time.Second)
		w.wantOf(device(3, tv1), "allow backend") // The first has not asked for a minute.
	})
}

func TestOtherUsersAndBackendsDoNotCount(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(func(r *check.Request) check.Outcome {
			o := check.Outcome{Verdict: check.Allowed, User: r.Query, MaxSessions: 1}
			if r.Path == tv2[:len(r.Path)] {
				o.Backend = "other"
			}
			return o
		})
		w.wantOf(device(1, entry+"?a"), "allow backend")
		w.wantOf(device(2, entry+"?b"), "allow backend")
		w.wantOf(device(3, "/live/ch2/index.m3u8?a"), "allow backend")
		w.wantOf(device(4, "/live/ch2/index.m3u8?b"), "allow backend")
		w.wantOf(device(5, entry+"?"), "allow backend") // nobody, and so anybody
		w.wantOf(device(6, entry+"?"), "allow backend")
		w.wantOf(device(5, entry+"?a"), "deny limit")
		w.wantOf(device(5, "/live/ch2/index.m3u8?b"), "deny limit")
	})
}

func TestALimitHoldsOnAllRoutesAndHostsOfABackend(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(1, false))
		w.want(tv1, "allow backend")
		vod := viewers()
		vod.Route = "vod"
		w.use(vod)
		r := device(2, "/vod/film/index.m3u8?token=1")
		r.Host, r.Scheme = "vod.example.com", "http"
		w.wantOf(r, "deny limit")
		r.Addr = request(tv1).Addr // The same viewer, elsewhere.
		w.wantOf(r, "allow backend")
	})
}

// The rule that comes first: whatever a viewer zaps through, he is one viewer.
func TestZappingLocksNoViewerOut(t *testing.T) {
	for _, unique := range []bool{false, true} {
		for _, tokens := range []string{"lasting", "new"} {
			inWorld(t, viewers(), func(w *world) {
				w.script(family(1, unique))
				for n := range 200 {
					target := fmt.Sprintf("/live/ch%d/index.m3u8?token=1", n*7%13)
					if tokens == "new" {
						target += fmt.Sprint(n)
					}
					if d := w.check(request(target)); !d.Allow {
						t.Fatalf("unique %v, %s tokens, zap %d: %s", unique, tokens, n, said(d))
					}
					w.want(fmt.Sprintf("/live/ch%d/seg1.ts", n*7%13), "allow session")
					w.pass(time.Duration(n*n%5000) * time.Millisecond)
				}
				w.wantEnds("zapping")
				w.wantOf(device(9, tv1), map[bool]string{false: "deny limit", true: "allow backend"}[unique])
			})
		}
	}
}

func TestTwoTabsAndPictureInPictureAreOneViewer(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(1, true))
		w.want(tv1, "allow backend")
		w.want(tv2, "allow backend")
		for range 100 {
			w.pass(5 * time.Second)
			w.want(tv1, "allow session")
			w.want(tv2, "allow session")
		}
		w.wantEnds("both play on")
		w.wantOf(device(2, tv1), "allow backend")
		w.wantEnds("the newest wins over both", "limit", "limit")
		w.want(tv1, "deny limit")
		w.want(tv2, "deny limit")
	})
}

func TestTheNewestWinsWhereTheOldestEnds(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(2, true))
		first := w.wantOf(device(1, tv1), "allow backend")
		w.pass(10 * time.Second)
		w.wantOf(device(2, tv1), "allow backend")
		w.pass(10 * time.Second)
		w.wantOf(device(1, segment), "allow session")
		w.wantOf(device(3, tv1), "allow backend")
		if ended := w.ended(); len(ended) != 1 || ended[0].ID != first.Session || ended[0].Reason != "limit" {
			t.Fatalf("ended %+v", ended)
		}
		w.wantAsked(3, "three devices")
		for range 20 { // Its player goes on asking.
			w.wantOf(device(1, segment), "deny limit")
			d := w.wantOf(device(1, tv1), "deny limit")
			if d.Outcome.User != "u1" {
				t.Errorf("the denial does not say whose: %+v", d)
			}
			w.pass(6 * time.Second)
			w.wantOf(device(2, tv1), "allow session")
			w.wantOf(device(3, tv1), "allow session")
		}
		w.wantAsked(0, "an ended session")
		w.wantEnds("nobody else", "limit")
	})
}

// A zapper keeps his place in the order: he has been watching all the time.
func TestWhoHasBeenWatchingForLongestGoesHoweverMuchHeZaps(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(2, true))
		w.wantOf(device(1, tv1), "allow backend")
		w.pass(time.Second)
		w.wantOf(device(2, tv1), "allow backend")
		for n := range 30 {
			w.pass(10 * time.Second)
			if d := w.check(device(1, fmt.Sprintf("/live/z%d/index.m3u8?token=1", n%10))); !d.Allow {
				t.Fatal(said(d))
			}
			w.wantOf(device(2, tv1), "allow session")
		}
		w.wantAsked(12, "two devices, and ten channels")
		w.wantOf(device(3, tv1), "allow backend")
		w.wantOf(device(2, tv1), "allow session")
		w.wantOf(device(1, "/live/z9/index.m3u8?token=1"), "deny limit")
	})
}

func TestPlayersThatAskByThemselvesDoNotPushEachOtherOutByTurns(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(1, true))
		for n := range 600 { // An hour, a refresh every six seconds.
			for d := range 3 {
				if n >= d*10 {
					w.check(device(d, tv1))
				}
			}
			w.pass(6 * time.Second)
		}
		w.wantAsked(3, "three players in an hour")
		w.wantEnds("each newcomer ends one", "limit", "limit")
		w.wantOf(device(2, tv1), "allow session")
	})
}

func TestMovingFromOneDeviceToAnotherAndBackWorks(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(1, true))
		w.wantOf(device(1, tv1), "allow backend")
		w.pass(time.Minute / 2)
		w.wantOf(device(2, tv1), "allow backend")
		w.wantOf(device(1, tv1), "deny limit")
		// Another channel, or a new token, is a new start.
		w.wantOf(device(1, tv2), "allow backend")
		w.wantOf(device(1, "/live/ch2/seg1.ts"), "allow session")
		w.wantOf(device(2, tv1), "deny limit")
		w.wantOf(device(2, entry+"?token=2"), "allow backend")
		w.wantOf(device(2, segment), "allow session")
		w.wantOf(device(1, tv2), "deny limit")
		// So is the same one when the player has been silent for a minute.
		for range 5 {
			w.pass(12*time.Second - time.Millisecond)
			w.wantOf(device(2, segment), "allow session")
		}
		w.wantOf(device(1, tv2), "deny limit")
		for range 5 {
			w.pass(12 * time.Second)
			w.wantOf(device(2, segment), "allow session")
		}
		w.wantOf(device(1, tv2), "allow backend")
		w.wantOf(device(2, segment), "deny limit")
	})
}

func TestAnEndedViewerIsAskedAboutAnewOnceThereIsAPlace(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(family(1, true))
		w.wantOf(device(1, tv1), "allow backend")
		w.wantOf(device(2, tv1), "allow backend")
		for range 59 {
			w.wantOf(device(1, tv1), "deny limit")
			w.pass(time.Second)
		}
		w.wantAsked(2, "two devices")
		w.pass(time.Second)
		w.wantOf(device(1, tv1), "allow backend")
		w.wantAsked(1, "the second has gone")
		w.wantOf(device(1, segment), "allow session")
	})
}

func TestAPauseOfAMinuteGivesThePlaceAway(t *testing.T) {
	for _, unique := range []bool{false, true} {
		inWorld(t, viewers(), func(w *world) {
			w.script(family(1, unique))
			w.wantOf(device(1, tv1), "allow backend")
			w.pass(time.Minute)
			w.wantOf(device(2, tv1), "allow backend")
			w.wantEnds("a place that nobody had")
			// Else whoever pauses for a moment, one after the other, would watch together.
			w.wantOf(device(1, segment), "deny limit")
			w.wantOf(device(1, tv1), "deny limit")
			w.wantOf(device(2, segment), "allow session")
			w.wantAsked(2, "two devices")
			if unique {
				w.wantEnds("another has the place", "limit")
				return
			}
			w.wantEnds("who may come back is not ended")
			w.pass(time.Minute)
			w.wantOf(device(1, segment), "allow session")
			w.wantAsked(0, "there is a place again")
			w.wantOf(device(2, segment), "deny limit")
		})
	}
}

func TestARepeatedAnswerCanLowerTheLimit(t *testing.T) {
	for _, test := range []struct {
		unique bool
		goes   int
	}{{false, 2}, {true, 1}} {
		inWorld(t, viewers(), func(w *world) {
			limit := 2
			w.script(func(*check.Request) check.Outcome {
				return check.Outcome{Verdict: check.Allowed, User: "u1", MaxSessions: limit, Unique: test.unique, AuthDuration: time.Minute}
			})
			w.wantOf(device(1, tv1), "allow backend")
			w.pass(time.Second)
			w.wantOf(device(2, tv1), "allow backend")
			limit = 1
			for range 12 {
				w.pass(5 * time.Second)
				w.check(device(1, segment))
				w.check(device(2, segment))
			}
			w.wantEnds("one too many", "limit")
			w.wantOf(device(test.goes, segment), "deny limit")
			w.wantOf(device(3-test.goes, segment), "allow session")
		})
	}
}

func TestAProvisionalSessionIsANewcomerWhenItsUserIsKnown(t *testing.T) {
	for _, test := range []struct {
		unique bool
		was    string
	}{{false, "allow session"}, {true, "deny limit"}} {
		inWorld(t, openRoute(), func(w *world) {
			w.script(family(1, test.unique))
			w.wantOf(device(1, tv1), "allow backend")
			w.goAway(true)
			w.wantOf(device(2, tv1), "allow default")
			w.wantOf(device(1, segment), "allow session")
			w.goAway(false)
			w.pass(5 * time.Second)
			w.wantEnds("there are two", "limit")
			w.wantOf(device(1, segment), test.was)
			w.wantOf(device(2, segment), map[bool]string{false: "deny limit", true: "allow session"}[test.unique])
		})
	}
}

func TestLimitsHoldOverARestart(t *testing.T) {
	inWorldOf(t, viewers(), Config{Journal: newDisk()}, func(w *world) {
		w.script(family(1, true))
		w.wantOf(device(1, tv1), "allow backend")
		w.wantOf(device(2, tv1), "allow backend")
		w.wantOf(device(1, tv1), "deny limit")
		w.restart()
		w.wantLive(1, "who was ended is not shown")
		if got := w.started(); len(got) != 3 || !got[2].Restored || got[2].Addr != device(2, "/").Addr {
			t.Errorf("started %+v", got)
		}
		w.wantOf(device(1, tv1), "deny limit")
		w.wantAsked(2, "two devices")
		w.wantOf(device(2, tv1), "allow session")
		w.wantOf(device(3, tv1), "allow backend")
		w.wantOf(device(2, tv1), "deny limit")
		w.wantEnds("one each", "limit", "limit")
		w.pass(silence)
		w.restart()
		w.pass(savedAtLeast) // Whoever asked shortly before a restart counts for longer.
		w.wantOf(device(1, tv1), "allow backend")
		w.wantEnds("nobody else", "limit", "limit")
	})
}

// An altagate that does not know of limits must not find an ended session alive.
func TestAnEarlierVersionFindsAnEndedSessionOver(t *testing.T) {
	disk := newDisk()
	inWorldOf(t, viewers(), Config{Journal: disk}, func(w *world) {
		w.script(family(1, true))
		w.wantOf(device(1, tv1), "allow backend")
		w.wantOf(device(2, tv1), "allow backend")
		w.pass(time.Second)
		w.stop()
		for id, r := range disk.records {
			r.MaxSessions, r.Unique, r.Held = 0, false, time.Time{}
			disk.records[id] = r
		}
		w.start()
		w.wantLive(1, "the one that was not ended")
		if w.only().Address != device(2, "/").Addr {
			t.Error("the ended one lives")
		}
	})
}

func TestManyWhoStartAtOnceAreNoMoreThanTheLimit(t *testing.T) {
	for _, unique := range []bool{false, true} {
		inWorld(t, viewers(), func(w *world) {
			w.script(family(3, unique))
			w.slow = 10 * time.Millisecond
			var all sync.WaitGroup
			allowed := make([]bool, 50)
			for n := range allowed {
				all.Go(func() {
					allowed[n] = w.check(device(n, tv1)).Allow
				})
			}
			all.Wait()
			w.wantLive(3, "fifty at once")
			if n := len(slices.DeleteFunc(allowed, func(is bool) bool { return !is })); !unique && n != 3 {
				t.Errorf("%d were let in", n)
			}
			if wrong := disorder(w.store); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

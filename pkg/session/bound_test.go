package session

import (
	"fmt"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

func TestAtTheBoundTheLongestIdleGoes(t *testing.T) {
	inWorldOf(t, viewers(), bound(10), func(w *world) {
		for n := range 10 {
			w.wantOf(from(address(n), entry), "allow backend")
			w.pass(time.Second)
		}
		w.wantOf(from(address(0), segment), "allow session")
		w.pass(2 * time.Minute)
		w.wantOf(from(address(10), entry), "allow backend")
		w.wantOf(from(address(11), entry), "allow backend")
		w.wantEnds("two newcomers", "evicted", "evicted")
		for i, e := range w.ended() {
			if want := from(address(1+i), entry).Addr; e.Addr != want {
				t.Errorf("%s went, and %s was idle for longer", e.Addr, want)
			}
		}
		w.wantLive(10, "the bound")
	})
}

func TestASessionThatMayHaveBeenUsedIsNotTheLongestIdle(t *testing.T) {
	inWorldOf(t, viewers(), bound(3), func(w *world) {
		w.want(entry+"?token=1", "allow backend")
		w.want(entry+"?token=2", "allow backend")
		w.wantOf(from("192.0.2.9", entry), "allow backend")
		w.pass(2 * time.Minute)
		w.want(segment, "allow session")
		w.wantOf(from("192.0.2.10", entry), "allow backend")
		if e := w.ended(); len(e) != 1 || e[0].Addr.String() != "192.0.2.9" {
			t.Errorf("ended: %+v", e)
		}
	})
}

func TestASessionThatAskedWithinAMinuteNeverGoes(t *testing.T) {
	inWorldOf(t, viewers(), bound(10), func(w *world) {
		for n := range 10 {
			w.wantOf(from(address(n), entry), "allow backend")
		}
		w.pass(time.Minute - time.Nanosecond)
		d := w.wantOf(from(address(10), entry), "deny overload")
		if d.Status != 503 || d.Outcome.Verdict != check.Allowed {
			t.Errorf("got %+v", d)
		}
		for n := range 10 {
			w.wantOf(from(address(n), segment), "allow session")
		}
		w.pass(time.Minute)
		w.wantOf(from(address(10), entry), "allow backend")
	})
}

func TestOneAddressHoldsItsShareAndNoMore(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.store.config.Limit = 40_000 // The share is 400.
		w.wantOf(from("192.0.2.9", entry), "allow backend")
		for n := range 400 {
			w.want(fmt.Sprintf("/live/ch%d/index.m3u8", n), "allow backend")
		}
		w.want("/live/more/index.m3u8", "deny overload")
		w.wantOf(from("192.0.2.10", "/live/more/index.m3u8"), "allow backend")
		w.pass(time.Minute)
		w.want("/live/ch0/index.m3u8", "allow session")
		w.want("/live/more/index.m3u8", "allow backend")
		e := w.ended()
		if len(e) != 1 || e[0].Stream != "/live/ch1/" || e[0].Reason != "evicted" {
			t.Errorf("ended: %+v", e)
		}
		w.wantLive(402, "the share")
	})
}

func TestAnAddressHoldsAtLeast256(t *testing.T) {
	inWorldOf(t, viewers(), bound(1000), func(w *world) {
		for n := range 256 {
			w.want(fmt.Sprintf("/live/ch%d/index.m3u8", n), "allow backend")
		}
		w.want("/live/more/index.m3u8", "deny overload")
	})
}

func TestJunkTokensTakeNobodysRoom(t *testing.T) {
	inWorldOf(t, viewers(), bound(100), func(w *world) {
		for n := range 100 {
			w.wantOf(from(address(n), entry), "allow backend")
		}
		w.pass(2 * time.Minute)
		w.script(deny)
		for n := range 2000 {
			w.wantOf(from(address(n%100), fmt.Sprintf("/live/other/index.m3u8?junk=%d", n)), "deny backend")
		}
		w.wantEnds("junk")
		w.wantLive(100, "junk")
	})
}

func TestASessionThatIsOverGivesItsRoomWhenItsViewerIsAllowedAnew(t *testing.T) {
	rules := viewers()
	rules.Max = time.Hour
	inWorldOf(t, rules, bound(1), func(w *world) {
		w.want(entry, "allow backend")
		for range 119 {
			w.pass(30 * time.Second)
			w.want(segment, "allow session")
		}
		w.pass(30 * time.Second)
		w.want(entry, "allow backend")
		w.wantEnds("max", "max")
		w.wantLive(1, "max")
	})
}

func TestAViewerOfManySessionsOnOneStreamIsStillServed(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		for n := range 200 {
			w.want(entry+fmt.Sprintf("?token=%d", n), "allow backend")
			w.pass(time.Second)
		}
		w.want(entry+"?token=0", "allow session")
		w.want(segment+"?token=0", "allow session")
		w.want(segment, "allow session")
		w.want(segment+"?token=150", "allow session")
		w.wantAsked(200, "200 tokens")
	})
}

// hiddenEvents are whose sessions were most, and no longer, in their order.
func (w *world) hiddenEvents() (said []string) {
	for _, e := range eventsOf[check.ViewersHidden](w) {
		said = append(said, fmt.Sprintf("%v %s %d/%d", e.Hidden, e.Addr, e.Sessions, e.Total))
	}
	return said
}

func TestAnAddressWithMostSessionsIsSaidToHideItsViewers(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.store.config.Limit = 100_000
		for n := range 100 {
			w.wantOf(from(address(n), entry), "allow backend")
		}
		for n := range 100 {
			w.want(fmt.Sprintf("/live/ch%d/index.m3u8", n), "allow backend")
		}
		if said := w.hiddenEvents(); len(said) != 0 {
			t.Fatalf("half of 200 is not more than half: %v", said)
		}
		w.want("/live/more/index.m3u8", "allow backend")
		for n := range 50 { // The others' sessions do not unsay it as long as it holds most.
			w.want(fmt.Sprintf("/live/more%d/index.m3u8", n), "allow backend")
			w.wantOf(from(address(500+n), entry), "allow backend")
		}
		if said := w.hiddenEvents(); len(said) != 1 || said[0] != "true 192.0.2.1 101/201" {
			t.Fatalf("said %v, want it once", said)
		}
		for n := range 10 {
			w.wantOf(from(address(1000+n), entry), "allow backend")
		}
		if said := w.hiddenEvents(); len(said) != 2 || said[1] != "false 192.0.2.1 151/302" {
			t.Fatalf("said %v, want that it is over", said)
		}
	})
}

func TestADeniedPathBesideALiveSessionIsHintedAtOnce(t *testing.T) {
	hints := func(w *world) int { return len(eventsOf[check.LayoutHint](w)) }
	inWorld(t, viewers(), func(w *world) {
		w.script(deny)
		w.want("/keys/ch1.key", "deny backend")
		w.script(nil)
		w.want(entry, "allow backend")
		w.script(deny)
		w.want("/live/ch2/index.m3u8", "deny backend")
		w.want("/keys/ch1.key?token=1", "deny backend")
		w.wantOf(from("192.0.2.2", "/keys/ch2.key"), "deny backend")
		if n := hints(w); n != 0 {
			t.Fatalf("%d hints at what says nothing of a layout", n)
		}
		w.want("/keys/ch2.key", "deny backend")
		w.want("/keys/ch3.key", "deny backend")
		if e := eventsOf[check.LayoutHint](w); len(e) != 1 || e[0] != (check.LayoutHint{Route: "tv", Path: "/keys/ch2.key"}) {
			t.Errorf("hints: %+v", e)
		}
	})
}

func TestAViewerWhoseSessionIsOverGivesNoHint(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry, "allow backend")
		w.pass(DefaultIdle)
		w.script(deny)
		w.want("/keys/ch1.key", "deny backend")
		if e := eventsOf[check.LayoutHint](w); len(e) != 0 {
			t.Errorf("hints: %+v", e)
		}
	})
}

package session

import (
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

func TestEachJoinByItself(t *testing.T) {
	const (
		refresh   = entry + "?token=1"
		other     = "/live/ch1/v720/index.m3u8?token=1"
		plain     = segment
		elsewhere = "elsewhere"
		agent     = "agent"
	)
	tests := []struct {
		name string
		join Join
		want map[string]bool
	}{
		{"none", Join{}, map[string]bool{}},
		{"token", Join{Token: true}, map[string]bool{refresh: true, other: true}},
		{"client", Join{Client: true}, map[string]bool{refresh: true, other: true, plain: true}},
		{"address", Join{Address: true}, map[string]bool{refresh: true, other: true, plain: true, agent: true}},
		{"id, without one", Join{ID: true}, map[string]bool{}},
	}
	for _, tt := range tests {
		for _, what := range []string{refresh, other, plain, elsewhere, agent} {
			t.Run(tt.name+" "+what, func(t *testing.T) {
				rules := viewers()
				rules.Join = tt.join
				inWorld(t, rules, func(w *world) {
					w.want(refresh, "allow backend")
					w.script(deny)
					r := request(plain)
					switch what {
					case elsewhere:
						r = from("192.0.2.2", plain)
					case agent:
						r.UserAgent = "Lavf/60"
					default:
						r = request(what)
					}
					want := "deny backend"
					if tt.want[what] {
						want = "allow session"
					}
					w.wantOf(r, want)
				})
			})
		}
	}
}

func TestOnTheAskedPathAnotherQueryIsAskedAbout(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry+"?id=1", "allow backend")
		w.want(entry+"?id=1&_HLS_msn=4&_HLS_part=1", "allow session")
		w.script(deny)
		for _, query := range []string{"", "?id=99", "?id=1&id=99", "?id=1&start=5", "?id=1&x=1", "?x=1"} {
			w.want(entry+query, "deny backend")
		}
		w.want(entry+"?id=1", "allow session")
	})
}

func TestOnTheStreamsOtherPathsAQueryHasToFit(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry+"?id=1", "allow backend")
		for _, query := range []string{"", "?id=1", "?seq=7", "?seq=7&id=1"} {
			w.want(segment+query, "allow session")
		}
		w.script(deny)
		for _, query := range []string{"?id=99", "?ID=99", "?id=1&id=99", "?start=100", "?utc=1", "?lutc=1", "?duration=9"} {
			w.want(segment+query, "deny backend")
		}
	})
}

func TestTheArchivesNamesThatWereAllowedFit(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry+"?start=100", "allow backend")
		w.want(segment+"?start=100", "allow session")
		w.script(deny)
		w.want(segment+"?start=200", "deny backend")
	})
}

// Three boxes of one kind behind one address, each with a token of its own: nobody
// who paid is denied, and each is asked about once.
func TestThreeEqualBoxesBehindOneAddress(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(ministra())
		for _, token := range []string{"?token=1", "?token=2", "?token=3"} {
			w.want(entry+token, "allow backend")
		}
		for range 200 {
			w.pass(5 * time.Second)
			for _, token := range []string{"?token=1", "?token=2", "?token=3"} {
				w.want(entry+token, "allow session")
				w.want(segment, "allow session")
				w.want("/live/ch1/key.bin"+token, "allow session")
			}
		}
		w.wantAsked(3, "three boxes")
		w.wantLive(3, "three boxes")
	})
}

// A player that fetched its playlist once sends nothing but segments, and they name
// none of its viewer's sessions: they keep all whose they may be.
func TestARequestThatMayBeAnyonesKeepsAllOfItsViewer(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(ministra())
		w.want(entry+"?token=1", "allow backend")
		w.want(entry+"?token=2", "allow backend")
		w.want("/live/ch1/index.m3u8?id=3", "allow backend")
		for range 30 {
			w.pass(time.Minute)
			w.want(segment, "allow session")
			w.want(segment+"?token=2", "allow session")
		}
		w.want(entry+"?token=1", "allow session")
		w.want(entry+"?id=3", "allow session")
		w.wantAsked(3, "half an hour of segments")
	})
}

func TestARequestWithAnothersQueryKeepsNoOther(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry+"?token=1", "allow backend")
		w.want(entry+"?token=2", "allow backend")
		for range 12 {
			w.pass(time.Minute)
			w.want(segment+"?token=2", "allow session")
		}
		w.script(deny)
		w.want(entry+"?token=1", "deny backend")
	})
}

// What keeps one session alive brings no other back that has ended.
func TestASessionThatEndedIsNotBroughtBackByItsViewersNextOne(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry+"?token=1", "allow backend")
		w.pass(DefaultIdle)
		w.want(entry+"?token=2", "allow backend")
		w.want(segment, "allow session")
		w.script(deny)
		w.want(entry+"?token=1", "deny backend")
	})
}

func TestARequestWithoutNamesJoinsTheNewestSession(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		for _, query := range []string{"", "?token=1", "?token=2"} {
			d := w.wantOf(request(entry+query), "allow backend")
			w.pass(time.Second)
			if got := w.wantOf(request(segment), "allow session"); got.Session != d.Session {
				t.Errorf("after %q a segment joins an older session", query)
			}
		}
	})
}

func TestANewerSessionThatIsOverHidesNoOlderOne(t *testing.T) {
	rules := viewers()
	rules.AllowUnavailable = true
	inWorld(t, rules, func(w *world) {
		old := w.wantOf(request(entry+"?token=1"), "allow backend")
		w.goAway(true)
		w.want(entry+"?token=2", "allow default")
		w.use(viewers()) // Newcomers are let in no longer, so the newer one is over.
		if d := w.wantOf(request(segment), "allow session"); d.Session != old.Session {
			t.Error("joined another session than the one that lives")
		}
		w.wantEnds("a reload to deny", "policy")
	})
}

func TestZappingAwayAndBackIsOneQuestionEach(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(ministra())
		w.want("/live/ch1/index.m3u8?token=1", "allow backend")
		w.want("/live/ch1/seg1.ts", "allow session")
		w.pass(20 * time.Second)
		w.want("/live/ch2/index.m3u8?token=2", "allow backend")
		w.want("/live/ch2/seg1.ts", "allow session")
		w.pass(20 * time.Second)
		w.want("/live/ch1/index.m3u8?token=3", "allow backend")
		w.want("/live/ch1/seg9.ts", "allow session")
		w.want("/live/ch1/index.m3u8?token=3", "allow session")
		w.wantAsked(3, "three channels")
	})
}

func TestAPauseOfMinutesIsNoEnd(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(ministra())
		w.want(entry+"?token=1", "allow backend")
		w.pass(DefaultIdle - time.Second)
		w.want(segment, "allow session")
		w.pass(DefaultIdle - time.Second)
		w.want(entry+"?token=1", "allow session")
		w.wantAsked(1, "two pauses")
	})
}

// byID is a route that joins by the signed id alone.
func byID() Rules {
	r := viewers()
	r.Join = Join{ID: true}
	return r
}

func withKeys(t testing.TB) Config { return Config{Keys: keysOf(t, secret("a"))} }

func TestAnIDInTheCookieOrTheQueryJoins(t *testing.T) {
	inWorldOf(t, byID(), withKeys(t), func(w *world) {
		id := w.wantOf(request(entry+"?token=1"), "allow backend").ID
		if id == "" {
			t.Fatal("no id to hand to the viewer")
		}
		r := request(segment)
		r.IDs[1] = id
		if d := w.wantOf(r, "allow session"); d.ID != id {
			t.Errorf("the viewer is handed %q, and had %q", d.ID, id)
		}
		w.want(segment+"?altagate_id="+id, "allow session")
		w.want(entry+"?token=1&altagate_id="+id, "allow session")
		moved := from("198.51.100.7", segment)
		moved.UserAgent, moved.IDs[0] = "Lavf/60", id
		w.wantOf(moved, "allow session")
		w.wantAsked(1, "by id")

		w.script(deny)
		w.want(segment, "deny backend")
		w.want(entry+"?token=2&altagate_id="+id, "deny backend")
		w.want(segment+"?token=2&altagate_id="+id, "deny backend")
		w.want("/live/ch2/seg1.ts?altagate_id="+id, "deny backend")
		other := request(segment + "?altagate_id=" + id)
		other.Host = "other.example.com"
		w.wantOf(other, "deny backend")
		forged := strings.Repeat("x", len(id))
		w.want("/live/ch1/seg2.ts?altagate_id="+forged, "deny backend")
		w.want("/live/ch1/seg3.ts?altagate_id="+w.only().ID, "deny backend")
	})
}

func TestAnIDIsNothingWhereTheJoinIsOff(t *testing.T) {
	inWorldOf(t, byID(), withKeys(t), func(w *world) {
		id := w.wantOf(request(entry), "allow backend").ID
		w.use(viewers())
		w.script(deny)
		w.wantOf(from("192.0.2.2", segment+"?altagate_id="+id), "deny backend")
	})
}

func TestAnIDIsGoodFromFourAddressesWithinIdle(t *testing.T) {
	inWorldOf(t, byID(), withKeys(t), func(w *world) {
		id := w.wantOf(request(entry), "allow backend").ID
		w.script(deny)
		for range 2 {
			for n := range 4 {
				w.wantOf(from([]string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.4"}[n], segment+"?altagate_id="+id), "allow session")
			}
		}
		w.wantOf(from("2001:db8::ffff", segment+"?altagate_id="+id), "allow session") // of the same /64
		w.wantOf(from("192.0.2.5", segment+"?altagate_id="+id), "deny backend")
		w.pass(DefaultIdle - time.Second)
		w.want(segment+"?altagate_id="+id, "allow session")
		w.pass(time.Second)
		w.wantOf(from("192.0.2.6", segment+"?altagate_id="+id), "allow session")
	})
}

func TestWithoutOtherJoinsEqualBoxesWithOneTokenShareASession(t *testing.T) {
	inWorldOf(t, byID(), withKeys(t), func(w *world) {
		first := w.wantOf(request(entry), "allow backend")
		w.pass(time.Second)
		second := w.wantOf(request(entry), "allow backend")
		w.wantLive(1, "two boxes")
		for _, id := range []string{first.ID, second.ID} {
			w.want(segment+"?altagate_id="+id, "allow session")
		}
	})
}

func TestAnIDIsGoodForTheWholeSession(t *testing.T) {
	rules := byID()
	rules.Max = time.Hour
	inWorldOf(t, rules, withKeys(t), func(w *world) {
		w.pass(500 * time.Millisecond) // Ids are good in whole seconds.
		id := w.wantOf(request(entry), "allow backend").ID
		for range 59 {
			w.pass(time.Minute)
			w.want(segment+"?altagate_id="+id, "allow session")
		}
		w.pass(time.Minute - time.Millisecond)
		w.want(segment+"?altagate_id="+id, "allow session")
		w.goAway(true)
		w.pass(DefaultGrace)
		w.want(segment+"?altagate_id="+id, "allow grace")
		w.pass(time.Millisecond)
		w.want(segment+"?altagate_id="+id, "deny default")
	})
}

func TestAKeyThatIsGoneReadsNoMore(t *testing.T) {
	inWorldOf(t, byID(), withKeys(t), func(w *world) {
		id := w.wantOf(request(entry), "allow backend").ID
		w.script(deny)
		w.store.SetKeys(keysOf(t, secret("b"), secret("a")))
		w.want(segment+"?altagate_id="+id, "allow session")
		w.store.SetKeys(keysOf(t, secret("b")))
		w.want(segment+"?altagate_id="+id, "deny backend")
		w.store.SetKeys(nil)
		w.want("/live/ch1/seg2.ts?altagate_id="+id, "deny backend")
	})
}

func TestADenialIsRememberedForThreeSeconds(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(deny)
		w.want(entry+"?token=1", "deny backend")
		w.pass(3*time.Second - time.Nanosecond)
		w.want(entry+"?token=1", "deny recent-denial")
		w.want(entry+"?token=1&altagate_id=x", "deny recent-denial")
		w.wantAsked(1, "a player in a retry loop")
		w.want(entry+"?token=2", "deny backend")
		w.wantOf(from("192.0.2.2", entry+"?token=1"), "deny backend")
		r := request(entry + "?token=1")
		r.UserAgent = "curl"
		w.wantOf(r, "deny backend")
		w.pass(time.Nanosecond)
		w.script(nil)
		w.want(entry+"?token=1", "allow backend")
	})
}

func TestOnlyDenialsOfTheBackendAreRemembered(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.fail(true)
		w.want(entry, "deny unanswered")
		w.fail(false)
		w.goAway(true)
		w.want(entry, "deny default")
		w.goAway(false)
		w.want(entry, "allow backend")
	})
}

// A denial of one stream's path has no effect on a viewer who is watching it.
func TestARememberedDenialTouchesNoSession(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(deny)
		w.want(segment, "deny backend")
		w.script(nil)
		w.want(entry+"?token=1", "allow backend")
		w.want(segment, "allow session")
	})
}

func TestRememberedDenialsAreBounded(t *testing.T) {
	d := newDenials(100)
	now := someNow()
	key := func(n int) denial { return denial{byte(n), byte(n >> 8)} }
	for n := range 1000 {
		d.add(key(n), check.RecentDenial, now.Add(time.Duration(n)*time.Millisecond))
	}
	if len(d.until) != 100 || len(d.order) > 400 {
		t.Errorf("%d denials, and %d in their order; 100 is the most", len(d.until), len(d.order))
	}
	now = now.Add(time.Second)
	has := func(n int) bool { _, ok := d.has(key(n), now); return ok }
	if has(899) || !has(900) || !has(999) {
		t.Error("the oldest are not the ones that went")
	}
	d.add(key(5000), check.RecentDenial, now.Add(deniedFor))
	if len(d.until) != 1 {
		t.Errorf("%d denials are kept after their time", len(d.until)-1)
	}
}

package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// crash starts a Store anew from what the disk has at this moment.
func (w *world) crash() {
	w.t.Helper()
	d := w.config.Journal.(*disk).copied()
	w.stop() // What it writes now is lost.
	w.config.Journal = d
	w.start()
}

func inWorldWithDisk(t *testing.T, rules Rules, test func(w *world, d *disk)) {
	t.Helper()
	inWorldOf(t, rules, Config{Journal: newDisk()}, func(w *world) { test(w, w.config.Journal.(*disk)) })
}

func TestSessionsSurviveACrash(t *testing.T) {
	inWorldWithDisk(t, viewers(), func(w *world, _ *disk) {
		w.script(ministra())
		d := w.wantOf(request(entry+"?token=1"), "allow backend")
		w.want("/live/ch1/poster.jpg?token=2", "allow backend")
		w.pass(time.Second)
		w.crash()
		for _, target := range []string{entry + "?token=1", segment, "/live/ch1/v720/index.m3u8?token=1"} {
			if got := w.wantOf(request(target), "allow session"); got.Session != d.Session {
				t.Errorf("%s joins %s, want %s", target, got.Session, d.Session)
			}
		}
		w.want("/live/ch1/poster.jpg?token=2", "allow session")
		w.want(entry+"?token=2", "deny backend")
		w.wantOf(from("192.0.2.2", segment), "deny backend")
		if restored := w.started()[2:]; len(restored) != 2 || !restored[0].Restored || !restored[1].Restored {
			t.Errorf("restored: %+v", restored)
		}
	})
}

func TestASessionIsTheSameAfterARestart(t *testing.T) {
	rules := viewers()
	rules.Join.ID = true
	inWorldOf(t, rules, Config{Journal: newDisk(), Keys: keysOf(t, secret("a"))}, func(w *world) {
		w.script(func(*check.Request) check.Outcome {
			return check.Outcome{Verdict: check.Allowed, User: "u", SessionName: "n", AuthDuration: time.Hour, Backend: "portal"}
		})
		signed := w.wantOf(request(entry+"?token=1"), "allow backend").ID
		w.pass(2 * time.Minute)
		for n := range 3 {
			w.wantOf(from(address(n), segment+"?altagate_id="+signed), "allow session")
		}
		before := w.only()
		w.pass(time.Second)
		w.restart()
		after := w.only()
		if !after.Started.Equal(before.Started) || !after.LastRequest.Equal(before.LastRequest) {
			t.Errorf("times are %v, %v and were %v, %v", after.Started, after.LastRequest, before.Started, before.LastRequest)
		}
		after.Started, after.LastRequest, before.Started, before.LastRequest = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		after.Requests, before.Requests = 0, 0 // Those of the last minute may be lost.
		if after != before {
			t.Errorf("\n%+v, and was\n%+v", after, before)
		}
		w.wantOf(from(address(1), segment+"?altagate_id="+signed), "allow session")
		w.script(deny)
		w.wantOf(from(address(9), segment+"?altagate_id="+signed), "deny backend")
		w.pass(time.Hour)
		w.want(segment, "deny backend")
		w.wantEnds("the question was repeated to the end", "denied")
	})
}

func TestWhoAsksAnewAfterARestartOrAReloadGetsASignedIDThatJoins(t *testing.T) {
	rules := viewers()
	rules.Join = Join{ID: true}
	for name, happens := range map[string]func(w *world){
		"a restart":                 func(w *world) { w.restart() },
		"a crash":                   func(w *world) { w.crash() },
		"a reload that joins by id": func(w *world) { w.use(rules) },
	} {
		t.Run(name, func(t *testing.T) {
			before := rules
			before.Join.ID = name != "a reload that joins by id"
			inWorldOf(t, before, Config{Journal: newDisk(), Keys: keysOf(t, secret("a"))}, func(w *world) {
				first := w.wantOf(request(entry+"?token=1"), "allow backend")
				w.pass(3 * pause)
				happens(w)
				again := w.wantOf(request(entry+"?token=1"), "allow backend")
				if again.Session != first.Session || again.ID == "" {
					t.Fatalf("asked anew, the session is %q with the signed id %q; it was %q", again.Session, again.ID, first.Session)
				}
				w.want(segment+"?altagate_id="+again.ID, "allow session")
			})
		})
	}
}

func TestATimeOfTheRestartIsNoTimeWon(t *testing.T) {
	rules := viewers()
	rules.Max, rules.Grace = time.Hour, 0
	inWorldWithDisk(t, rules, func(w *world, _ *disk) {
		w.want(entry, "allow backend")
		for range 59 {
			w.pass(59 * time.Second)
			w.want(segment, "allow session")
			w.pass(time.Second)
			w.crash()
		}
		w.pass(time.Minute)
		w.wantEnds("an hour, through 59 crashes", "max")
	})
}

func TestASessionThatEndsWhileNobodyRunsHasItsEndSaid(t *testing.T) {
	rules := viewers()
	rules.Grace = 0
	inWorldWithDisk(t, rules, func(w *world, d *disk) {
		w.want(entry, "allow backend")
		w.pass(time.Second)
		w.stop()
		w.pass(DefaultIdle)
		w.start()
		w.pass(time.Second)
		w.wantEnds("while it was down", "idle")
		if s := w.started(); len(s) != 2 || !s[1].Restored {
			t.Errorf("starts: %+v", s)
		}
		if len(d.records) != 0 {
			t.Errorf("%d records are left", len(d.records))
		}
	})
}

func TestGraceGoesOnThroughARestart(t *testing.T) {
	inWorldWithDisk(t, viewers(), func(w *world, _ *disk) {
		w.script(allowFor(time.Minute))
		w.want(entry, "allow backend")
		w.goAway(true)
		w.pass(5 * time.Minute)
		w.want(segment, "allow grace")
		w.pass(time.Second)
		w.crash()
		w.want(segment, "allow grace")
		w.pass(5*time.Minute + 59*time.Second)
		w.want(segment, "deny default")
		w.wantEnds("grace after its minute", "unavailable")
	})
}

func TestAnEndThatWasAcknowledgedIsNeverUndone(t *testing.T) {
	inWorldWithDisk(t, viewers(), func(w *world, _ *disk) {
		w.script(userOf)
		w.want(entry+"?u1", "allow backend")
		w.wantOf(from("192.0.2.2", entry+"?u2"), "allow backend")
		w.pass(time.Second)
		w.wantOf(from("192.0.2.3", entry+"?u3"), "allow backend") // It is not on disk yet.
		page, _ := w.store.List(Filter{User: "u1"}, "", 1)
		if _, err := w.store.End(page[0].ID, time.Hour, false); err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.EndUser("u2", time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.EndUser("u3", time.Hour); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			w.crash()
			w.wantLive(0, "all were ended")
			w.want(segment, "deny revoked")
			w.wantOf(from("192.0.2.9", entry+"?u2"), "deny revoked")
			w.wantOf(from("192.0.2.9", entry+"?u3"), "deny revoked")
			w.pass(10 * time.Minute)
		}
		w.pass(30 * time.Minute)
		w.want(entry+"?u1", "allow backend")
		w.wantOf(from("192.0.2.9", entry+"?u2"), "allow backend")
	})
}

func TestAClockThatWasSetBackExtendsNothing(t *testing.T) {
	tests := map[string]struct {
		set    func(r *Rules)
		answer func(*check.Request) check.Outcome
		left   time.Duration
		reason string
	}{
		"idle": {func(r *Rules) { r.Idle = time.Hour }, nil, time.Hour - 30*time.Minute, "idle"},
		"max":  {func(r *Rules) { r.Max = time.Hour; r.Idle = 2 * time.Hour }, nil, time.Hour - 30*time.Minute, "max"},
		"expired": {func(r *Rules) { r.Idle = 2 * time.Hour }, func(*check.Request) check.Outcome {
			return check.Outcome{Verdict: check.Allowed, AuthDuration: time.Hour, Once: true}
		}, time.Hour - 30*time.Minute, "expired"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rules := viewers()
			rules.Grace = 0
			tt.set(&rules)
			inWorldWithDisk(t, rules, func(w *world, d *disk) {
				w.script(tt.answer)
				w.want(entry, "allow backend")
				w.wantOf(from("192.0.2.2", "/live/ch2/index.m3u8"), "allow backend")
				w.end2(t)
				w.pass(30 * time.Minute)
				w.wantOf(from("192.0.2.3", "/live/ch3/index.m3u8"), "allow backend") // The last write.
				w.stop()
				d.shift(7 * 24 * time.Hour)
				w.start()
				w.wantOf(from("192.0.2.2", "/live/ch2/index.m3u8"), "deny revoked")
				w.pass(tt.left - time.Second)
				w.wantLive(2, "a second before its end")
				w.pass(time.Second)
				w.wantEnds("its end", "operator", tt.reason)
				w.wantOf(from("192.0.2.2", "/live/ch2/index.m3u8"), "allow backend")
			})
		})
	}
}

// end2 ends the session of the second viewer for an hour.
func (w *world) end2(t *testing.T) {
	t.Helper()
	page, _ := w.store.List(Filter{Address: from("192.0.2.2", "/").Addr}, "", 1)
	if _, err := w.store.End(page[0].ID, time.Hour, false); err != nil {
		t.Fatal(err)
	}
}

// A record from the time to come says that the clock was set back after it was
// written, whatever was written since.
func TestARecordOfTheTimeToComeCountsAsMadeJustNow(t *testing.T) {
	rules := viewers()
	rules.Grace = 0
	inWorldWithDisk(t, rules, func(w *world, d *disk) {
		w.want(entry, "allow backend")
		w.pass(time.Second)
		w.stop()
		d.shift(24 * time.Hour)
		d.written = time.Now().Round(0)
		w.start()
		w.pass(DefaultIdle - time.Nanosecond)
		w.wantEnds("before its idle is over")
		w.pass(time.Nanosecond)
		w.wantEnds("its idle is over", "idle")
	})
}

// Later settings of the clock mean nothing to a process: its times are by the clock
// that nobody sets, those from the journal too.
func TestTimesOfTheJournalAreByTheClockThatNobodySets(t *testing.T) {
	now := time.Now() // A bubble's clock has no such reading.
	wall := now.Round(0).Add(-time.Hour)
	got := clock{now: now, ahead: time.Minute}.here(wall)
	if !strings.Contains(got.String(), " m=-") || now.Sub(got) != time.Hour+time.Minute {
		t.Errorf("%v became %v", wall, got)
	}
	if got := (clock{now: now}).here(time.Time{}); !got.IsZero() {
		t.Errorf("no time became %v", got)
	}
}

func TestABrokenJournalCostsNoCheckAndRecovers(t *testing.T) {
	inWorldWithDisk(t, viewers(), func(w *world, d *disk) {
		w.script(userOf)
		w.want("/live/ch0/index.m3u8?u0", "allow backend")
		w.pass(time.Second)
		full := errors.New("no space left on device")
		d.breakWith(full)
		for n := 1; n < 10; n++ {
			w.wantOf(from(address(n), fmt.Sprintf("/live/ch%d/index.m3u8?u%d", n, n)), "allow backend")
			w.wantOf(from(address(n), fmt.Sprintf("/live/ch%d/seg.ts", n)), "allow session")
		}
		w.pass(time.Minute)
		if _, err := w.store.EndUser("u0", time.Hour); !errors.Is(err, full) {
			t.Fatalf("the error is %v", err)
		}
		w.want("/live/ch0/index.m3u8?u0", "deny revoked")
		w.pass(time.Minute)
		turned := eventsOf[check.JournalTurned](w)
		if len(turned) != 1 || !errors.Is(turned[0].Err, full) {
			t.Fatalf("said %+v, want once that writing fails", turned)
		}
		d.breakWith(nil)
		w.pass(2 * troubled)
		if turned = eventsOf[check.JournalTurned](w); len(turned) != 2 || turned[1].Err != nil {
			t.Fatalf("said %+v, want once that writing works again", turned)
		}
		w.crash()
		w.wantLive(9, "what was not saved at once is saved now")
		w.want("/live/ch0/index.m3u8?u0", "deny revoked")
		w.pass(time.Hour)
		w.want("/live/ch0/index.m3u8?u0", "allow backend")
	})
}

func TestAShortIdleIsNotLostOverACrash(t *testing.T) {
	rules := viewers()
	rules.Idle, rules.Grace = 20*time.Second, 0
	inWorldWithDisk(t, rules, func(w *world, _ *disk) {
		w.script(ministra())
		w.want(entry+"?token=1", "allow backend")
		for range 29 {
			w.pass(4 * time.Second)
			w.want(segment, "allow session")
		}
		w.pass(time.Second)
		w.crash()
		w.want(segment, "allow session")
	})
}

// What keeps a session alive is in the journal, even if it named another.
func TestASessionThatIsKeptByItsViewersOthersIsKeptOverACrash(t *testing.T) {
	inWorldWithDisk(t, viewers(), func(w *world, _ *disk) {
		w.script(ministra())
		w.want(entry+"?token=1", "allow backend")
		w.want(entry+"?token=2", "allow backend")
		for range 30 {
			w.pass(time.Minute)
			w.want(segment, "allow session")
		}
		w.pass(time.Second)
		w.crash()
		w.want(entry+"?token=1", "allow session")
		w.want(entry+"?token=2", "allow session")
	})
}

func TestASmallerBoundKeepsThoseThatWereUsedLast(t *testing.T) {
	inWorldWithDisk(t, viewers(), func(w *world, d *disk) {
		for n := range 10 {
			w.wantOf(from(address(n), entry), "allow backend")
			w.pass(time.Second)
		}
		w.config.Limit = 4
		w.restart()
		w.pass(time.Second)
		w.wantLive(4, "the bound")
		for n := 6; n < 10; n++ {
			w.wantOf(from(address(n), segment), "allow session")
		}
		w.wantEnds("the longest idle", "evicted", "evicted", "evicted", "evicted", "evicted", "evicted")
		if len(d.records) != 4 {
			t.Errorf("%d records, want 4", len(d.records))
		}
	})
}

func TestASaveIsSharedByABurst(t *testing.T) {
	inWorldWithDisk(t, viewers(), func(w *world, d *disk) {
		for n := range 1000 {
			w.wantOf(from(address(n), entry), "allow backend")
		}
		w.pass(time.Second)
		if d.saves > 3 || len(d.records) != 1000 {
			t.Errorf("%d saves of %d records", d.saves, len(d.records))
		}
		saves := d.saves
		for range 10 {
			w.pass(2 * time.Second)
			for n := range 1000 {
				w.wantOf(from(address(n), segment), "allow session")
			}
		}
		if d.saves != saves {
			t.Errorf("%d saves for requests within a minute", d.saves-saves)
		}
	})
}

func TestAJournalThatCannotBeReadIsAnError(t *testing.T) {
	want := errors.New("not ours")
	if s, err := New(Config{Journal: unreadable{newDisk(), want}, Notify: func(check.Event) {}}); s != nil || !errors.Is(err, want) {
		t.Errorf("New gives %v, %v", s, err)
	}
}

type unreadable struct {
	*disk
	err error
}

func (u unreadable) Load() ([]Record, []Revocation, time.Time, error) {
	return nil, nil, time.Time{}, u.err
}

package session

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// cached is a route whose sessions' allows may be repeated for five seconds.
func cached() Rules {
	r := viewers()
	r.Cache = 5 * time.Second
	return r
}

// repeatable gives what is wrong with the time for which an allow may be repeated:
// without another request the session must not end before it, nor be due.
func (o *oracle) repeatable(v *viewing, d check.Decision, now time.Time) string {
	end, _ := o.ends(v, now)
	due, asks := o.overdue(v)
	switch until := now.Add(d.Cache); {
	case o.w.rules.Cache == 0 && d.Cache != 0, d.Cache < 0, d.Cache > o.w.rules.Cache:
		return "it may be repeated for " + d.Cache.String()
	case until.After(end):
		return "it may be repeated beyond its end"
	case asks && until.After(due):
		return "it may be repeated beyond the question that is due"
	case d.Cache < o.w.rules.Cache && until.Before(end) && (!asks || until.Before(due)):
		return "it may be repeated for less time than there is"
	}
	return ""
}

// wantCache checks a request of the usual viewer, and for how long its answer may be
// repeated.
func (w *world) wantCache(target, decision string, cache time.Duration) {
	w.t.Helper()
	if d := w.wantOf(request(target), decision); d.Cache != cache {
		w.t.Errorf("%s: may be repeated for %v, want %v", target, d.Cache, cache)
	}
}

func TestOnlyWhatASessionAllowsMayBeRepeated(t *testing.T) {
	rules := cached()
	rules.AllowUnavailable, rules.Idle, rules.Grace = true, time.Minute, time.Minute
	inWorld(t, rules, func(w *world) {
		w.wantCache(entry+"?token=1", "allow backend", 0)
		w.wantCache(entry+"?token=1", "allow session", 5*time.Second)
		w.wantCache(segment, "allow session", 5*time.Second)
		post := request(segment)
		post.Method = "POST"
		if d := w.wantOf(post, "allow backend"); d.Cache != 0 {
			t.Errorf("a POST: %v", d.Cache)
		}
		w.script(deny)
		w.wantCache("/live/ch2/index.m3u8", "deny backend", 0)
		w.wantCache("/live/ch2/index.m3u8", "deny recent-denial", 0)
		w.goAway(true)
		w.wantCache(segment, "allow session", 5*time.Second) // No question is due.
		w.wantCache("/live/ch3/index.m3u8", "allow default", 0)
		w.wantCache("/live/ch3/1.ts", "allow default", 0)
		w.pass(time.Minute)
		w.wantCache(segment, "allow grace", 0)
	})
}

func TestNoAllowMayBeRepeatedBeyondTheSession(t *testing.T) {
	const longest = 5 * time.Second
	t.Run("max", func(t *testing.T) {
		rules := cached()
		rules.Max, rules.Idle = time.Minute, 30*time.Second
		inWorld(t, rules, func(w *world) {
			w.want(entry, "allow backend")
			for range 3 {
				w.pass(18 * time.Second)
				w.wantCache(segment, "allow session", longest)
			}
			w.pass(2*time.Second + 1) // 56 s
			w.wantCache(segment, "allow session", 4*time.Second-1)
			w.pass(3 * time.Second)
			w.wantCache(segment, "allow session", time.Second-1)
		})
	})
	t.Run("the next question", func(t *testing.T) {
		inWorld(t, cached(), func(w *world) {
			w.script(allowFor(8 * time.Second))
			w.want(entry, "allow backend")
			w.wantCache(segment, "allow session", longest)
			w.fail(true)
			w.pass(7 * time.Second)
			w.wantCache(segment, "allow session", time.Second)
			w.pass(time.Second)
			w.wantCache(segment, "allow grace", 0)
		})
	})
	t.Run("a token that dies", func(t *testing.T) {
		inWorld(t, cached(), func(w *world) {
			w.script(func(*check.Request) check.Outcome {
				return check.Outcome{Verdict: check.Allowed, Once: true, AuthDuration: 10 * time.Second}
			})
			w.want(entry, "allow backend")
			w.pass(7 * time.Second)
			w.wantCache(segment, "allow session", 3*time.Second)
		})
	})
	t.Run("a token that proves itself", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, rules := filled(t, 0)
			rules.Cache = longest
			r := request(entry + "?token=1")
			s.Settle(rules, &r, Joined{}, NewID(), check.Decision{Allow: true, Reason: check.Rule, Outcome: check.Outcome{
				Verdict: check.Allowed, Backend: check.SecureToken, Once: true, AuthDuration: 4 * time.Second,
			}})
			if d := s.Join(rules, &r).Decision; said(d) != "allow session" || d.Cache != 4*time.Second {
				t.Errorf("%s, may be repeated for %v", said(d), d.Cache)
			}
		})
	})
}

func TestWithoutTheKeyNothingMayBeRepeated(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry, "allow backend")
		w.wantCache(segment, "allow session", 0)
		w.use(cached()) // A reload.
		w.wantCache(segment, "allow session", 5*time.Second)
		w.use(viewers())
		w.wantCache(segment, "allow session", 0)
	})
}

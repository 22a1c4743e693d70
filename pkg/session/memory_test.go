package session

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// live is how many bytes of the heap are in use.
func live() uint64 {
	runtime.GC()
	runtime.GC() // What a pool holds goes with the second.
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestASessionTakesBoundedMemory is about a session with a user that is limited, whose
// texts are those of most.
func TestASessionTakesBoundedMemory(t *testing.T) {
	const sessions, most = 50_000, 360
	before := live()
	s, _ := filled(t, sessions)
	each := float64(live()-before) / sessions
	runtime.KeepAlive(s)
	if each > most {
		t.Errorf("%.0f bytes a session; %d is the most: docs/performance.md says what an operator must have", each, most)
	}
}

// TestATokensTimeTakesNoMore is about sessions whose answers differ in how long they hold.
func TestATokensTimeTakesNoMore(t *testing.T) {
	const sessions, most = 20_000, 360
	s, rules := filled(t, 0)
	before := live()
	for n := range sessions {
		r := nth(n, fmt.Sprintf("/live/ch1/index.m3u8?token=%d", n))
		o := check.Outcome{Backend: check.SecureToken, Once: true, AuthDuration: time.Hour + time.Duration(n)}
		s.Settle(rules, &r, Joined{}, NewID(), check.Decision{Allow: true, Reason: check.Rule, Outcome: o})
	}
	if each := float64(live()-before) / sessions; each > most {
		t.Errorf("%.0f bytes a session; %d is the most", each, most)
	}
	if s.count != sessions {
		t.Errorf("%d sessions, want %d", s.count, sessions)
	}
}

// TestAnEndKeepsNothingOfItsSession is about what lasts after sessions: the names of the
// users who are kept off, of sessions with long queries.
func TestAnEndKeepsNothingOfItsSession(t *testing.T) {
	const sessions, size = 300, 20 << 10
	s, rules := filled(t, 0)
	before := live()
	for n := range sessions {
		r := nth(n, "/live/ch1/index.m3u8?token="+strings.Repeat("x", size))
		o := check.Outcome{Verdict: check.Allowed, Backend: "portal", User: fmt.Sprint(n)}
		d := s.Settle(rules, &r, Joined{}, NewID(), check.Decision{Allow: true, Reason: check.Backend, Outcome: o})
		if ended, err := s.End(d.Session, time.Hour, true); err != nil || len(ended) != 1 {
			t.Fatalf("ended %v: %v", ended, err)
		}
	}
	if after := live(); after > before+sessions*size/4 {
		t.Errorf("%d users who are kept off take %d bytes", sessions, after-before)
	}
	runtime.KeepAlive(s)
}

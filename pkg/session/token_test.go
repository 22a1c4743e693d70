package session

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// TestASessionOfATokenEndsWithItWhateverTheBackend is about one that no backend knows:
// whether one is there or away changes nothing.
func TestASessionOfATokenEndsWithItWhateverTheBackend(t *testing.T) {
	const entry = "/live/ch1/index.m3u8?token=1"
	for _, test := range []struct {
		name  string
		good  time.Duration
		idle  time.Duration // between requests
		until time.Duration // the last request that joins comes before it
	}{
		{"by its time", time.Hour, time.Minute, time.Hour},
		{"by idle, which a long token does not stretch", 20 * time.Hour, 11 * time.Minute, time.Minute},
		{"by max", 1000 * time.Hour, 9 * time.Minute, 24 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, rules := filled(t, 0)
				rules.Grace = time.Hour
				r := request(entry)
				d := check.Decision{Allow: true, Reason: check.Rule, Outcome: check.Outcome{
					Verdict: check.Allowed, Backend: check.SecureToken, Once: true, AuthDuration: test.good,
				}}
				start := time.Now()
				if d := s.Settle(rules, &r, Joined{}, NewID(), d); d.Session == "" {
					t.Fatalf("no session: %+v", d)
				}
				segment := request("/live/ch1/1.ts")
				var last time.Duration
				for {
					time.Sleep(test.idle)
					j := s.Join(rules, &segment)
					if j.Due != nil || j.Standing {
						t.Fatalf("after %v: %+v", time.Since(start), j)
					}
					if !j.Decided {
						break
					}
					last = time.Since(start)
				}
				if over := time.Since(start); last >= test.until || over < test.until {
					t.Errorf("it joined after %v and no longer after %v, want an end at %v", last, over, test.until)
				}
			})
		})
	}
}

package session

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
)

// filled is a Store with so many sessions, each of its own viewer.
func filled(t testing.TB, sessions int) (*Store, *Rules) {
	t.Helper()
	layout, err := stream.Parse("auto", []string{"/live/"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Limit: 1 << 20, Notify: func(check.Event) {}, Ask: func(*Question) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	rules := &Rules{Route: "tv", Layout: layout, Join: Join{Token: true, Client: true}}
	for n := range sessions {
		r := nth(n, fmt.Sprintf("/live/ch%d/index.m3u8?token=%d", n%100, n))
		o := check.Outcome{Verdict: check.Allowed, Backend: "portal", User: fmt.Sprint(n), MaxSessions: 2}
		d := check.Decision{Allow: true, Reason: check.Backend, Outcome: o}
		if d := s.Settle(rules, &r, Joined{}, NewID(), d); d.Session == "" {
			t.Fatalf("viewer %d has no session: %+v", n, d)
		}
	}
	return s, rules
}

// nth is a request of the n-th viewer.
func nth(n int, target string) check.Request {
	r := request(target)
	r.Addr = netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	return r
}

// joins are requests of one viewer that join a session, each by another way.
func joins(n int) map[string]check.Request {
	return map[string]check.Request{
		"playlist": nth(n, fmt.Sprintf("/live/ch%d/index.m3u8?token=%d", n%100, n)),
		"segment":  nth(n, fmt.Sprintf("/live/ch%d/v720/seg-17.ts", n%100)),
		"both":     nth(n, fmt.Sprintf("/live/ch%d/v720/index.m3u8?token=%d", n%100, n)),
	}
}

func TestJoiningAllocatesNothingHoweverManySessionsThereAre(t *testing.T) {
	for _, sessions := range []int{10, 100_000} {
		if testing.Short() && sessions > 1000 {
			continue
		}
		s, rules := filled(t, sessions)
		for name, r := range joins(7) {
			if d := s.Join(rules, &r).Decision; said(d) != "allow session" {
				t.Fatalf("%s: %s", name, said(d))
			}
			if n := testing.AllocsPerRun(200, func() { s.Join(rules, &r) }); n > 0 {
				t.Errorf("%s, %d sessions: %v allocations", name, sessions, n)
			}
		}
	}
}

func BenchmarkJoin(b *testing.B) {
	for _, sessions := range []int{10, 100_000} {
		s, rules := filled(b, sessions)
		for name, r := range joins(7) {
			b.Run(fmt.Sprintf("%s/%d", name, sessions), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s.Join(rules, &r)
				}
			})
		}
		b.Run(fmt.Sprintf("any/%d", sessions), func(b *testing.B) {
			b.ReportAllocs()
			requests := make([]check.Request, 0, 1000)
			for n := range 1000 {
				requests = append(requests, joins(n * sessions / 1000)["segment"])
			}
			at := 0
			for b.Loop() {
				s.Join(rules, &requests[at%len(requests)])
				at++
			}
		})
	}
}

func BenchmarkList(b *testing.B) {
	s, _ := filled(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		s.List(Filter{}, "", 100)
	}
}

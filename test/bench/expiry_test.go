package bench

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/pkg/stream"
	"github.com/altagate/altagate/test/rig"
)

// endingSessions is how many sessions end at once: as many as the default bound.
const endingSessions = session.DefaultLimit

// kept has sessions that all asked at one moment, so that they end at one.
type kept struct{ records []session.Record }

func (k kept) Load() ([]session.Record, []session.Revocation, time.Time, error) {
	return k.records, nil, time.Time{}, nil
}
func (kept) Save([]session.Record, []session.ID) error       { return nil }
func (kept) Revoke([]session.Revocation, []session.ID) error { return nil }

// endsAtOnce has sessions end at one moment, and says for how long checks waited
// meanwhile.
func endsAtOnce(t *testing.T) string {
	t.Helper()
	const idle = 2 * time.Second
	last := time.Now()
	var k kept
	for n := range endingSessions {
		r := viewing(n, "/live/ch1/index.m3u8?token=1")
		one := session.Record{
			Route: "tv", Scheme: r.Scheme, Host: r.Host, Stream: stream.Name{Kind: stream.Directory, Text: "/live/ch1/"}, Addr: r.Addr,
			UserAgent: r.UserAgent, Proxy: r.Proxy, Method: r.Method, Path: r.Path, Query: r.Query, Backend: "portal",
			Started: last, Last: last, Answered: last, Requests: 1, Idle: idle,
		}
		binary.BigEndian.PutUint64(one.ID[:], uint64(n)+1)
		k.records = append(k.records, one)
	}
	var ended atomic.Int64
	notify := func(e check.Event) {
		if _, ok := e.(check.SessionEnded); ok {
			ended.Add(1)
		}
	}
	s, err := session.New(session.Config{Limit: 2 * endingSessions, Notify: notify, Ask: func(*session.Question) {}, Journal: k})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	layout, err := stream.Parse("auto", nil)
	if err != nil {
		t.Fatal(err)
	}
	rules := &session.Rules{Route: "tv", Layout: layout, Join: session.Join{Token: true, Client: true}}
	r := viewing(endingSessions, "/live/ch2/index.m3u8?token=1")
	allowed := check.Outcome{Verdict: check.Allowed, Backend: "portal", Status: http.StatusOK}
	s.Settle(rules, &r, session.Joined{}, session.NewID(), check.Decision{Allow: true, Reason: check.Backend, Outcome: allowed})
	rig.Until(t, "the first end", func() bool { return ended.Load() > 0 })
	var waits []time.Duration
	began := time.Now()
	for ended.Load() < endingSessions {
		start := time.Now()
		if !s.Join(rules, &r).Decision.Allow {
			t.Fatal("the one session that goes on did not let its viewer in")
		}
		waits = append(waits, time.Since(start))
	}
	took := time.Since(began)
	slices.Sort(waits)
	return fmt.Sprintf("When %d sessions end at one moment, that takes %v. Of the %d checks meanwhile, one after the other, half "+
		"waited for %v at the most, 99.9 %% for %v, and the longest for %v.", endingSessions, took.Round(time.Millisecond), len(waits),
		waits[len(waits)/2].Round(time.Microsecond), waits[len(waits)*999/1000].Round(time.Microsecond), waits[len(waits)-1].Round(time.Microsecond))
}

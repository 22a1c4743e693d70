package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// Many goroutines on one Store: under -race it shows what is not guarded, and at
// the end every index agrees and every session that started has one end or is there.
func TestManyAtOnceOnOneStore(t *testing.T) {
	inWorldOf(t, openRoute(), Config{Limit: 300, Journal: newDisk(), Keys: keysOf(t, secret("a"))}, func(w *world) {
		w.rules.Join.ID = true
		w.rules.Idle, w.rules.Max = 10*time.Second, time.Minute
		w.script(func(r *check.Request) check.Outcome {
			return check.Outcome{
				Verdict: check.Allowed, AuthDuration: 4 * time.Second, User: "u" + r.Query,
				MaxSessions: 2, Unique: r.Query == "token=1",
			}
		})
		w.slow = 10 * time.Millisecond
		var all sync.WaitGroup
		var allowed atomic.Int64
		for n := range 32 {
			all.Go(func() { w.roam(rand.New(rand.NewPCG(1, uint64(n))), &allowed) })
		}
		all.Wait()
		w.pass(time.Second)
		if wrong := disorder(w.store); wrong != "" {
			t.Error(wrong)
		}
		if allowed.Load() == 0 {
			t.Error("nobody was let in")
		}
		if !slices.Contains(w.ends(), string(Limit)) {
			t.Error("no limit was met")
		}
		at := map[string]int{}
		for _, e := range w.started() {
			at[e.ID]++
		}
		for _, e := range w.ended() {
			at[e.ID] -= 2
		}
		there := 0
		for id, n := range at {
			if _, ok := w.store.Find(id); ok {
				there++
				n -= 2
			}
			if n != -1 {
				t.Errorf("session %s started and ended %d times", id, n)
			}
		}
		if got := w.live(); there != got {
			t.Errorf("%d sessions started and did not end, and %d are there", there, got)
		}
	})
}

// roam does one goroutine's share of everything.
func (w *world) roam(r *rand.Rand, allowed *atomic.Int64) {
	var hand string
	for range 150 {
		switch r.IntN(20) {
		case 0:
			<-time.After(time.Duration(r.IntN(3000)) * time.Millisecond)
		case 1:
			w.goAway(r.IntN(2) == 0)
		case 2:
			w.fail(r.IntN(2) == 0)
		case 3:
			if page, _ := w.store.List(Filter{}, "", 10); len(page) > 0 {
				w.store.End(page[r.IntN(len(page))].ID, time.Duration(r.IntN(2))*time.Second, r.IntN(4) == 0)
			}
		case 4:
			w.store.EndUser(fmt.Sprintf("utoken=%d", r.IntN(3)), time.Second)
		case 5:
			w.store.EndStream("tv", "", "/live/ch1/", 0)
			w.store.SetKeys(w.config.Keys)
		default:
			q := from(address(r.IntN(200)), fmt.Sprintf("/live/ch%d/index.m3u8?token=%d", r.IntN(4), r.IntN(3)))
			if r.IntN(2) == 0 {
				q.Path, q.Query = fmt.Sprintf("/live/ch%d/seg.ts", r.IntN(4)), ""
			}
			q.IDs[0] = hand
			if d := w.check(q); d.Allow {
				hand = d.ID
				allowed.Add(1)
			}
		}
	}
}

package soak

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// A machine can be too busy for the backend's timeout, without any fault: then even
// the portal, asked by nobody but the test and past everything that is tested, answers
// slowly. What newcomers meet at such a moment is the machine's doing.

// beat is the mean time between two questions of the pulse.
const beat = 50 * time.Millisecond

// pulse asks the portal itself until ctx ends, and gives the times in which it took
// longer than a share of the timeout that altagate gives it.
func (p *portal) pulse(ctx context.Context, timeout time.Duration) (slow []span) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for due := time.Now().Add(beat); pause(ctx, time.Until(due)); due = time.Now().Add(beat) {
		req, err := http.NewRequest(http.MethodGet, "http://"+p.address+"/pulse", nil)
		if err != nil {
			return slow
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		// A beat that comes late counts too: the machine had no time for it.
		if answered := time.Now(); answered.Sub(due) > timeout/10 {
			slow = append(slow, span{due, answered})
		}
	}
	return slow
}

// busy tells whether the machine was too busy for its processes at some time of a
// question that was under way then.
func (v *verdict) busy(from, to time.Time) bool {
	return slices.ContainsFunc(v.slow, func(s span) bool { return s.overlaps(from.Add(-slack), to.Add(slack)) })
}

// A proxy gives up after five seconds or more. One that did so while the machine hardly
// ran anything at all says nothing of altagate.
const (
	stall   = time.Second
	givesUp = 4500 * time.Millisecond
)

// stalled tells whether nobody could answer a in time, because the machine stood still.
func (v *verdict) stalled(a answer) bool {
	return a.took > givesUp && slices.ContainsFunc(v.slow, func(s span) bool {
		return s.to.Sub(s.from) > stall && s.overlaps(a.start.Add(-slack), a.start.Add(a.took))
	})
}

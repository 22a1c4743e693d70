package session

import (
	"math"
	"time"
)

// instant is a moment by the clock that nobody sets, in nanoseconds. 0 is none. It takes
// a third of the room of a time.Time, and a session holds many.
type instant int64

// genesis is the moment when a Store was made. There are 73 years before it, and more
// after it.
const genesis instant = 1 << 61

// add is the moment so much later. Where there is no such moment, it is the last one.
func (i instant) add(d time.Duration) instant {
	sum := i + instant(d)
	if d > 0 && sum < i {
		return math.MaxInt64
	}
	return max(sum, 1)
}

func (i instant) sub(earlier instant) time.Duration { return time.Duration(i - earlier) }

// moment is the instant of a time.
func (s *Store) moment(t time.Time) instant { return genesis.add(t.Sub(s.epoch)) }

// time is an instant by the wall clock as it is set now, and by the clock that nobody
// sets.
func (s *Store) time(i instant) time.Time {
	now := time.Now()
	return now.Add(i.sub(s.moment(now)))
}

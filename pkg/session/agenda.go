package session

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// agenda holds every session by the time at which something may be due about
// it. A session that was used in the meantime is looked at and put back, so a
// request costs the agenda nothing.
type agenda struct{ queue queue }

func (a *agenda) push(n *session) { heap.Push(&a.queue, n) }

func (a *agenda) remove(n *session) { heap.Remove(&a.queue, n.places.agenda) }

func (a *agenda) move(n *session, at time.Time) {
	n.places.at = at
	heap.Fix(&a.queue, n.places.agenda)
}

// first is the session that is due first; nil if there is none.
func (a *agenda) first() *session {
	if len(a.queue) == 0 {
		return nil
	}
	return a.queue[0]
}

// queue is a heap of sessions.
type queue []*session //nolint:recvcheck // As heap.Interface wants it.

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].places.at.Before(q[j].places.at) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].places.agenda, q[j].places.agenda = i, j
}

// Push is heap.Interface's.
func (q *queue) Push(x any) {
	n := x.(*session) //nolint:errcheck,forcetypeassert // The agenda pushes nothing else.
	n.places.agenda = len(*q)
	*q = append(*q, n)
}

// Pop is heap.Interface's.
func (q *queue) Pop() any {
	old := *q
	n := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return n
}

// provisionalEvery is how often a provisional session is looked at, so that it
// is asked about soon after its backend is back.
const provisionalEvery = 2 * time.Second

// next is when something may be due about a session.
func (s *Store) next(n *session, now time.Time) time.Time {
	end, _ := n.end()
	at := end.Add(n.grace())
	sooner := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	switch {
	case n.provisional:
		sooner(now.Add(jittered(provisionalEvery)))
	case n.asksAgain() && n.asking:
		sooner(now.Add(time.Second))
	case n.asksAgain():
		// In good time before the validity is over, or when the back-off is.
		soon := n.answered.Add(jittered(n.early()))
		if n.retry.After(soon) {
			soon = n.retry
		}
		if soon.After(now) {
			sooner(soon)
		}
		sooner(n.due().Add(n.rules.Grace))
	}
	return at
}

// jittered is d, or up to a fifth more, so that sessions that began together
// are not asked about together.
func jittered(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d + rand.N(d/5+1) //nolint:gosec // It spreads questions, and hides nothing.
}

// nudge has the watch look at the agenda again.
func (s *Store) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// watch does what the agenda says, when it says it.
func (s *Store) watch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
		case <-timer.C:
		}
		timer.Reset(s.work())
	}
}

// most is how many sessions are looked at before the lock is given to checks.
const most = 256

// work does what is due, and gives the time until something is again.
func (s *Store) work() time.Duration {
	for {
		s.mu.Lock()
		now := time.Now()
		var ask []*Question
		wait := time.Hour
		done := 0
		for ; done < most; done++ {
			n := s.agenda.first()
			if n == nil {
				break
			}
			if wait = n.places.at.Sub(now); wait > 0 {
				break
			}
			if q := s.look(n, now); q != nil {
				ask = append(ask, q)
			}
		}
		s.unlock()
		for _, q := range ask {
			go func() {
				defer func() { <-s.background }()
				s.config.Ask(q)
			}()
		}
		if done < most {
			return max(wait, time.Millisecond)
		}
	}
}

// look does what is due about a session: it ends, is asked about, or is put
// back into the agenda.
func (s *Store) look(n *session, now time.Time) *Question {
	if why, over := n.over(now); over {
		s.finish(n, why)
		return nil
	}
	s.notice(n, now)
	var q *Question
	if s.wantsAnswer(n, now) {
		select {
		case s.background <- struct{}{}:
			n.asking = true
			q = n.question()
		default:
			s.agenda.move(n, now.Add(jittered(time.Second)))
			return nil
		}
	}
	s.agenda.move(n, later(s.next(n, now), now))
	return q
}

// later keeps a session that was just looked at from being looked at again at once.
func later(at, now time.Time) time.Time {
	if soonest := now.Add(50 * time.Millisecond); at.Before(soonest) {
		return soonest
	}
	return at
}

// over tells whether a session's grace, too, is at its end.
func (n *session) over(now time.Time) (EndReason, bool) {
	end, why := n.end()
	if !now.Before(end.Add(n.grace())) {
		return why, true
	}
	if n.provisional && !n.rules.AllowUnavailable {
		return Policy, true
	}
	due := n.due()
	if due.IsZero() || n.asking || now.Before(due.Add(n.rules.Grace)) {
		return "", false
	}
	if n.provisional && n.rules.Once {
		return Expired, true
	}
	return Unavailable, n.failures > 0
}

// notice notes whether the backend of a provisional session is back.
func (s *Store) notice(n *session, now time.Time) {
	switch away := n.provisional && s.config.Away(n.place.route); {
	case !n.provisional:
	case away:
		n.returned = time.Time{}
	case n.returned.IsZero():
		n.returned = now
	}
}

// wantsAnswer tells whether a question about a session is to be put in the
// background: a repeated one if a request came since the last answer, and that
// of a provisional session once its backend is back.
func (s *Store) wantsAnswer(n *session, now time.Time) bool {
	if n.asking || !n.asksAgain() || now.Before(n.retry) {
		return false
	}
	if n.provisional {
		return !n.returned.IsZero() && now.Sub(n.last) < restless
	}
	return n.last.After(n.answered) && !now.Before(n.answered.Add(n.early()))
}

// early is how long after an answer the next question is put at the soonest:
// three quarters of the answer's validity.
func (n *session) early() time.Duration { return n.validity() - n.validity()/4 }

package session

import (
	"math/rand/v2"
	"slices"
	"time"
)

// agenda holds every session by the time at which something may be due about
// it. A session that was used in the meantime is looked at and put back, so a
// request costs the agenda nothing. It is a heap of four branches; the times are apart
// from the sessions, so that to order it touches few of these.
type agenda struct {
	at   []instant
	of   []ref
	slab *slab[session]
}

const branches = 4

// when is the time of a session in the agenda.
func (a *agenda) when(n *session) instant { return a.at[n.inAgenda] }

func (a *agenda) push(n *session, at instant) {
	a.at, a.of = append(a.at, at), append(a.of, n.ref)
	a.up(len(a.at)-1, at, n.ref)
}

func (a *agenda) remove(n *session) {
	i, last := int(n.inAgenda), len(a.at)-1
	at, of := a.at[last], a.of[last]
	a.at, a.of = a.at[:last], a.of[:last]
	if i < last {
		a.place(i, at, of)
	}
	if last < cap(a.at)/4 && last > chunkSize {
		a.at, a.of = slices.Clone(a.at), slices.Clone(a.of) // There was a rush.
	}
}

func (a *agenda) move(n *session, at instant) { a.place(int(n.inAgenda), at, n.ref) }

// first is the session that is due first; nil if there is none.
func (a *agenda) first() *session {
	if len(a.of) == 0 {
		return nil
	}
	return a.slab.at(a.of[0])
}

// place puts a session into the heap where i is free.
func (a *agenda) place(i int, at instant, of ref) {
	if i > 0 && at < a.at[(i-1)/branches] {
		a.up(i, at, of)
	} else {
		a.down(i, at, of)
	}
}

func (a *agenda) up(i int, at instant, of ref) {
	for i > 0 {
		parent := (i - 1) / branches
		if a.at[parent] <= at {
			break
		}
		a.set(i, a.at[parent], a.of[parent])
		i = parent
	}
	a.set(i, at, of)
}

func (a *agenda) down(i int, at instant, of ref) {
	for {
		child := i*branches + 1
		if child >= len(a.at) {
			break
		}
		for other := child + 1; other < min(i*branches+1+branches, len(a.at)); other++ {
			if a.at[other] < a.at[child] {
				child = other
			}
		}
		if at <= a.at[child] {
			break
		}
		a.set(i, a.at[child], a.of[child])
		i = child
	}
	a.set(i, at, of)
}

func (a *agenda) set(i int, at instant, of ref) {
	a.at[i], a.of[i] = at, of
	a.slab.at(of).inAgenda = uint32(i) //nolint:gosec // Config.Limit is far below 1<<32.
}

// provisionalEvery is how often a provisional session is looked at, so that it
// is asked about soon after its backend is back.
const provisionalEvery = 2 * time.Second

// next is when something may be due about a session.
func (s *Store) next(n *session, now instant) instant {
	end, _ := s.end(n)
	at := end.add(s.grace(n))
	sooner := func(t instant) { at = min(at, t) }
	switch {
	case n.provisional:
		sooner(now.add(jittered(provisionalEvery)))
	case s.asksAgain(n) && n.asking:
		sooner(now.add(time.Second))
	case s.asksAgain(n):
		// In good time before the validity is over, or when the back-off is.
		if soon := max(n.answered.add(jittered(n.early())), s.retry(n)); soon > now {
			sooner(soon)
		}
		sooner(s.due(n).add(s.rules(n).Grace))
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
const most = 32

// work does what is due, and gives the time until something is again.
func (s *Store) work() time.Duration {
	for {
		s.mu.Lock()
		now := s.now()
		var ask []*Question
		wait := time.Hour
		done := 0
		for ; done < most; done++ {
			n := s.agenda.first()
			if n == nil {
				break
			}
			if wait = s.agenda.when(n).sub(now); wait > 0 {
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
func (s *Store) look(n *session, now instant) *Question {
	if why, over := s.over(n, now); over {
		s.finish(n, why)
		return nil
	}
	s.notice(n, now)
	var q *Question
	if s.wantsAnswer(n, now) {
		select {
		case s.background <- struct{}{}:
			n.asking = true
			q = s.question(n)
		default:
			s.agenda.move(n, now.add(jittered(time.Second)))
			return nil
		}
	}
	s.agenda.move(n, later(s.next(n, now), now))
	return q
}

// later keeps a session that was just looked at from being looked at again at once.
func later(at, now instant) instant { return max(at, now.add(50*time.Millisecond)) }

// over tells whether a session's grace, too, is at its end.
func (s *Store) over(n *session, now instant) (EndReason, bool) {
	end, why := s.end(n)
	if now >= end.add(s.grace(n)) {
		return why, true
	}
	if n.provisional && !s.rules(n).AllowUnavailable {
		return Policy, true
	}
	due := s.due(n)
	if due == 0 || n.asking || now < due.add(s.rules(n).Grace) {
		return "", false
	}
	if n.provisional && s.rules(n).Once {
		return Expired, true
	}
	return Unavailable, s.failures(n) > 0
}

// notice notes whether the backend of a provisional session is back.
func (s *Store) notice(n *session, now instant) {
	if !n.provisional {
		return
	}
	switch away := s.config.Away(s.scene(n).route); {
	case away:
		s.more(n).returned = 0
	case s.returned(n) == 0:
		s.more(n).returned = now
	}
}

// wantsAnswer tells whether a question about a session is to be put in the
// background: a repeated one if a request came since the last answer, and that
// of a provisional session once its backend is back.
func (s *Store) wantsAnswer(n *session, now instant) bool {
	if n.asking || !s.asksAgain(n) || now < s.retry(n) {
		return false
	}
	if n.provisional {
		return s.returned(n) != 0 && now.sub(n.last) < restless
	}
	return n.last > n.answered && now >= n.answered.add(n.early())
}

// early is how long after an answer the next question is put at the soonest:
// three quarters of the answer's validity.
func (n *session) early() time.Duration { return n.validity - n.validity/4 }

package session

import (
	"math"
	"time"
)

// touch notes a request that is a session's, and has its question put in good time.
func (s *Store) touch(n *session, now instant) {
	n.countRequest()
	s.countFor(n, now)
	n.last = now
	s.keep(n, now)
	if s.wantsAnswer(n, now) && s.agenda.when(n) > later(now, now) {
		s.agenda.move(n, now)
		s.nudge()
	}
}

// spare notes a request that may be a session's. It is no reason to ask about it: a
// viewer who zapped would have all his old viewings asked about.
func (s *Store) spare(n *session, now instant) {
	s.more(n).spared = now
	s.keep(n, now)
}

// keep puts a session that was just used where it belongs.
func (s *Store) keep(n *session, now instant) {
	s.toFront(s.order(n), ofAll, n)
	if n.leads == 0 {
		s.change(n.network(), func(mine *roll) { s.toFront(mine, ofAddress, n) })
	}
	if now.sub(n.savedAt()) >= s.savedEvery(n) {
		s.mark(n)
	}
}

// room makes room for a newcomer of an address, by ending the session that is
// idle for longest: of that address where the address has its share, else of
// all. A newcomer that nobody paid for takes no paid session's room. It reports
// false if nobody can go.
func (s *Store) room(addr network, provisional bool, now instant) bool {
	if mine := s.together(addr); int(mine.count) >= max(s.config.Limit/shareOf, minShare) {
		return s.evict(mine, ofAddress, provisional, now)
	}
	full := s.count >= s.config.Limit
	if provisional && (full || int(s.provisional.count) >= s.config.Limit/2) {
		return s.evict(s.provisional, ofAll, provisional, now)
	}
	return !full || s.evict(s.provisional, ofAll, provisional, now) || s.evict(s.paid, ofAll, provisional, now)
}

// evict ends the longest idle session of a roll, if one may go. Among the paid ones
// of an address it looks for a provisional one only so far.
func (s *Store) evict(of roll, order int, provisional bool, now instant) bool {
	tried := 0
	for n := range s.longestIdle(of, order) {
		if tried++; tried > maxCandidates {
			break
		}
		switch {
		case s.displaced(n):
			s.finish(n, Limit) // It keeps somebody out, and nobody watches by it.
			return true
		case now.sub(s.used(n)) < restless:
			return false
		case provisional && !n.provisional:
		default:
			s.finish(n, Evicted)
			return true
		}
	}
	return false
}

// countRequest counts a request that was allowed.
func (n *session) countRequest() {
	if n.requests < math.MaxUint32 {
		n.requests++
	}
}

// savedAt is the use of a session that the Journal has, to the second.
func (n *session) savedAt() instant { return instant(n.saved) * instant(time.Second) }

func (n *session) savedNow(at instant) { n.saved = uint32(at / instant(time.Second)) } //nolint:gosec // until 2088

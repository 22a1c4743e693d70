package session

import (
	"cmp"
	"hash/maphash"
	"slices"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// A limit counts viewers: it bounds how many of them watch as one user at a time. A
// viewer watches while a session of his is active. What else he has on, and what he
// zapped away from, counts once with it, so zapping never locks anybody out.
//
// Only a new allow of the backend takes a place from another (Unique), and what was
// ended by that is held: its requests are denied for as long as they keep coming, and
// there is no place. So players that repeat their requests by themselves do not push
// each other out by turns, and a person who starts another channel, or comes back to
// a player that has fallen silent, moves at once.

const (
	// silence is how long the requests of a session that a limit has ended must pause
	// before the next one counts as a new start.
	silence = 60 * time.Second
	// judgedFor is for how long it stands that there was no place: a player in a loop
	// is not worth a look at each of its requests.
	judgedFor = time.Second
)

// user is whom a backend knows by an X-UserId.
type user struct{ backend, name string }

func knownAs(o *check.Outcome) user { return user{o.Backend, o.User} }

func (u user) hash(seed maphash.Seed) uint64 { return maphash.Comparable(seed, u) }

// limitOf is how many viewers a user may have at a time by an outcome; 0 means any
// number.
func limitOf(o *check.Outcome) int {
	if o.User == "" || o.MaxSessions < 0 || o.MaxSessions > check.MaxViewers {
		return 0
	}
	return o.MaxSessions
}

// displaced tells whether a limit has ended the session. It stays in the Store to keep
// out what was its, and counts for nothing else.
func (s *Store) displaced(n *session) bool { return s.held(n) != 0 }

// isActive tells whether a session counts for the limit of its user: it asked within
// 60 s.
func (s *Store) isActive(n *session, now instant) bool { return now.sub(s.active(n)) < restless }

// active is when a session asked last, as far as a limit goes. One that may have asked
// before a restart, without that having been kept, counts rather too long than not at all.
func (s *Store) active(n *session) instant {
	rare := s.rare(n)
	switch {
	case rare != nil && rare.active != 0:
		return rare.active
	case n.unsure:
		return max(n.last, min(n.last.add(savedAtLeast), genesis))
	default:
		return n.last
	}
}

// account is what is known of a user: the sessions, the one that asked last first, and
// what the newest answer about any of them said of the limit.
type account struct {
	roll
	next     ref // in the bucket
	limit    int32
	answered instant
	// changes is another number whenever somebody came or went, of no other account's.
	changes uint64
	// newest is set where the newest wins.
	newest bool
}

// told takes over what an answer says of its user's limit. It reports whether that is
// lower than what the answer before said.
func (a *account) told(o *check.Outcome, at instant) (lowered bool) {
	if at < a.answered {
		return false
	}
	before := a.limit
	a.limit, a.newest, a.answered = int32(limitOf(o)), o.Unique, at //nolint:gosec // check.MaxViewers at the most
	return a.limit != 0 && (before == 0 || a.limit < before)
}

// account is that of a user, and its ref; nil if there is none.
func (s *Store) account(of user) (ref, *account) {
	for r := *s.users.bucket(of.hash(s.seed)); r != 0; {
		a := s.accounts.at(r)
		if s.user(s.at(a.first)) == of {
			return r, a
		}
		r = a.next
	}
	return 0, nil
}

// changed notes that somebody came or went.
func (s *Store) changed(a *account) {
	s.changes++
	a.changes = s.changes
}

// enrol has a session stand among those of its user, if one is known, as the last
// that asked.
func (s *Store) enrol(n *session) {
	of := s.user(n)
	if of.name == "" || n.provisional {
		return
	}
	r, a := s.account(of)
	known := a != nil
	if !known {
		r, a = s.accounts.take()
	}
	n.account = r
	s.pushFront(&a.roll, ofUser, n)
	if !known {
		s.users.put(r, of.hash(s.seed))
	}
	o := s.outcome(n)
	a.told(&o, n.answered)
	s.changed(a)
}

// disenrol takes a session from those of its user.
func (s *Store) disenrol(n *session) {
	r := n.account
	if r == 0 {
		return
	}
	a := s.accounts.at(r)
	if a.count == 1 {
		s.users.cut(r, s.user(n).hash(s.seed)) // while there is one that tells whose it is
	}
	s.unlink(&a.roll, ofUser, n)
	s.changed(a)
	if a.count == 0 {
		s.accounts.drop(r)
	}
	n.account = 0
}

// countFor notes a request for the limit of a session's user.
func (s *Store) countFor(n *session, now instant) {
	if n.account == 0 {
		return
	}
	active := s.isActive(n, now)
	if active && n.rings[ofUser].later == n.ref && n.rare == 0 {
		n.unsure = false
		return // It is the user's only one, and there is nothing to look up.
	}
	a := s.accounts.at(n.account)
	if !active {
		n.since = s.began(n, now)
		s.changed(a)
	}
	n.unsure = false
	if rare := s.rare(n); rare != nil {
		rare.active = 0
	}
	s.toFront(&a.roll, ofUser, n)
}

// began is when the viewer of a session that becomes active began to watch as its
// user: now, or with the sessions of his that are active.
func (s *Store) began(n *session, now instant) instant {
	at := now
	_, a := s.account(s.user(n))
	if a == nil {
		return at
	}
	tried := 0
	for other := range s.watching(a, now) {
		if tried++; tried > maxCandidates {
			break
		}
		if other.since < at && s.viewer(other).like(s.viewer(n)) {
			at = other.since
		}
	}
	return at
}

// watching gives the sessions that are active, the one that asked last first.
func (s *Store) watching(a *account, now instant) func(yield func(*session) bool) {
	return func(yield func(*session) bool) {
		for n := range s.lastUsed(a.roll, ofUser) {
			if !s.isActive(n, now) || !yield(n) {
				return
			}
		}
	}
}

// like tells whether two viewers are one for a limit. Where a route joins by the
// address alone, it says nothing of User-Agents.
func (v viewer) like(other viewer) bool {
	return v.addr == other.addr && (v.userAgent == other.userAgent || v.userAgent == "" || other.userAgent == "")
}

// full tells whether as many viewers as a limit allows watch, and one is not among
// them. With sure, what may have gone before a restart does not count.
func (s *Store) full(a *account, limit int, v viewer, sure bool, now instant) bool {
	if a == nil || limit == 0 || int(a.count) < limit {
		return false
	}
	all, mine := s.watchers(a, v, now, now)
	counts := func(w *watcher) bool { return len(w.sessions) > 0 && (w.sure || !sure) }
	if counts(mine) {
		return false
	}
	others := 0
	for _, w := range all {
		if counts(w) {
			others++
		}
	}
	return others >= limit
}

// resumes tells whether a session that would be joined may be: one that was not
// active, or may not have been before a restart, needs a place for its viewer as a
// newcomer does, but takes none away.
func (s *Store) resumes(n *session, now instant) bool {
	if n.account == 0 || s.isActive(n, now) && !n.unsure {
		return true
	}
	if !s.stillFull(n, now) {
		return true
	}
	if s.accounts.at(n.account).newest {
		s.displace(n, now)
	}
	return false
}

// stillFull tells whether there is no place for the viewer of a session.
func (s *Store) stillFull(n *session, now instant) bool {
	_, a := s.account(s.user(n))
	rare := s.rare(n)
	switch {
	case a == nil:
		return false
	case rare != nil && rare.judged.changes == a.changes && now.sub(rare.judged.at) < judgedFor:
		return true
	case !s.full(a, int(a.limit), s.viewer(n), n.unsure, now):
		return false
	}
	s.more(n).judged = judgement{a.changes, now}
	return true
}

// Over tells whether there is no place for the viewer of a request that an outcome
// allows, and that neither joins nor opens a session. It is not counted itself.
func (s *Store) Over(rules *Rules, r *check.Request, o check.Outcome) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, a := s.account(knownAs(&o))
	return s.full(a, limitOf(&o), viewerOf(rules, r), false, s.now())
}

// watcher is a viewer who watches as a user, since when, and by which active sessions.
type watcher struct {
	since    instant
	sessions []*session
	// sure is set unless he may have gone before a restart.
	sure bool
}

// watchers gives who watches as a user now, and beside them one viewer, who does so
// since a time if by no session yet.
func (s *Store) watchers(a *account, v viewer, since, now instant) (all []*watcher, mine *watcher) {
	anyAgent := map[network]bool{v.addr: v.userAgent == ""}
	for n := range s.watching(a, now) {
		if v := s.viewer(n); v.userAgent == "" {
			anyAgent[v.addr] = true
		}
	}
	byViewer := map[viewer]*watcher{}
	of := func(v viewer, since instant) *watcher {
		if anyAgent[v.addr] {
			v.userAgent = ""
		}
		w := byViewer[v]
		if w == nil {
			w = &watcher{since: since}
			byViewer[v] = w
			all = append(all, w)
		}
		if since < w.since {
			w.since = since
		}
		return w
	}
	for n := range s.watching(a, now) {
		w := of(s.viewer(n), n.since)
		w.sessions = append(w.sessions, n)
		w.sure = w.sure || !n.unsure
	}
	mine = of(v, since)
	return all, mine
}

// crowd gives who must go so that no more viewers watch as a session's user than its
// outcome allows: those who came last or, where the newest wins, those who came first.
// stays tells whether the session's own viewer stays. A newcomer's session is not yet
// among its user's.
func (s *Store) crowd(n *session, newcomer bool, now instant) (gone []*watcher, stays bool) {
	_, a := s.account(s.user(n))
	if a == nil {
		return nil, true
	}
	o := s.outcome(n)
	lowered := a.told(&o, n.answered)
	limit := limitOf(&o)
	if limit == 0 || int(a.count) < limit {
		return nil, true
	}
	all, mine := s.watchers(a, s.viewer(n), n.since, now)
	if len(all) <= limit || len(mine.sessions) > 0 && !lowered {
		return nil, true // Who watches may watch something else.
	}
	if newcomer && !lowered && !o.Unique {
		return nil, false
	}
	slices.SortStableFunc(all, func(a, b *watcher) int {
		switch {
		case o.Unique && newcomer && a != b && (a == mine || b == mine):
			return first(a == mine)
		case a.sure != b.sure && a != mine && b != mine:
			return first(a.sure)
		case o.Unique:
			return cmp.Compare(b.since, a.since)
		default:
			return cmp.Compare(a.since, b.since)
		}
	})
	gone = all[limit:]
	return gone, !slices.Contains(gone, mine)
}

func first(a bool) int {
	if a {
		return -1
	}
	return 1
}

// displaceAll ends the sessions of those who must go.
func (s *Store) displaceAll(gone []*watcher, now instant) {
	for _, w := range gone {
		for _, n := range w.sessions {
			if n.alive() { // It may have been over.
				s.displace(n, now)
			}
		}
	}
}

// displace ends a session for the limit of its user, says so, and holds what was its.
func (s *Store) displace(n *session, now instant) {
	s.events = append(s.events, s.ending(n, Limit))
	s.disenrol(n)
	s.more(n).held, n.unsure = now.add(silence), false
	// It is the first to go where there is no room.
	s.toBack(s.order(n), ofAll, n)
	s.change(n.network(), func(mine *roll) { s.toBack(mine, ofAddress, n) })
	s.agenda.move(n, s.held(n))
	s.mark(n)
	n.savedNow(now)
	s.nudge()
}

// retry deals with a request of a session that a limit has ended. Once there is a
// place, it is asked about anew.
func (f *finder) retry(n *session) {
	if !f.store.stillFull(n, f.now) {
		f.store.remove(n)
		return
	}
	f.store.more(n).held = f.now.add(silence)
	if f.now.sub(n.savedAt()) >= silence/4 {
		f.store.mark(n)
		n.savedNow(f.now)
	}
	f.crowds(n)
}

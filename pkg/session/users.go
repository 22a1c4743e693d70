package session

import (
	"container/list"
	"net/netip"
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
func (n *session) displaced() bool { return !n.held.IsZero() }

// isActive tells whether a session counts for the limit of its user: it asked within
// 60 s.
func (n *session) isActive(now time.Time) bool { return now.Sub(n.active) < restless }

// account is what is known of a user: the sessions, the one that asked last first, and
// what the newest answer about any of them said of the limit.
type account struct {
	sessions *list.List
	limit    int
	// newest is set where the newest wins.
	newest   bool
	answered time.Time
	// changes counts who came and went.
	changes int
}

// told takes over what an answer says of its user's limit. It reports whether that is
// lower than what the answer before said.
func (a *account) told(o *check.Outcome, at time.Time) (lowered bool) {
	if at.Before(a.answered) {
		return false
	}
	before := a.limit
	a.limit, a.newest, a.answered = limitOf(o), o.Unique, at
	return a.limit != 0 && (before == 0 || a.limit < before)
}

// enrol has a session stand among those of its user, if one is known, as the last
// that asked.
func (s *Store) enrol(n *session) {
	if n.outcome.User == "" || n.provisional {
		return
	}
	p := &n.places
	p.user = knownAs(&n.outcome)
	p.account = s.users[p.user]
	if p.account == nil {
		p.account = &account{sessions: list.New()}
		s.users[p.user] = p.account
	}
	p.account.told(&n.outcome, n.answered)
	p.counted = p.account.sessions.PushFront(n)
	p.account.changes++
}

// disenrol takes a session from those of its user.
func (s *Store) disenrol(n *session) {
	p := &n.places
	if p.counted == nil {
		return
	}
	p.account.sessions.Remove(p.counted)
	p.account.changes++
	if p.account.sessions.Len() == 0 {
		delete(s.users, p.user)
	}
	p.user, p.account, p.counted = user{}, nil, nil
}

// count notes a request for the limit of a session's user.
func (s *Store) count(n *session, now time.Time) {
	if n.places.counted == nil {
		return
	}
	if !n.isActive(now) {
		n.since = s.began(n, now)
		n.places.account.changes++
	}
	n.active, n.unsure = now, false
	n.places.account.sessions.MoveToFront(n.places.counted)
}

// began is when the viewer of a session that becomes active began to watch as its
// user: now, or with the sessions of his that are active.
func (s *Store) began(n *session, now time.Time) time.Time {
	at := now
	tried := 0
	for other := range s.users[knownAs(&n.outcome)].active(now) {
		if tried++; tried > maxCandidates {
			break
		}
		if other.since.Before(at) && other.place.viewer.like(n.place.viewer) {
			at = other.since
		}
	}
	return at
}

// active gives the sessions that are active, the one that asked last first.
func (a *account) active(now time.Time) func(yield func(*session) bool) {
	return func(yield func(*session) bool) {
		if a == nil {
			return
		}
		for e := a.sessions.Front(); e != nil; e = e.Next() {
			n := e.Value.(*session) //nolint:errcheck,forcetypeassert // The list holds nothing else.
			if !n.isActive(now) || !yield(n) {
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
func (a *account) full(limit int, v viewer, sure bool, now time.Time) bool {
	if a == nil || limit == 0 || a.sessions.Len() < limit {
		return false
	}
	all, mine := a.watchers(v, now, now)
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
func (s *Store) resumes(n *session, now time.Time) bool {
	if n.places.counted == nil || n.isActive(now) && !n.unsure {
		return true
	}
	if !s.stillFull(n, now) {
		return true
	}
	if n.places.account.newest {
		s.displace(n, now)
	}
	return false
}

// stillFull tells whether there is no place for the viewer of a session.
func (s *Store) stillFull(n *session, now time.Time) bool {
	a := s.users[knownAs(&n.outcome)]
	switch {
	case a == nil:
		return false
	case n.judged.of == a && n.judged.changes == a.changes && now.Sub(n.judged.at) < judgedFor:
		return true
	case !a.full(a.limit, n.place.viewer, n.unsure, now):
		return false
	}
	n.judged = judgement{a, a.changes, now}
	return true
}

// judgement is that there was no place, as long as nobody came or went.
type judgement struct {
	of      *account
	changes int
	at      time.Time
}

// Over tells whether there is no place for the viewer of a request that an outcome
// allows, and that neither joins nor opens a session. It is not counted itself.
func (s *Store) Over(rules *Rules, r *check.Request, o check.Outcome) bool {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[knownAs(&o)].full(limitOf(&o), viewerOf(rules, r), false, now)
}

// watcher is a viewer who watches as a user, since when, and by which active sessions.
type watcher struct {
	since    time.Time
	sessions []*session
	// sure is set unless he may have gone before a restart.
	sure bool
}

// watchers gives who watches as a user now, and beside them one viewer, who does so
// since a time if by no session yet.
func (a *account) watchers(v viewer, since, now time.Time) (all []*watcher, mine *watcher) {
	anyAgent := map[netip.Prefix]bool{v.addr: v.userAgent == ""}
	for n := range a.active(now) {
		if v := n.place.viewer; v.userAgent == "" {
			anyAgent[v.addr] = true
		}
	}
	byViewer := map[viewer]*watcher{}
	of := func(v viewer, since time.Time) *watcher {
		if anyAgent[v.addr] {
			v.userAgent = ""
		}
		w := byViewer[v]
		if w == nil {
			w = &watcher{since: since}
			byViewer[v] = w
			all = append(all, w)
		}
		if since.Before(w.since) {
			w.since = since
		}
		return w
	}
	for n := range a.active(now) {
		w := of(n.place.viewer, n.since)
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
func (s *Store) crowd(n *session, newcomer bool, now time.Time) (gone []*watcher, stays bool) {
	a := s.users[knownAs(&n.outcome)]
	if a == nil {
		return nil, true
	}
	lowered := a.told(&n.outcome, n.answered)
	limit := limitOf(&n.outcome)
	if limit == 0 || a.sessions.Len() < limit {
		return nil, true
	}
	all, mine := a.watchers(n.place.viewer, n.since, now)
	if len(all) <= limit || len(mine.sessions) > 0 && !lowered {
		return nil, true // Who watches may watch something else.
	}
	if newcomer && !lowered && !n.outcome.Unique {
		return nil, false
	}
	slices.SortStableFunc(all, func(a, b *watcher) int {
		switch {
		case n.outcome.Unique && newcomer && a != b && (a == mine || b == mine):
			return first(a == mine)
		case a.sure != b.sure && a != mine && b != mine:
			return first(a.sure)
		case n.outcome.Unique:
			return b.since.Compare(a.since)
		default:
			return a.since.Compare(b.since)
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
func (s *Store) displaceAll(gone []*watcher, now time.Time) {
	for _, w := range gone {
		for _, n := range w.sessions {
			s.displace(n, now)
		}
	}
}

// displace ends a session for the limit of its user, says so, and holds what was its.
func (s *Store) displace(n *session, now time.Time) {
	s.events = append(s.events, n.ended(Limit))
	s.disenrol(n)
	n.held, n.unsure = now.Add(silence), false
	// It is the first to go where there is no room.
	s.order(n).MoveToBack(n.places.used)
	s.shares[n.place.viewer.addr].MoveToBack(n.places.shared)
	s.agenda.move(n, n.held)
	s.mark(n)
	n.saved = now
	s.nudge()
}

// retry deals with a request of a session that a limit has ended. Once there is a
// place, it is asked about anew.
func (f *finder) retry(n *session) {
	if !f.store.stillFull(n, f.now) {
		f.store.remove(n)
		return
	}
	n.held = f.now.Add(silence)
	if f.now.Sub(n.saved) >= silence/4 {
		f.store.mark(n)
		n.saved = f.now
	}
	f.crowded = n
}

package session

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
)

// NewID makes the random id of the session that an allow will open.
func NewID() ID { return newID() }

// Settle draws the consequences of a decision about a request that joined no
// session: an allow of the backend, or of a token, opens one under the id that the
// backend was told, a default allow a provisional one for an entry, and a denial of the
// backend is remembered. It gives the decision back, with the session in it, or
// a denial where an operator's end or a bound stands against a new session. j is
// what Join gave for the request.
func (s *Store) Settle(rules *Rules, r *check.Request, j Joined, id ID, d check.Decision) check.Decision {
	now := time.Now()
	s.mu.Lock()
	defer s.unlock()
	name, entry := rules.Layout.Opens(r.Path)
	switch {
	case d.Allow && s.revoked(rules, r, now):
		return check.Deny(check.Revoked) // An operator was faster than the backend.
	case d.Allow && (d.Reason == check.Backend || d.Reason == check.Rule):
		return s.admit(rules, r, name, id, d, now)
	case d.Allow && d.Reason == check.Grace && j.standing != nil:
		return s.stand(j.standing, d, now)
	case d.Allow && d.Reason == check.Default && entry:
		return s.admitProvisional(rules, r, name, id, d, now)
	case !d.Allow && d.Reason == check.Backend:
		s.denied(rules, r, j, entry, now)
	}
	return d
}

// stand is the decision that a session in its grace makes, if it still is.
func (s *Store) stand(n *session, d check.Decision, now time.Time) check.Decision {
	if !n.alive() || !n.stands(now) {
		return check.Decision{Reason: check.Unanswered, Outcome: d.Outcome}
	}
	if why, over := n.over(now); over {
		s.finish(n, why)
		return check.Decision{Reason: check.Unanswered, Outcome: d.Outcome}
	}
	n.requests++
	return s.allow(n, check.Grace)
}

// admit opens the session that a backend's allow is for.
func (s *Store) admit(rules *Rules, r *check.Request, name stream.Name, id ID, d check.Decision, now time.Time) check.Decision {
	if s.holds.user(d.Outcome.User, now) {
		s.denials.add(denialOf(rules, r), check.RecentDenial, now) // or each try would be one more question
		return check.Deny(check.Revoked)
	}
	n := s.prepare(rules, r, name, id, d, now)
	n.since = s.began(n, now)
	gone, stays := s.crowd(n, true, now)
	if !stays {
		s.displaceAll(gone, now)
		s.denials.add(denialOf(rules, r), check.Limit, now)
		return check.Decision{Reason: check.Limit, Outcome: d.Outcome}
	}
	if g := s.groups[n.place]; g != nil {
		if old := s.exact[exact{g, n.terms.query}]; old != nil && !s.replaces(old, now) {
			s.displaceAll(gone, now)
			s.touch(old, now)
			s.sign(old)
			d.Session, d.ID = old.text, old.hand
			return d
		}
	}
	if !s.room(n.place.viewer.addr, false, now) {
		return check.Decision{Reason: check.Overload, Status: http.StatusServiceUnavailable, Outcome: d.Outcome}
	}
	s.displaceAll(gone, now)
	s.open(n)
	d.Session, d.ID = n.text, n.hand
	return d
}

// replaces ends a session that stands where a newcomer would, and reports
// whether it did: a live one of the same viewer and query is the same viewing, or
// that of an equal box, and stays.
func (s *Store) replaces(old *session, now time.Time) bool {
	end, why := old.end()
	switch {
	case !now.Before(end) || old.displaced():
		s.finish(old, why)
	case old.provisional:
		s.finish(old, Confirmed)
	default:
		return false
	}
	return true
}

// admitProvisional opens the session of a default allow, as long as there is
// room that nobody has paid for. Without it the default still stands.
func (s *Store) admitProvisional(rules *Rules, r *check.Request, name stream.Name, id ID, d check.Decision, now time.Time) check.Decision {
	n := s.prepare(rules, r, name, id, d, now)
	n.provisional = true
	if g := s.groups[n.place]; g != nil && s.exact[exact{g, n.terms.query}] != nil {
		return d
	}
	if !s.room(n.place.viewer.addr, true, now) {
		return d
	}
	s.open(n)
	d.Session, d.ID = n.text, n.hand
	return d
}

func (s *Store) prepare(rules *Rules, r *check.Request, name stream.Name, id ID, d check.Decision, now time.Time) *session {
	n := &session{
		id: id, text: id.String(), place: placeOf(rules, r, name), rules: rules, terms: newTerms(r.Query),
		asked: *r, outcome: d.Outcome, started: now, last: now, answered: now, active: now, since: now, requests: 1,
	}
	n.asked.IDs = [check.MaxIDs]string{} // they are others' secrets, and no part of the question
	n.outcome.Err = nil
	n.outcome.Session = n.text
	s.sign(n)
	return n
}

// open puts a new session into the Store, and says so.
func (s *Store) open(n *session) {
	s.insert(n)
	s.events = append(s.events, check.SessionStarted{SessionInfo: n.words()})
	s.watchShare(n)
}

// manySessions is how many there must be before one address's share of them says
// something.
const manySessions = 200

// watchShare says once when one address holds more than half of all sessions:
// the proxy probably hides its viewers behind its own. It says so, too, when that
// address no longer does.
func (s *Store) watchShare(n *session) {
	total := len(s.byID)
	if total < manySessions {
		return
	}
	if s.hidden.IsValid() {
		mine := 0
		if of := s.shares[s.hidden]; of != nil {
			mine = of.Len()
		}
		if mine > total/2 {
			return
		}
		s.events = append(s.events, check.ViewersHidden{Addr: s.hidden.Addr(), Sessions: mine, Total: total})
		s.hidden = netip.Prefix{}
	}
	if mine := s.shares[n.place.viewer.addr].Len(); mine > total/2 {
		s.hidden = n.place.viewer.addr
		s.events = append(s.events, check.ViewersHidden{Hidden: true, Addr: s.hidden.Addr(), Sessions: mine, Total: total})
	}
}

// denied draws the consequences of a backend's denial.
func (s *Store) denied(rules *Rules, r *check.Request, j Joined, entry bool, now time.Time) {
	s.denials.add(denialOf(rules, r), check.RecentDenial, now)
	// The very question that had opened it: it is over, grace and all.
	if n := j.standing; n != nil && n.alive() && n.asked.Path == r.Path && n.terms.same(r.Query) {
		_, why := n.end()
		s.finish(n, why)
	}
	if !entry && r.Query == "" && !s.hinted[rules.Route] && s.watches(rules, r, now) {
		s.hinted[rules.Route] = true
		s.events = append(s.events, check.LayoutHint{Route: rules.Route, Path: r.Path})
	}
}

// watches tells whether a viewer has a live session on another stream of a host:
// of the address's last ones, as many as are worth a look.
func (s *Store) watches(rules *Rules, r *check.Request, now time.Time) bool {
	v := viewerOf(rules, r)
	mine := s.shares[v.addr]
	if mine == nil {
		return false
	}
	e := mine.Front()
	for range maxCandidates {
		if e == nil {
			return false
		}
		n := e.Value.(*session) //nolint:errcheck,forcetypeassert // The list holds nothing else.
		if end, _ := n.end(); !n.displaced() && n.place.viewer == v && n.place.route == rules.Route && n.place.host == r.Host && now.Before(end) {
			return true
		}
		e = e.Next()
	}
	return false
}

// The back-off after questions that failed.
const (
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// Renew tells the outcome of a session's own question: an allow renews the
// session, a denial ends it, and a failure has it asked about again later.
func (s *Store) Renew(q *Question, o check.Outcome) {
	now := time.Now()
	s.mu.Lock()
	defer s.unlock()
	n := q.of
	if !n.alive() || n.displaced() {
		return // Its end came first, and stands.
	}
	n.asking = false
	switch o.Verdict {
	case check.Allowed:
		if s.holds.user(o.User, now) {
			s.finish(n, Operator)
			return
		}
		if !n.provisional {
			n.renewals++
		}
		if !s.renewed(n, o, now) {
			return
		}
	case check.Denied:
		s.finish(n, Denied)
		return
	default:
		n.retry = now.Add(backOff(n.failures))
		n.failures++
	}
	s.mark(n)
	s.agenda.move(n, later(s.next(n, now), now))
	s.nudge()
}

// renewed takes a backend's allow over into a session. It is false if that has made
// too many viewers of its user, and this one had to go.
func (s *Store) renewed(n *session, o check.Outcome, now time.Time) bool {
	if n.provisional {
		s.provisional.Remove(n.places.used)
		n.provisional = false
		n.places.used = s.paid.PushFront(n)
	}
	o.Err, o.Session = nil, n.text
	n.outcome, n.answered, n.failures, n.retry = o, now, 0, time.Time{}
	if (n.places.counted != nil || n.outcome.User != "") && n.places.user != knownAs(&n.outcome) {
		return s.changesUser(n, now)
	}
	if !n.isActive(now) {
		if n.places.account != nil {
			n.places.account.told(&n.outcome, now)
		}
		return true
	}
	gone, stays := s.crowd(n, false, now)
	s.displaceAll(gone, now)
	return stays
}

// changesUser has a session be of the user that its backend names now, as a newcomer
// of that one's.
func (s *Store) changesUser(n *session, now time.Time) bool {
	s.disenrol(n)
	n.active, n.since = now, s.began(n, now)
	gone, stays := s.crowd(n, true, now)
	s.displaceAll(gone, now)
	if !stays {
		s.displace(n, now)
		return false
	}
	s.enrol(n)
	return true
}

// backOff is how long to wait after a number of failures and one more.
func backOff(failures int) time.Duration {
	d := min(firstRetry<<min(failures, 10), lastRetry)
	return d/2 + rand.N(d/2+1) //nolint:gosec // It spreads questions, and hides nothing.
}

package session

import (
	"math/rand/v2"
	"net/http"
	"strings"
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
	at := s.moment(now)
	s.mu.Lock()
	defer s.unlock()
	name, entry := rules.Layout.Opens(r.Path)
	switch {
	case d.Allow && s.revoked(rules, r, now):
		return check.Deny(check.Revoked) // An operator was faster than the backend.
	case d.Allow && (d.Reason == check.Backend || d.Reason == check.Rule):
		return s.admit(rules, r, name, id, d, now)
	case d.Allow && d.Reason == check.Grace && j.standing != "":
		return s.stand(s.withText(j.standing), d, at)
	case d.Allow && d.Reason == check.Default && entry:
		return s.admitProvisional(rules, r, name, id, d, at)
	case !d.Allow && d.Reason == check.Backend:
		s.denied(rules, r, j, entry, now)
	}
	return d
}

// stand is the decision that a session in its grace makes, if it still is.
func (s *Store) stand(n *session, d check.Decision, now instant) check.Decision {
	if n == nil || !s.stands(n, now) {
		return check.Decision{Reason: check.Unanswered, Outcome: d.Outcome}
	}
	if why, over := s.over(n, now); over {
		s.finish(n, why)
		return check.Decision{Reason: check.Unanswered, Outcome: d.Outcome}
	}
	n.countRequest()
	return s.allow(n, check.Grace)
}

// admit opens the session that a backend's allow is for.
func (s *Store) admit(rules *Rules, r *check.Request, name stream.Name, id ID, d check.Decision, now time.Time) check.Decision {
	if s.holds.user(d.Outcome.User, now) {
		s.denials.add(denialOf(rules, r), check.RecentDenial, now) // or each try would be one more question
		return check.Deny(check.Revoked)
	}
	at := s.moment(now)
	n := s.prepare(rules, r, name, id, d, at)
	n.since = s.began(n, at)
	gone, stays := s.crowd(n, true, at)
	if !stays {
		s.release(n)
		s.displaceAll(gone, at)
		s.denials.add(denialOf(rules, r), check.Limit, now)
		return check.Decision{Reason: check.Limit, Outcome: d.Outcome}
	}
	if old := s.equal(n); old != nil && !s.replaces(old, rules, at) {
		s.release(n)
		s.displaceAll(gone, at)
		s.touch(old, at)
		s.sign(old)
		d.Session, d.ID = s.idText(old), s.hand(old)
		return d
	}
	if !s.room(n.network(), false, at) {
		s.release(n)
		return check.Decision{Reason: check.Overload, Status: http.StatusServiceUnavailable, Outcome: d.Outcome}
	}
	s.displaceAll(gone, at)
	s.open(n)
	d.Session, d.ID = s.idText(n), s.hand(n)
	return d
}

// equal is the session in the place of one that is made, and with its query.
func (s *Store) equal(n *session) *session {
	p, terms := s.place(n), s.terms(n)
	return s.exactly(&p, terms.query)
}

// replaces ends a session that stands where a newcomer would, and reports
// whether it did: a live one of the same viewer and query is the same viewing, or
// that of an equal box, and stays, by the rules that the newcomer would have.
func (s *Store) replaces(old *session, rules *Rules, now instant) bool {
	s.obey(old, rules) // or it has no signed id after a restart
	end, why := s.end(old)
	switch {
	case now >= end || s.displaced(old):
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
func (s *Store) admitProvisional(rules *Rules, r *check.Request, name stream.Name, id ID, d check.Decision, now instant) check.Decision {
	n := s.prepare(rules, r, name, id, d, now)
	n.provisional = true
	if s.equal(n) != nil || !s.room(n.network(), true, now) {
		s.release(n)
		return d
	}
	s.open(n)
	d.Session, d.ID = s.idText(n), s.hand(n)
	return d
}

// prepare makes the session that a request would open. It is opened, or released.
func (s *Store) prepare(rules *Rules, r *check.Request, name stream.Name, id ID, d check.Decision, now instant) *session {
	n := s.build(r, rules.Route, name, id, d.Outcome)
	s.obey(n, rules)
	n.byAddress = rules.Join.Address
	n.started, n.last, n.answered, n.since, n.requests = now, now, now, now, 1
	s.sign(n)
	return n
}

// build makes a session of what a request, and the outcome for it, say. It keeps nothing
// of the request, whose ids are others' secrets and no part of the question.
func (s *Store) build(r *check.Request, route string, name stream.Name, id ID, o check.Outcome) *session {
	t := newTerms(r.Query)
	at, n := s.sessions.take()
	n.ref = at
	n.scene = s.scenes.take(scene{
		route: route, scheme: r.Scheme, host: r.Host, stream: name, proxy: r.Proxy, named: r.Route, method: r.Method, path: r.Path,
		known: t.known, closed: t.closed,
	}, scene.cloned)
	n.agent = s.agents.take(r.UserAgent, strings.Clone)
	s.replied(n, &o)
	n.addr, n.addrBits = r.Addr.As16(), uint8(r.Addr.BitLen()) //nolint:gosec // 128 at the most
	s.write(n, id.String(), r.Query, o.User, o.SessionName)
	if t.query != r.Query {
		s.more(n).query = &t.query
	}
	if t.clear != r.Query {
		s.more(n).clear = &t.clear
	}
	return n
}

// release gives back all that a session takes, which is in no index.
func (s *Store) release(n *session) {
	s.erase(n)
	if n.rare != 0 {
		s.rares.drop(n.rare)
	}
	s.ruled.drop(n.rules)
	s.scenes.drop(n.scene)
	s.agents.drop(n.agent)
	s.replies.drop(n.reply)
	s.sessions.drop(n.ref)
}

// open puts a new session into the indexes, and says so.
func (s *Store) open(n *session) {
	s.insert(n)
	s.events = append(s.events, check.SessionStarted{SessionInfo: s.words(n)})
	s.watchShare(n)
}

// manySessions is how many there must be before one address's share of them says
// something.
const manySessions = 200

// watchShare says once when one address holds more than half of all sessions:
// the proxy probably hides its viewers behind its own. It says so, too, when that
// address no longer does.
func (s *Store) watchShare(n *session) {
	total := s.count
	if total < manySessions {
		return
	}
	if s.hidden != (network{}) {
		mine := int(s.together(s.hidden).count)
		if mine > total/2 {
			return
		}
		s.events = append(s.events, check.ViewersHidden{Addr: s.hidden.prefix().Addr(), Sessions: mine, Total: total})
		s.hidden = network{}
	}
	if of := n.network(); int(s.together(of).count) > total/2 {
		s.hidden = of
		s.events = append(s.events, check.ViewersHidden{
			Hidden: true, Addr: of.prefix().Addr(), Sessions: int(s.together(of).count), Total: total,
		})
	}
}

// denied draws the consequences of a backend's denial.
func (s *Store) denied(rules *Rules, r *check.Request, j Joined, entry bool, now time.Time) {
	s.denials.add(denialOf(rules, r), check.RecentDenial, now)
	// The very question that had opened it: it is over, grace and all.
	if n := s.withText(j.standing); n != nil && s.scene(n).path == r.Path {
		if terms := s.terms(n); terms.same(r.Query) {
			_, why := s.end(n)
			s.finish(n, why)
		}
	}
	if !entry && r.Query == "" && !s.hinted[rules.Route] && s.watches(rules, r, s.moment(now)) {
		s.hinted[rules.Route] = true
		s.events = append(s.events, check.LayoutHint{Route: rules.Route, Path: r.Path})
	}
}

// watches tells whether a viewer has a live session on another stream of a host:
// of the address's last ones, as many as are worth a look.
func (s *Store) watches(rules *Rules, r *check.Request, now instant) bool {
	v := viewerOf(rules, r)
	tried := 0
	for n := range s.lastUsed(s.together(v.addr), ofAddress) {
		if tried++; tried > maxCandidates {
			return false
		}
		end, _ := s.end(n)
		if !s.displaced(n) && s.viewer(n) == v && s.scene(n).route == rules.Route && s.scene(n).host == r.Host && now < end {
			return true
		}
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
	at := s.moment(now)
	n := s.withText(q.Session)
	if n == nil || s.displaced(n) {
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
		if !s.renewed(n, o, at) {
			return
		}
	case check.Denied:
		s.finish(n, Denied)
		return
	default:
		more := s.more(n)
		more.retry = at.add(backOff(more.failures))
		more.failures++
	}
	s.mark(n)
	s.agenda.move(n, later(s.next(n, at), at))
	s.nudge()
}

// renewed takes a backend's allow over into a session. It is false if that has made
// too many viewers of its user, and this one had to go.
func (s *Store) renewed(n *session, o check.Outcome, now instant) bool {
	if n.provisional {
		s.unlink(&s.provisional, ofAll, n)
		n.provisional = false
		s.pushFront(&s.paid, ofAll, n)
	}
	changed := n.account == 0 && o.User != "" || n.account != 0 && s.user(n) != knownAs(&o)
	if changed {
		s.disenrol(n) // as the user that it was
	}
	s.replied(n, &o)
	if before := s.outcome(n); before.User != o.User || before.SessionName != o.SessionName {
		id, query := s.idText(n), s.raw(n)
		s.erase(n)
		s.write(n, id, query, o.User, o.SessionName)
	}
	n.answered = now
	if rare := s.rare(n); rare != nil {
		rare.failures, rare.retry = 0, 0
	}
	if changed {
		return s.changesUser(n, now)
	}
	if !s.isActive(n, now) {
		if n.account != 0 {
			s.accounts.at(n.account).told(&o, now)
		}
		return true
	}
	gone, stays := s.crowd(n, false, now)
	s.displaceAll(gone, now)
	return stays
}

// changesUser has a session be of the user that its backend names now, as a newcomer
// of that one's.
func (s *Store) changesUser(n *session, now instant) bool {
	since := s.began(n, now)
	s.more(n).active, n.since = now, since
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

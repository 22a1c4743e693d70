// Package session holds what altagate keeps between checks: the sessions of
// viewers, the denials of the last seconds, and the ends that operators ordered.
// It asks nobody: it says which question is due, and is told the outcome.
package session

import (
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
)

// The defaults of what a route and a store are told.
const (
	DefaultIdle  = 10 * time.Minute
	DefaultMax   = 24 * time.Hour
	DefaultGrace = 10 * time.Minute
	DefaultLimit = 250_000
)

// Rules is what a route says of its sessions. It is not changed after it was
// made.
type Rules struct {
	// Route is the route's name.
	Route  string
	Layout *stream.Layout
	// Join says by what a request may join a session.
	Join Join
	// Idle ends a session without requests, Max any session. 0 means the default.
	Idle, Max time.Duration
	// Grace is how long a session lives on after an end by Idle, Max or the
	// backend's X-AuthDuration, while the backend cannot be asked. 0 means not
	// at all.
	Grace time.Duration
	// Cache is the longest for which a proxy may repeat what a session allowed. 0 means
	// not at all.
	Cache time.Duration
	// AllowUnavailable is on_unavailable: allow.
	AllowUnavailable bool
	// Once is set where a backend's preset has tokens that die, so that it must
	// not be asked about one again.
	Once bool
}

// Join is a set of joins, each of which is enough by itself.
type Join struct {
	// ID is the session's signed id in a cookie or in altagate_id, from at most
	// four addresses within Idle.
	ID bool
	// Token is the same viewer with the allowed query.
	Token bool
	// Client is the same viewer (address and User-Agent).
	Client bool
	// Address is the same address with any User-Agent.
	Address bool
}

// session is one viewer watching one stream. The Store's lock guards it. There may be
// millions: what many have in common is in words, what few need is in rare, and there is
// no pointer in it, so that the garbage collection need not look at any of them.
type session struct {
	// addr is the address of the check that the backend was asked about, as addrBits
	// says: an IPv4 address, an IPv6 address, or none.
	addr [16]byte

	// started is when the first request came, and last when the last one did that was
	// the session's.
	started, last instant
	// answered is when the backend allowed last; of a provisional session, when
	// it was opened.
	answered instant
	// since is when its viewer began to watch as its user, without a pause that gives the
	// place away. Zapping is none.
	since instant
	// validity is the X-AuthDuration of the last answer; 0 where there was none. It is no
	// part of reply: what is left of a token's time is nearly no two sessions'.
	validity time.Duration

	// requests counts those that were allowed, up to what it can hold.
	requests uint32
	// renewals counts the repeated questions that were allowed since this process knows
	// the session.
	renewals uint32
	// saved is what Last the journal has, in seconds.
	saved uint32

	passage
	places
	// agent is the User-Agent of the check that the backend was asked about, and reply
	// the backend's last.
	rules, scene, agent, reply ref
	// rare is 0 where there is nothing rare about the session.
	rare ref

	addrBits uint8
	// provisional is set while no backend has allowed the session: it was opened
	// by a default.
	provisional bool
	// byAddress is set where any User-Agent of the address joins.
	byAddress bool
	// asking is set while the session's question is under way.
	asking bool
	// unsure is set where it may have asked later than it is known to, before a restart.
	unsure bool
}

func (s *Store) rules(n *session) *Rules         { return s.ruled.at(n.rules).is }
func (s *Store) scene(n *session) *scene         { return &s.scenes.at(n.scene).is }
func (s *Store) agent(n *session) string         { return s.agents.at(n.agent).is }
func (s *Store) reply(n *session) *check.Outcome { return &s.replies.at(n.reply).is }

// obey has rules be a session's, if they are not.
func (s *Store) obey(n *session, rules *Rules) {
	if n.rules != 0 {
		if s.rules(n) == rules {
			return
		}
		s.ruled.drop(n.rules)
	}
	n.rules = s.ruled.take(rules, func(r *Rules) *Rules { return r })
}

// replied has an outcome be the last about a session.
func (s *Store) replied(n *session, o *check.Outcome) {
	before := n.reply
	n.reply, n.validity = s.replies.take(replyOf(*o), clonedReply), o.AuthDuration
	if before != 0 {
		s.replies.drop(before)
	}
}

// idSize is how many bytes an ID's text has.
const idSize = 2 * len(ID{})

func (s *Store) idText(n *session) string { return s.text(n)[:idSize] }

func (s *Store) id(n *session) ID {
	id, _ := parseID(s.idText(n))
	return id
}

// raw is the query that the backend was asked with.
func (s *Store) raw(n *session) string { return s.text(n)[idSize:n.endOfQuery] }

// user is whom the backend knows the viewer as; its name is empty where it did not say.
func (s *Store) user(n *session) user {
	return user{s.reply(n).Backend, s.text(n)[n.endOfQuery:n.endOfUser]}
}

func (s *Store) outcome(n *session) check.Outcome {
	o, text := *s.reply(n), s.text(n)
	o.Session, o.User, o.SessionName, o.AuthDuration = text[:idSize], text[n.endOfQuery:n.endOfUser], text[n.endOfUser:], n.validity
	return o
}

func (s *Store) terms(n *session) terms {
	at, raw := s.scene(n), s.raw(n)
	t := terms{query: raw, known: at.known, clear: raw, closed: at.closed}
	rare := s.rare(n)
	if rare == nil {
		return t
	}
	if rare.query != nil {
		t.query = *rare.query
	}
	if rare.clear != nil {
		t.clear = *rare.clear
	}
	return t
}

// request is the check that the backend was asked about, and is asked again.
func (s *Store) request(n *session) *check.Request {
	at := s.scene(n)
	return &check.Request{
		Proxy: at.proxy, Route: at.named, Method: at.method, Scheme: at.scheme, Host: at.host, Path: at.path, Query: s.raw(n),
		Addr: n.address(), UserAgent: s.agent(n),
	}
}

// asksAgain tells whether the session's question is ever repeated.
func (s *Store) asksAgain(n *session) bool {
	switch {
	case s.displaced(n):
		return false
	case n.provisional:
		return !s.rules(n).Once
	default:
		return n.validity > 0 && !s.reply(n).Once
	}
}

// isOfToken tells whether a token opened the session that proves by itself that its
// viewer may watch. No backend knows of it, so there is none whose absence it could
// outlive, and its validity, which can be long, is no reason to hold it without requests.
func (s *Store) isOfToken(n *session) bool { return s.reply(n).Backend == check.SecureToken }

// used is when the session was last used, or may have been.
func (s *Store) used(n *session) instant {
	if rare := s.rare(n); rare != nil {
		return max(n.last, rare.spared)
	}
	return n.last
}

// end is when the session ends by itself, and why.
func (s *Store) end(n *session) (at instant, why EndReason) {
	if s.displaced(n) {
		return s.held(n), Limit
	}
	at, why = s.used(n).add(max(s.rules(n).idle(), n.validity)), Idle
	if s.isOfToken(n) {
		at = s.used(n).add(s.rules(n).idle())
	}
	if limit := n.started.add(s.rules(n).max()); limit < at {
		at, why = limit, Max
	}
	if s.reply(n).Once && n.validity > 0 && !n.provisional {
		if over := n.answered.add(n.validity); over < at {
			at, why = over, Expired
		}
	}
	return at, why
}

// grace is how long the session lives on after its end by itself. One that no
// backend has allowed does not: while a newcomer would be let in, so is its viewer.
func (s *Store) grace(n *session) time.Duration {
	if n.provisional || s.displaced(n) || s.isOfToken(n) {
		return 0
	}
	return s.rules(n).Grace
}

// due is when the session's question must have been answered again; 0 if never.
func (s *Store) due(n *session) instant {
	switch {
	case s.displaced(n):
		return 0
	case n.provisional:
		return s.returned(n)
	case n.validity > 0 && !s.reply(n).Once:
		return n.answered.add(n.validity)
	default:
		return 0
	}
}

// stands tells whether a session that has ended by itself, and whose grace is not
// over, counts while the backend cannot be asked: one that a backend has allowed,
// and that has the grace of its question left, too.
func (s *Store) stands(n *session, now instant) bool {
	due := s.due(n)
	return !n.provisional && !s.isOfToken(n) && (due == 0 || now < due.add(s.rules(n).Grace))
}

func (r *Rules) idle() time.Duration { return orDefault(r.Idle, DefaultIdle) }
func (r *Rules) max() time.Duration  { return orDefault(r.Max, DefaultMax) }

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

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
// millions: what many have in common is in words, what few need is in more, and what
// has to do with the Store's indexes is a number and no pointer.
type session struct {
	// text is what the session alone has: its id as headers and logs spell it, the query
	// that the backend was asked with, X-UserId and X-Session-Name.
	text  string
	rules *Rules
	scene *word[scene]
	// agent is the User-Agent of the check that the backend was asked about.
	agent *word[string]
	// reply is the backend's last.
	reply *word[check.Outcome]
	rare  *rare
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

	// requests counts those that were allowed, up to what it can hold.
	requests uint32
	// renewals counts the repeated questions that were allowed since this process knows
	// the session.
	renewals uint32
	// saved is what Last the journal has, in seconds.
	saved uint32
	// endOfQuery and endOfUser are ends in text.
	endOfQuery, endOfUser uint32

	places
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

// idSize is how many bytes an ID's text has.
const idSize = 2 * len(ID{})

func (n *session) idText() string { return n.text[:idSize] }

func (n *session) id() ID {
	id, _ := parseID(n.idText())
	return id
}

// raw is the query that the backend was asked with.
func (n *session) raw() string { return n.text[idSize:n.endOfQuery] }

// user is whom the backend knows the viewer as; its name is empty where it did not say.
func (n *session) user() user {
	return user{n.reply.is.Backend, n.text[n.endOfQuery:n.endOfUser]}
}

func (n *session) outcome() check.Outcome {
	o := n.reply.is
	o.Session, o.User, o.SessionName = n.idText(), n.text[n.endOfQuery:n.endOfUser], n.text[n.endOfUser:]
	return o
}

// write writes what the session alone has.
func (n *session) write(id, query, user, name string) {
	n.text = id + query + user + name
	n.endOfQuery = uint32(idSize + len(query))            //nolint:gosec // There is no such query.
	n.endOfUser = uint32(idSize + len(query) + len(user)) //nolint:gosec // The same.
}

func (n *session) terms() terms {
	t := terms{query: n.raw(), known: n.scene.is.known, clear: n.raw(), closed: n.scene.is.closed}
	if n.rare == nil {
		return t
	}
	if n.rare.query != nil {
		t.query = *n.rare.query
	}
	if n.rare.clear != nil {
		t.clear = *n.rare.clear
	}
	return t
}

// request is the check that the backend was asked about, and is asked again.
func (n *session) request() *check.Request {
	at := &n.scene.is
	return &check.Request{
		Proxy: at.proxy, Route: at.named, Method: at.method, Scheme: at.scheme, Host: at.host, Path: at.path, Query: n.raw(),
		Addr: n.address(), UserAgent: n.agent.is,
	}
}

// validity is N, the X-AuthDuration of the last answer; 0 where there was none.
func (n *session) validity() time.Duration { return n.reply.is.AuthDuration }

// asksAgain tells whether the session's question is ever repeated.
func (n *session) asksAgain() bool {
	switch {
	case n.displaced():
		return false
	case n.provisional:
		return !n.rules.Once
	default:
		return n.validity() > 0 && !n.reply.is.Once
	}
}

// isOfToken tells whether a token opened the session that proves by itself that its
// viewer may watch. No backend knows of it, so there is none whose absence it could
// outlive, and its validity, which can be long, is no reason to hold it without requests.
func (n *session) isOfToken() bool { return n.reply.is.Backend == check.SecureToken }

// used is when the session was last used, or may have been.
func (n *session) used() instant {
	if n.rare == nil {
		return n.last
	}
	return max(n.last, n.rare.spared)
}

// end is when the session ends by itself, and why.
func (n *session) end() (at instant, why EndReason) {
	if n.displaced() {
		return n.rare.held, Limit
	}
	at, why = n.used().add(max(n.rules.idle(), n.validity())), Idle
	if n.isOfToken() {
		at = n.used().add(n.rules.idle())
	}
	if limit := n.started.add(n.rules.max()); limit < at {
		at, why = limit, Max
	}
	if n.reply.is.Once && n.validity() > 0 && !n.provisional {
		if over := n.answered.add(n.validity()); over < at {
			at, why = over, Expired
		}
	}
	return at, why
}

// grace is how long the session lives on after its end by itself. One that no
// backend has allowed does not: while a newcomer would be let in, so is its viewer.
func (n *session) grace() time.Duration {
	if n.provisional || n.displaced() || n.isOfToken() {
		return 0
	}
	return n.rules.Grace
}

// due is when the session's question must have been answered again; 0 if never.
func (n *session) due() instant {
	switch {
	case n.displaced():
		return 0
	case n.provisional:
		return n.returned()
	case n.validity() > 0 && !n.reply.is.Once:
		return n.answered.add(n.validity())
	default:
		return 0
	}
}

// stands tells whether a session that has ended by itself, and whose grace is not
// over, counts while the backend cannot be asked: one that a backend has allowed,
// and that has the grace of its question left, too.
func (n *session) stands(now instant) bool {
	due := n.due()
	return !n.provisional && !n.isOfToken() && (due == 0 || now < due.add(n.rules.Grace))
}

func (r *Rules) idle() time.Duration { return orDefault(r.Idle, DefaultIdle) }
func (r *Rules) max() time.Duration  { return orDefault(r.Max, DefaultMax) }

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

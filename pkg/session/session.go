// Package session holds what altagate keeps between checks: the sessions of
// viewers, the denials of the last seconds, and the ends that operators ordered.
// It asks nobody: it says which question is due, and is told the outcome.
package session

import (
	"net/netip"
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

// viewer is who watches: address and User-Agent.
type viewer struct {
	// addr is the address, of an IPv6 one its /64.
	addr netip.Prefix
	// userAgent is empty where the route joins by the address alone.
	userAgent string
}

func viewerOf(rules *Rules, r *check.Request) viewer {
	v := viewer{addr: share(r.Addr), userAgent: r.UserAgent}
	if rules.Join.Address {
		v.userAgent = ""
	}
	return v
}

// share is the part of the address space that counts as one viewer's: the
// address, or an IPv6 address's /64.
func share(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// place is one viewer on one stream. Sessions in the same place differ in the
// query that the backend allowed.
type place struct {
	route, scheme, host string
	stream              stream.Name
	viewer              viewer
}

func placeOf(rules *Rules, r *check.Request, name stream.Name) place {
	return place{route: rules.Route, scheme: r.Scheme, host: r.Host, stream: name, viewer: viewerOf(rules, r)}
}

// session is one viewer watching one stream. The Store's lock guards it.
type session struct {
	id   ID
	text string // id, as headers and logs spell it
	// hand is the signed id to hand to the viewer, and signedBy what has signed it;
	// empty where none is.
	hand     string
	signedBy *Keys
	place    place
	rules    *Rules
	terms    terms
	// asked is the check that the backend was asked about, and asked again.
	asked   check.Request
	outcome check.Outcome

	// started is when the first request came, last when the last one did that was
	// the session's, and spared when the last one did that joined another, but may
	// have been of this one.
	started, last, spared time.Time
	// answered is when the backend allowed last; of a provisional session, when
	// it was opened.
	answered time.Time
	requests uint64
	// renewals counts the repeated questions that were allowed since this process knows
	// the session.
	renewals int
	// provisional is set while no backend has allowed the session: it was opened
	// by a default. returned is when its backend was first seen to be back.
	provisional bool
	returned    time.Time

	// active is when the session asked last, as far as a limit goes, and since is when
	// its viewer began to watch as its user, without a pause that gives the place
	// away. Zapping is none.
	active, since time.Time
	// unsure is set where active is when it may have asked last before a restart.
	unsure bool
	// held is set once a limit has ended the session: until then what was its is
	// denied. judged is that there was no place for it.
	held   time.Time
	judged judgement

	// asking is set while the session's question is under way; after a failure it
	// is not repeated before retry.
	asking   bool
	failures int
	retry    time.Time
	// from are the addresses that joined by the id, the viewer's own apart.
	from []visit

	saved  time.Time // what Last the journal has
	places places
}

// visit is an address that joined by the id, and when it did last.
type visit struct {
	addr netip.Prefix
	last time.Time
}

// validity is N, the X-AuthDuration of the last answer; 0 where there was none.
func (n *session) validity() time.Duration { return n.outcome.AuthDuration }

// asksAgain tells whether the session's question is ever repeated.
func (n *session) asksAgain() bool {
	switch {
	case n.displaced():
		return false
	case n.provisional:
		return !n.rules.Once
	default:
		return n.validity() > 0 && !n.outcome.Once
	}
}

// isOfToken tells whether a token opened the session that proves by itself that its
// viewer may watch. No backend knows of it, so there is none whose absence it could
// outlive, and its validity, which can be long, is no reason to hold it without requests.
func (n *session) isOfToken() bool { return n.outcome.Backend == check.SecureToken }

// used is when the session was last used, or may have been.
func (n *session) used() time.Time { return latest(n.last, n.spared) }

// end is when the session ends by itself, and why.
func (n *session) end() (at time.Time, why EndReason) {
	if n.displaced() {
		return n.held, Limit
	}
	at, why = n.used().Add(max(n.rules.idle(), n.validity())), Idle
	if n.isOfToken() {
		at = n.used().Add(n.rules.idle())
	}
	if limit := n.started.Add(n.rules.max()); limit.Before(at) {
		at, why = limit, Max
	}
	if n.outcome.Once && n.validity() > 0 && !n.provisional {
		if over := n.answered.Add(n.validity()); over.Before(at) {
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

// due is when the session's question must have been answered again; the zero
// time if never.
func (n *session) due() time.Time {
	switch {
	case n.displaced():
		return time.Time{}
	case n.provisional:
		return n.returned
	case n.validity() > 0 && !n.outcome.Once:
		return n.answered.Add(n.validity())
	default:
		return time.Time{}
	}
}

// stands tells whether a session that has ended by itself, and whose grace is not
// over, counts while the backend cannot be asked: one that a backend has allowed,
// and that has the grace of its question left, too.
func (n *session) stands(now time.Time) bool {
	due := n.due()
	return !n.provisional && !n.isOfToken() && (due.IsZero() || now.Before(due.Add(n.rules.Grace)))
}

func (r *Rules) idle() time.Duration { return orDefault(r.Idle, DefaultIdle) }
func (r *Rules) max() time.Duration  { return orDefault(r.Max, DefaultMax) }

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// EndReason says why a session ended. The values are part of what users see.
type EndReason string

// The reasons of an end.
const (
	// Idle: no request came for the route's idle, or the backend's
	// X-AuthDuration if that is longer.
	Idle EndReason = "idle"
	// Max: it lasted for the route's max.
	Max EndReason = "max"
	// Expired: X-AuthDuration is over, and the preset's tokens cannot be asked
	// about again.
	Expired EndReason = "expired"
	// Denied: the backend was asked again and denied.
	Denied EndReason = "denied"
	// Unavailable: the backend could not be asked again until grace was over.
	Unavailable EndReason = "unavailable"
	// Limit: its user may have no more viewers at a time, and another has its place.
	Limit EndReason = "limit"
	// Operator: an operator ended it.
	Operator EndReason = "operator"
	// Evicted: it was the longest idle when a bound was reached.
	Evicted EndReason = "evicted"
	// Confirmed: it was provisional, and the backend has allowed its viewer since.
	Confirmed EndReason = "confirmed"
	// Policy: it was opened by a default that the route no longer has.
	Policy EndReason = "policy"
)

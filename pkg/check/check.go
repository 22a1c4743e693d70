// Package check holds the words that every other package shares: what a proxy
// asks about, what asking a backend gave, and what the proxy is told. It
// imports nothing of altagate's.
package check

import (
	"context"
	"net/netip"
	"time"
)

// Request is one check: a viewer's request as the proxy that serves it vouches
// for it. Frontends make it; nothing after them changes it.
type Request struct {
	// Proxy names the frontend that read the check: "nginx", "envoy" (over HTTP),
	// "envoy-grpc", "traefik", "caddy", "haproxy" or "ingress-nginx".
	Proxy string
	// Route is the route that the proxy named; empty means that routes match
	// by host and path.
	Route string
	// Method is the viewer's method, in the viewer's spelling.
	Method string
	// Scheme is "http" or "https".
	Scheme string
	// Host is lower-case, without a final dot and without the scheme's default
	// port; another port is kept.
	Host string
	// Path is the normalized path, the only one that anything decides on.
	Path string
	// Query is the viewer's raw query without its "?", byte for byte.
	Query string
	// Addr is the viewer's address: never an IPv4-mapped IPv6 address, and
	// without a zone.
	Addr netip.Addr
	// UserAgent is the viewer's, or empty.
	UserAgent string
	// IDs are the values of the viewer's cookies named altagate_id, as they came:
	// the first of them, empty where there are fewer.
	IDs [MaxIDs]string
}

// MaxViewers is the most viewers of one user that a limit can be about. A user with
// more is no person, and to count them would hold up everybody else.
const MaxViewers = 100

// MaxIDs is how many signed ids of one request are looked at. A browser sends
// the cookie of the nearest path first.
const MaxIDs = 4

// Origin is the scheme, host and port that the viewer asked, as a backend gets
// it in X-Real-Origin.
func (r *Request) Origin() string { return r.Scheme + "://" + r.Host }

// Verdict is what a backend made of a question. The zero value is Unavailable.
type Verdict uint8

// The three verdicts (Alta: status 200 allows, any other complete reply
// denies; no complete reply is no answer).
const (
	Unavailable Verdict = iota
	Denied
	Allowed
)

// String gives the verdict as metrics and logs spell it: "allow", "deny" or
// "unavailable".
func (v Verdict) String() string {
	switch v {
	case Allowed:
		return "allow"
	case Denied:
		return "deny"
	default:
		return "unavailable"
	}
}

// Outcome is what asking the backends of a route gave. The zero value is
// unavailable, with the backend there: it never leads to a default allow.
type Outcome struct {
	Verdict Verdict
	// Backend names the backend whose reply decided, or that failed last.
	Backend string
	// Status is the reply's HTTP status; 0 if there was no complete reply.
	Status int
	// Absent is set when altagate's own probe found every backend of the route
	// away. It has a meaning only where Verdict is Unavailable.
	Absent bool
	// Malformed is set when the check cannot be put to a backend faithfully, and so
	// was not: that is the request's fault, and no outage.
	Malformed bool
	// Overload is set when the question was turned away to protect the backend, or
	// failed for want of altagate's own descriptors, ports or memory. Neither says
	// anything of the backend.
	Overload bool
	// Session is the X-Session-Id that the question carried.
	Session string
	// User and SessionName are the reply's X-UserId and X-Session-Name; empty
	// where there was none or it was not plain text.
	User, SessionName string
	// AuthDuration is the reply's X-AuthDuration: for how long an allow is good.
	// 0 where there was none, or it was not an integer of 1 or more.
	AuthDuration time.Duration
	// MaxSessions is the reply's X-Max-Sessions: how many sessions User may have at
	// once. 0 where there was none, or it was not an integer of 1 or more.
	MaxSessions int
	// Unique is set where the reply had X-Unique: true: User's other sessions are to
	// end.
	Unique bool
	// Once is set where the backend's preset has tokens that die, so that it is
	// never asked about one again.
	Once bool
	// Err says why there was no complete reply, or what in the body of one denied. It
	// is for the log, never for a viewer.
	Err error
}

// Decision is what the proxy is told. The zero value is a denial.
type Decision struct {
	Allow  bool
	Reason Reason
	// Observed is the reason of the denial that the route, which only observes, let
	// pass. It has a meaning only where Reason is Observe.
	Observed Reason
	// Rule is what decided where Reason is Rule, as the log calls it: "rules[1]" or
	// SecureToken.
	Rule string
	// Route is the name of the route that decided; empty if none did.
	Route string
	// Status is the HTTP status of a denial, for proxies that can tell a
	// viewer more than 403; 0 means 403.
	Status int
	// Redirect is where a viewer who is denied is sent, a whole URL of the
	// operator's; empty for a plain denial.
	Redirect string
	// Session is the X-Session-Id of the session that allows or that the allow
	// opened; empty where there is none.
	Session string
	// ID is the session's signed id, to hand to the viewer; empty where the route
	// has no join by id.
	ID string
	// Cache is for how long a proxy may give the same answer to the same check without
	// asking; 0 means not at all. Only what a session allows has one, and then nothing
	// that ends the session by itself comes before it is over.
	Cache time.Duration
	// Outcome is what the backend was found to say, where it was asked, now or
	// when the session was allowed.
	Outcome Outcome
}

// SecureToken stands for the backend in the outcome of a token that proves by itself
// that a viewer may watch. No backend has this name.
const SecureToken = "secure_token"

// Deny is a denial for the reason given.
func Deny(reason Reason) Decision { return Decision{Reason: reason} }

// Word is "allow" or "deny", as headers, metrics and logs spell a decision.
func (d Decision) Word() string {
	if d.Allow {
		return "allow"
	}
	return "deny"
}

// Reason says why a decision was made. The values are part of what users see:
// in X-Altagate-Reason, in metrics and in the log.
type Reason string

// The reasons of a decision.
const (
	// Backend: the backend was asked, and its reply decided.
	Backend Reason = "backend"
	// Session: the request joined a session, and nothing was asked.
	Session Reason = "session"
	// RecentDenial: the backend denied the very same question a moment ago.
	RecentDenial Reason = "recent-denial"
	// Grace: the backend cannot be asked, and the session that it allowed lives
	// on for the route's grace.
	Grace Reason = "grace"
	// Revoked: an operator ended the session, and the end still holds.
	Revoked Reason = "revoked"
	// Limit: as many viewers as the user may have are watching already.
	Limit Reason = "limit"
	// Default: the backend is away, and the route's policy decided.
	Default Reason = "default"
	// Malformed: the viewer's request can be read in two ways or cannot be
	// sent on faithfully.
	Malformed Reason = "malformed"
	// NoRoute: no route matches, or the one that the proxy named is not there.
	NoRoute Reason = "no-route"
	// BadCheck: what the proxy itself must say is missing, doubled or
	// unreadable, or the caller may not ask.
	BadCheck Reason = "bad-check"
	// Overload: altagate did not ask, to protect the backend or for want of its own
	// resources.
	Overload Reason = "overload"
	// Late: the caller's deadline was about to pass before there was an outcome.
	Late Reason = "late"
	// Unanswered: this question failed, and the backend is there.
	Unanswered Reason = "unanswered"
	// Rule: a rule of the route decided, and nobody was asked.
	Rule Reason = "rule"
	// Observe: it would have been a denial, on a route that only observes.
	Observe Reason = "observe"
)

// Checker decides about checks. It has no error: whatever happens, there is a
// decision. Implementations are safe for concurrent use, and answer before
// ctx's deadline.
type Checker interface {
	Check(ctx context.Context, r *Request) Decision
}

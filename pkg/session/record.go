package session

import (
	"net/netip"
	"time"

	"github.com/altagate/altagate/pkg/stream"
)

// Record is a session as it is kept over a restart. Times are wall-clock.
type Record struct {
	ID                  ID
	Route, Scheme, Host string
	Stream              stream.Name
	Addr                netip.Addr
	UserAgent           string
	// ByAddress is set where any User-Agent of the address joins.
	ByAddress bool
	// Proxy, Method, Path and Query are of the check that the backend was asked
	// about.
	Proxy, Method, Path, Query string
	// Backend is who answered; User, SessionName, AuthDuration and Once are what
	// came of it.
	Backend, User, SessionName string
	AuthDuration               time.Duration
	Once                       bool
	// Started is when the session began, Last when its last request came,
	// Answered when the backend allowed last.
	Started, Last, Answered time.Time
	Requests                uint64
	// Provisional is set while no backend has allowed the session; Returned is
	// when its backend was first seen to be back.
	Provisional bool
	Returned    time.Time
	// MaxSessions and Unique are what limits the session's user. Held is set once that
	// has ended the session: until then what was its is denied.
	MaxSessions int
	Unique      bool
	Held        time.Time
	// Idle, Max and Grace are what the route said.
	Idle, Max, Grace time.Duration
	// Addrs are further addresses that joined by the signed id.
	Addrs []netip.Prefix
}

// Revocation is an operator's end that still holds until Until. What is zero in
// it sets no condition.
type Revocation struct {
	Session ID
	User    string
	// Viewer, UserAgent, Route, Scheme, Host and Stream are a viewer on a stream.
	Viewer                         netip.Prefix
	UserAgent, Route, Scheme, Host string
	Stream                         stream.Name
	Until                          time.Time
	// Reason is what the operator gave.
	Reason string
}

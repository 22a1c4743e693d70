package check

import (
	"net/netip"
	"time"
)

// Event is something that happened beside a check, for metrics and the log:
// one of the types below. Whoever reports one holds no lock.
type Event interface{ event() }

// Asked reports that one question to a backend has ended. Questions that were
// called off because another backend allowed are not reported.
type Asked struct {
	Backend string
	Verdict Verdict
	// Took is the time from the first byte of work to the whole reply or the
	// failure, all addresses included.
	Took time.Duration
}

// Turned reports that altagate's own probe found an address of a backend there
// or away, where it was the other before. The first finding is reported too.
type Turned struct {
	Backend string
	// Address is scheme, host and port of the address; never its path or query.
	Address string
	There   bool
	// Up is whether any address of the backend is there now.
	Up bool
	// Err says why the address is away; nil if it is there.
	Err error
}

// ShortDeadline reports, once for each backend, that callers wait for less
// time than the backend may take.
type ShortDeadline struct {
	Proxy, Backend    string
	Deadline, Timeout time.Duration
}

// NamelessUsers reports, once for each backend, that it allowed a viewer without an
// X-UserId, and the config limits its users: that limits nobody.
type NamelessUsers struct{ Backend string }

// TurnedAway reports, once in a minute for each bound, that a question was turned
// away to protect its backend.
type TurnedAway struct {
	Backend string
	// Addr is the viewer's.
	Addr netip.Addr
	// Err names the bound.
	Err error
	// Address is set if the bound is that of one address, so that it may be a big
	// NAT's.
	Address bool
}

// Shadowed reports what a shadow backend made of a question that the route's own
// backends had been asked. It decided nothing.
type Shadowed struct {
	Route, Backend string
	// Request is the check that the question was about.
	Request *Request
	// Own is the verdict of the route's own backends, and Shadow the other's.
	Own, Shadow Verdict
	// Dropped is set if the shadow backend was not asked, since it had enough to do.
	Dropped bool
	// Status is that of its reply; 0 if there was no complete one.
	Status int
	// Session is the X-Session-Id that both were told.
	Session string
}

// SessionInfo describes a session in an event.
type SessionInfo struct {
	// ID is the X-Session-Id, which by itself opens nothing.
	ID                  string
	Route, Host, Stream string
	// Addr and UserAgent are those of the request that opened it.
	Addr      netip.Addr
	UserAgent string
	// Backend allowed it, and knows the viewer as User and Name; empty where it
	// did not say.
	Backend, User, Name string
	// Provisional is set where no backend has allowed it yet.
	Provisional bool
}

// SessionStarted reports a new session, or one that was kept over a restart.
type SessionStarted struct {
	SessionInfo
	Restored bool
}

// SessionEnded reports that a session is over, its grace included.
type SessionEnded struct {
	SessionInfo
	// Started and Last are when its first and its last request came.
	Started, Last time.Time
	// Requests counts those that were allowed.
	Requests uint64
	// Reason is one of session.EndReason.
	Reason string
}

// ViewersHidden reports that one address began to hold more than half of at least
// 200 sessions, or no longer does: the proxy probably hides its viewers.
type ViewersHidden struct {
	Hidden          bool
	Addr            netip.Addr
	Sessions, Total int
}

// LayoutHint reports, once for each route, that a viewer with a session was
// denied a path that opens nothing and has no query: it may belong to that
// session's stream, and the route's layout does not say so.
type LayoutHint struct{ Route, Path string }

// JournalTurned reports that sessions can no longer be written to the state file,
// or, with a nil Err, that they can again.
type JournalTurned struct{ Err error }

func (Asked) event()          {}
func (Turned) event()         {}
func (ShortDeadline) event()  {}
func (NamelessUsers) event()  {}
func (TurnedAway) event()     {}
func (Shadowed) event()       {}
func (SessionStarted) event() {}
func (SessionEnded) event()   {}
func (ViewersHidden) event()  {}
func (LayoutHint) event()     {}
func (JournalTurned) event()  {}

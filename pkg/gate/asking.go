package gate

import (
	"context"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/session"
)

// roomForCall is how much of its stack a call needs, in bytes.
const roomForCall = 8 << 10

// question is what a backend gets to see of a check, the session id apart: two
// checks with equal questions on one route may share a call. It is compared
// field by field, so no separator in a value can make two of them one.
type question struct {
	origin, path, query, userAgent string
	addr                           netip.Addr
	// joins is set for the methods that join and open sessions, and standing names
	// the session that would live on: calls for the others draw other consequences.
	joins    bool
	standing string
	// again is the X-Session-Id of the session whose own question this is; the
	// other fields are empty then.
	again string
}

func questionOf(r *check.Request) question {
	return question{origin: r.Origin(), path: r.Path, query: session.Sent(r.Query), userAgent: r.UserAgent, addr: r.Addr}
}

// asking shares one call between the checks that put the same question at the
// same moment.
type asking struct {
	// limit bounds a call as a whole, the wait for a verdict about the backend
	// included. The backend's own timeout ends most calls long before.
	limit time.Duration
	// holder is held by each call from its beginning to its end.
	holder holder

	mu    sync.Mutex
	calls map[question]*call
}

// call is one question under way. decision may be read once done is closed.
type call struct {
	done     chan struct{}
	decision check.Decision
}

// holder may refuse a new call.
type holder interface {
	begin() bool
	end()
}

func newAsking(limit time.Duration, h holder) *asking {
	return &asking{limit: limit, holder: h, calls: make(map[question]*call)}
}

// join gives the call that q shares, beginning it with ask if there is none;
// false if the holder refuses that.
func (a *asking) join(q question, ask func(context.Context) check.Decision) (*call, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.calls[q]; ok {
		return c, true
	}
	if !a.holder.begin() {
		return nil, false
	}
	c := &call{done: make(chan struct{})}
	a.calls[q] = c
	go a.run(q, c, ask)
	return c, true
}

// run makes a call. It does not end with the viewer who caused it: it keeps a
// context of its own, and a later check gets its decision.
func (a *asking) run(q question, c *call, ask func(context.Context) check.Decision) {
	defer a.holder.end()
	grow()
	ctx, cancel := context.WithTimeout(context.Background(), a.limit)
	defer cancel()
	c.decision = ask(ctx)
	a.mu.Lock()
	delete(a.calls, q)
	a.mu.Unlock()
	close(c.done)
}

// grow makes room on the stack of a new goroutine for all that a call needs. Its stack
// is small at first, and would be doubled several times on the way to the backend, all
// that is on it copied each time.
//
//go:noinline
func grow() {
	var room [roomForCall]byte
	runtime.KeepAlive(&room)
}

// wait gives the call's decision. answered is false if ctx was about to end
// first.
func (c *call) wait(ctx context.Context) (d check.Decision, answered bool) {
	wait, stop := waitFor(ctx)
	defer stop()
	select {
	case <-c.done:
		return c.decision, true
	case <-wait:
	case <-left(ctx):
	}
	return check.Decision{}, false
}

// left is closed when the caller leaves. A frontend's context can tell that without a
// timer for the deadline, which waitFor has set already.
func left(ctx context.Context) <-chan struct{} {
	if caller, ok := ctx.(interface{ Left() <-chan struct{} }); ok {
		return caller.Left()
	}
	return ctx.Done()
}

// The answer leaves this much before the caller's deadline: a tenth of what
// there is, within these bounds, for the way back through the proxy's loop.
const (
	minMargin = 5 * time.Millisecond
	maxMargin = 500 * time.Millisecond
)

// waitFor gives a channel that fires shortly before the deadline of ctx; nil,
// which never fires, if it has none.
func waitFor(ctx context.Context) (wait <-chan time.Time, stop func() bool) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil, func() bool { return true }
	}
	left := time.Until(deadline)
	timer := time.NewTimer(left - min(max(left/10, minMargin), maxMargin))
	return timer.C, timer.Stop
}

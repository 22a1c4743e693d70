package gate

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// question is what a backend gets to see of a check, the session id apart: two
// checks with equal questions on one route may share a call. It is compared
// field by field, so no separator in a value can make two of them one.
type question struct {
	origin, path, query, userAgent string
	addr                           netip.Addr
}

func questionOf(r *check.Request) question {
	return question{origin: r.Origin(), path: r.Path, query: r.Query, userAgent: r.UserAgent, addr: r.Addr}
}

// asking shares one call between the checks that put the same question at the
// same moment.
type asking struct {
	// limit bounds a call as a whole, the wait for a verdict about the backend
	// included. The backend's own timeout ends most calls long before.
	limit time.Duration

	mu    sync.Mutex
	calls map[question]*call
}

// call is one question under way. decision may be read once done is closed.
type call struct {
	done     chan struct{}
	decision check.Decision
}

// do gives the decision of the call that q shares, beginning it with ask if
// there is none. The call does not end with the viewer who caused it: it keeps
// a context of its own, and a later check gets its decision. answered is false
// if ctx was about to end first.
func (a *asking) do(ctx context.Context, q question, ask func(context.Context) check.Decision) (d check.Decision, answered bool) {
	c := a.join(q, ask)
	wait, stop := waitFor(ctx)
	defer stop()
	select {
	case <-c.done:
		return c.decision, true
	case <-wait:
	case <-ctx.Done():
	}
	return check.Decision{}, false
}

func (a *asking) join(q question, ask func(context.Context) check.Decision) *call {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.calls[q]; ok {
		return c
	}
	c := &call{done: make(chan struct{})}
	a.calls[q] = c
	go a.run(q, c, ask)
	return c
}

func (a *asking) run(q question, c *call, ask func(context.Context) check.Decision) {
	ctx, cancel := context.WithTimeout(context.Background(), a.limit)
	defer cancel()
	c.decision = ask(ctx)
	a.mu.Lock()
	delete(a.calls, q)
	a.mu.Unlock()
	close(c.done)
}

// The answer leaves this much before the caller's deadline: a tenth of what
// there is, within these bounds, for the way back through the proxy's loop.
const (
	minMargin = 5 * time.Millisecond
	maxMargin = 100 * time.Millisecond
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

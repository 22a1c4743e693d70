package frontend

import (
	"context"
	"sync"
	"time"
)

// patience is the context of a check, with the deadline of its caller. Most checks
// wait for nothing, so it sets its timer only when somebody looks at Done or Err:
// a timer for each would cost as much as joining a session. It is safe for
// concurrent use.
type patience struct {
	context.Context //nolint:containedctx // It is a context.
	at              time.Time
	once            sync.Once
	timed           context.Context //nolint:containedctx // It is the one with the timer.
	cancel          context.CancelFunc
}

// newPatience is for a caller that said, before now, that it waits this long; with
// 0 it did not say so beside ctx.
func newPatience(ctx context.Context, wait time.Duration, now time.Time) *patience {
	stated, ok := ctx.Deadline()
	if wait <= 0 && !ok {
		wait = defaultWait
	}
	if wait <= 0 || wait > MaxWait {
		wait = MaxWait
	}
	p := &patience{Context: ctx, at: now.Add(wait)}
	if ok && stated.Before(p.at) {
		p.at = stated
	}
	return p
}

// Deadline is when the caller waits no longer.
func (p *patience) Deadline() (time.Time, bool) { return p.at, true }

// Done is closed when the deadline passes, the caller leaves, or the check ends.
func (p *patience) Done() <-chan struct{} { return p.withTimer().Done() }

// Err says why Done is closed.
func (p *patience) Err() error { return p.withTimer().Err() }

// Left is closed when the caller leaves, or states its own end. Unlike Done it needs no
// timer: it is for who has one of his own for the deadline.
func (p *patience) Left() <-chan struct{} { return p.Context.Done() }

func (p *patience) withTimer() context.Context {
	p.once.Do(func() { p.timed, p.cancel = context.WithDeadline(p.Context, p.at) })
	if p.timed == nil { // It has ended.
		ended, cancel := context.WithCancel(p.Context)
		cancel()
		return ended
	}
	return p.timed
}

// end ends the check.
func (p *patience) end() {
	p.once.Do(func() {})
	if p.cancel != nil {
		p.cancel()
	}
}

package backend

import (
	"context"

	"github.com/altagate/altagate/pkg/check"
)

// enter puts a question where there is room for it. It waits for that for half of
// the timeout at most: a question with no time left for its answer would only be a
// burden to the backend, and seem to fail. What the queue takes is no reason to
// probe.
func (b *Backend) enter(ctx context.Context, r *check.Request, s Session) answer {
	if b.config.Enter == nil {
		return b.walk(ctx, r, s)
	}
	if err := b.pool.absence(); err != nil {
		return answer{outcome: check.Outcome{Err: err, Absent: true}}
	}
	leave, err := b.config.Enter(ctx, r, b.config.Timeout/2)
	if err != nil {
		return answer{outcome: check.Outcome{Overload: true, Err: err}}
	}
	defer leave()
	return b.walk(ctx, r, s)
}

// absence is why nothing can be asked of any address; nil if something can, now or
// perhaps once a probe that is under way has ended.
func (p *pool) absence() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	ready, suspect, err := p.first(nil)
	if ready != nil || suspect != nil {
		return nil
	}
	return err
}

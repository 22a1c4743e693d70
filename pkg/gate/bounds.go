package gate

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/limit"
)

// Each backend has bounds of its own, which the routes that ask it share, since it
// is the backend that they protect. With several backends on a route a question
// enters at each by itself: it holds a place nowhere while it waits elsewhere, and
// one that is turned away by a busy backend can still be allowed by another.

// limitsOf are the bounds that a config has for a backend.
func limitsOf(b config.Backend) limit.Config {
	c := limit.Config{
		Questions: b.Limits.Questions, Queue: b.Limits.Queue, PerAddress: b.Limits.PerAddress, Rate: b.Limits.Rate,
	}
	for _, a := range b.Limits.Addresses {
		c.More = append(c.More, limit.More{In: a.In, Times: a.Times})
	}
	return c
}

// ownKey marks the context of a session's own question.
type ownKey struct{}

// asOwn is for the repeated question of a session that the backend has allowed:
// newcomers must not keep it from being asked, nor can its viewer do so, to watch on in
// grace. A provisional session has no grace to win, and anybody can open many of them.
func asOwn(ctx context.Context) context.Context { return context.WithValue(ctx, ownKey{}, true) }

func isOwn(ctx context.Context) bool { return ctx.Value(ownKey{}) != nil }

// entering lets questions in within bounds, and reports those that are turned away.
func (s *source) entering(name string, notify func(check.Event)) func(context.Context, *check.Request, time.Duration) (func(), error) {
	return func(ctx context.Context, r *check.Request, within time.Duration) (func(), error) {
		leave, err := s.limiter.Enter(ctx, r.Addr, isOwn(ctx), within)
		// One that was called off was not turned away.
		if err != nil && !errors.Is(err, context.Canceled) {
			s.turnedAway.report(name, r.Addr, err, notify)
		}
		return leave, err
	}
}

// reportEvery is how often it is reported that a bound turns questions away.
const reportEvery = time.Minute

// turnedAway remembers when it was last reported that a bound turned questions away.
// The zero value is ready.
type turnedAway struct {
	mu   sync.Mutex
	last map[error]time.Time
}

func (t *turnedAway) report(backend string, addr netip.Addr, err error, notify func(check.Event)) {
	bound := err
	if errors.Is(err, limit.ErrQueue) {
		bound = limit.ErrQueue // Without the context's own error.
	}
	if t.isDue(bound) {
		ofAddress := errors.Is(err, limit.ErrAddress) || errors.Is(err, limit.ErrRate)
		notify(check.TurnedAway{Backend: backend, Addr: addr, Err: bound, Address: ofAddress})
	}
}

func (t *turnedAway) isDue(bound error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if last, ok := t.last[bound]; ok && now.Sub(last) < reportEvery {
		return false
	}
	if t.last == nil {
		t.last = map[error]time.Time{}
	}
	t.last[bound] = now
	return true
}

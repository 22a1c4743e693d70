// Package gate is the one straight line of a check: route, backend, outcome,
// policy, decision. It holds what the config became, and swaps it whole on a
// reload.
package gate

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"sync/atomic"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/panics"
	"github.com/altagate/altagate/pkg/policy"
)

// Gate decides about checks. It is safe for concurrent use, during a reload
// too: a check runs to its end on the config that it began with.
type Gate struct {
	notify  func(check.Event)
	current atomic.Pointer[compiled]
	// reloading lets one reload at a time build on the one before.
	reloading sync.Mutex
}

// New compiles cfg and starts to probe its backends. A backend that is away is
// no error; a file that a backend names and that cannot be read is. notify gets
// what happens beside the checks, from many goroutines at once.
func New(cfg *config.Config, notify func(check.Event)) (*Gate, error) {
	g := &Gate{notify: notify}
	c, err := compile(cfg, nil, notify)
	if err != nil {
		return nil, err
	}
	g.current.Store(c)
	watchExcept(c.backends, nil)
	return g, nil
}

// Reload puts cfg in force for every check that begins after it returns. A
// backend whose settings did not change keeps its connections and what is known
// of its state; one that is gone is closed when the calls to it have ended. On an
// error the old config stays in force, whole.
func (g *Gate) Reload(cfg *config.Config) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	old := g.current.Load()
	c, err := compile(cfg, old.backends, g.notify)
	if err != nil {
		return err
	}
	g.current.Store(c)
	for name, b := range old.backends {
		if c.backends[name] != b {
			b.retire()
		}
	}
	// Only now: what a new backend is found to be is news of the config in force.
	watchExcept(c.backends, old.backends)
	return nil
}

// Close stops the probing. Checks under way still end with a decision. No
// Reload may follow.
func (g *Gate) Close() {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	closeExcept(g.current.Load().backends, nil)
}

// Check decides about one request, before the deadline of ctx.
func (g *Gate) Check(ctx context.Context, r *check.Request) check.Decision {
	rt, ok := g.current.Load().routes.Find(r.Route, r.Host, r.Path)
	if !ok {
		return check.Deny(check.NoRoute)
	}
	rt.warnShortDeadline(ctx, r.Proxy, g.notify)
	c, ok := rt.asking.join(questionOf(r), func(ctx context.Context) check.Decision {
		return policy.Decide(rt.policy, rt.ask(ctx, r))
	})
	if !ok {
		return g.Check(ctx, r) // A reload has just put another config in force.
	}
	d, answered := c.wait(ctx)
	if !answered {
		d = policy.Late()
	}
	d.Route = rt.name
	return d
}

// ask puts the question to the route's backends. It runs on no caller's
// goroutine, where a panic would end the process and with it every other check:
// it is an unanswered question, and so a denial that the log shows.
func (l *line) ask(ctx context.Context, r *check.Request) (o check.Outcome) {
	defer func() {
		if value := recover(); value != nil {
			o = check.Outcome{Err: panics.Error(value)}
		}
	}()
	return backend.Ask(ctx, l.backends, r, newSessionID())
}

// newSessionID makes the 128 random bits of an X-Session-Id.
func newSessionID() string {
	var id [16]byte
	rand.Read(id[:]) //nolint:errcheck // crypto/rand.Read never returns an error.
	return hex.EncodeToString(id[:])
}

package gate

import (
	"context"
	"sync"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/policy"
	"github.com/altagate/altagate/pkg/session"
)

// Explanation tells how a decision came about, for a person who asks why.
type Explanation struct {
	// Traces are the questions, one for each backend of the route.
	Traces []backend.Trace
	// Decision is what a check would have been told, with no regard to a
	// deadline.
	Decision check.Decision
}

// Explain asks the backends of cfg about r as a Gate does, all of them to the
// end, and tells all about it, as for a viewer without a session. Nothing goes on
// in the background. id is the X-Session-Id; empty stands for a new one. An error is one of New's.
func Explain(ctx context.Context, cfg *config.Config, r *check.Request, id string) (Explanation, error) {
	c, err := compile(cfg, nil, func(check.Event) {})
	if err != nil {
		return Explanation{}, err
	}
	defer closeExcept(c.backends, nil)
	rt, ok := c.routes.Find(r.Route, r.Host, r.Path)
	if !ok {
		return Explanation{Decision: check.Deny(check.NoRoute)}, nil
	}
	if d, ok := rt.ruled.decide(r); ok {
		return Explanation{Decision: rt.final(r, d)}, nil
	}
	if id == "" {
		id = session.NewID().String()
	}
	if o, ok := rt.readToken(r, id); ok {
		return Explanation{Decision: rt.final(r, policy.Token(rt.policy, o))}, nil
	}
	e := Explanation{Traces: make([]backend.Trace, len(rt.backends))}
	outcomes := make([]check.Outcome, len(rt.backends))
	var all sync.WaitGroup
	for i, b := range rt.backends {
		all.Go(func() {
			e.Traces[i] = b.Trace(ctx, r, rt.session(r, id, 0))
			outcomes[i] = e.Traces[i].Outcome
		})
	}
	all.Wait()
	e.Decision = rt.final(r, policy.Decide(rt.policy, backend.Combine(outcomes), false))
	return e, nil
}

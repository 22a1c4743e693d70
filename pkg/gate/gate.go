// Package gate is the one straight line of a check: route, session, backend,
// outcome, policy, decision. It holds what the config became, and swaps it whole
// on a reload.
package gate

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/panics"
	"github.com/altagate/altagate/pkg/policy"
	"github.com/altagate/altagate/pkg/session"
)

// Gate decides about checks. It is safe for concurrent use, during a reload
// too: a check runs to its end on the config that it began with.
type Gate struct {
	notify   func(check.Event)
	current  atomic.Pointer[compiled]
	sessions *session.Store
	// opened is closed when sessions is there: a session that was kept over a
	// restart can be due at once.
	opened chan struct{}
	// reloading lets one reload at a time build on the one before.
	reloading sync.Mutex
}

// New compiles cfg and starts to probe its backends. A backend that is away is
// no error; a file that cfg names and that cannot be read is. Sessions are kept
// over a restart in journal; nil means that they are not. notify gets what happens
// beside the checks, from many goroutines at once.
func New(cfg *config.Config, journal session.Journal, notify func(check.Event)) (*Gate, error) {
	c, err := compile(cfg, nil, notify)
	if err != nil {
		return nil, err
	}
	g := &Gate{notify: notify, opened: make(chan struct{})}
	g.current.Store(c)
	g.sessions, err = session.New(session.Config{
		Limit: cfg.SessionLimit, Keys: c.keys, Notify: notify, Ask: g.askAgain, Away: g.away, Journal: journal,
	})
	if err != nil {
		closeExcept(c.backends, nil)
		return nil, err
	}
	close(g.opened)
	watchExcept(c.backends, nil)
	return g, nil
}

// Reload puts cfg in force for every check that begins after it returns. A
// backend whose settings did not change keeps its connections and what is known
// of its state, whatever bounds its questions from now on; one that is gone is
// closed when the calls to it have ended. Sessions stay. On an error the old config stays in force, whole.
func (g *Gate) Reload(cfg *config.Config) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	old := g.current.Load()
	c, err := compile(cfg, old.backends, g.notify)
	if err != nil {
		return err
	}
	g.current.Store(c)
	g.sessions.SetKeys(c.keys)
	for name, b := range c.backends {
		b.limiter.Set(c.limits[name])
	}
	for name, b := range old.backends {
		if c.backends[name] != b {
			b.retire()
		}
	}
	// Only now: what a new backend is found to be is news of the config in force.
	watchExcept(c.backends, old.backends)
	return nil
}

// Sessions are what the gate keeps between checks.
func (g *Gate) Sessions() *session.Store { return g.sessions }

// Close stops the probing and brings what is not there yet into the journal. It
// comes when every check has ended, and no Reload may follow.
func (g *Gate) Close() {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	g.sessions.Close()
	closeExcept(g.current.Load().backends, nil)
}

// Check decides about one request, before the deadline of ctx.
func (g *Gate) Check(ctx context.Context, r *check.Request) check.Decision {
	l, ok := g.current.Load().routes.Find(r.Route, r.Host, r.Path)
	if !ok {
		return check.Deny(check.NoRoute)
	}
	l.warnShortDeadline(ctx, r.Proxy, g.notify)
	d, ok := g.decide(ctx, l, r)
	if !ok {
		return g.Check(ctx, r) // A reload has just put another config in force.
	}
	return l.final(r, d)
}

// final completes a decision about a request of the route.
func (l *line) final(r *check.Request, d check.Decision) check.Decision {
	d.Route = l.name
	d = policy.Final(l.policy, d)
	if !d.Allow && l.redirects(r) {
		d = policy.Redirect(l.policy, d)
	}
	return d
}

// Trusts says whether an address is in the trusted of the route that r belongs to:
// that of a proxy which adds to a list of addresses truly. r needs no Addr yet.
func (g *Gate) Trusts(r *check.Request, addr netip.Addr) bool {
	l, ok := g.current.Load().routes.Find(r.Route, r.Host, r.Path)
	return ok && slices.ContainsFunc(l.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// maxDue is how many sessions' own questions one check waits for: that of the
// newest which it would join, and, if that is denied, of the next.
const maxDue = 4

// decide decides by a rule, by a session, or else asks. It is false if l is not in
// force any longer.
func (g *Gate) decide(ctx context.Context, l *line, r *check.Request) (check.Decision, bool) {
	if d, ok := l.ruled.decide(r); ok {
		if d.Allow && g.sessions.Held(l.rules, r, "") {
			return check.Deny(check.Revoked), true
		}
		return d, true
	}
	if !session.Opens(r.Method) || l.rules.Join == (session.Join{}) {
		return g.ask(ctx, l, r, nil)
	}
	j := g.sessions.Join(l.rules, r)
	for tried := 0; j.Due != nil && tried < maxDue; tried++ {
		if !g.renew(ctx, j.Due) {
			return g.unrenewed(l, r), true
		}
		j = g.sessions.Join(l.rules, r)
	}
	if j.Decided {
		return j.Decision, true
	}
	asked := j // A copy, so that j need not be on the heap where a session decides.
	return g.ask(ctx, l, r, &asked)
}

// unrenewed decides when there is no more time for a session's own question. It
// goes on, and until its outcome the session is in its grace.
func (g *Gate) unrenewed(l *line, r *check.Request) check.Decision {
	if j := g.sessions.JoinAtOnce(l.rules, r); j.Decided {
		return j.Decision
	}
	return policy.Late()
}

// ask puts a request to the route's backends, or shares the call of another check
// that does. j is what Join gave, and nil where no session may come of it. It is
// false if l is not in force any longer.
func (g *Gate) ask(ctx context.Context, l *line, r *check.Request, j *session.Joined) (check.Decision, bool) {
	if j == nil && g.sessions.Held(l.rules, r, "") {
		return check.Deny(check.Revoked), true
	}
	if d, ok := g.token(l, r, j); ok {
		return d, true
	}
	q := questionOf(r)
	if j != nil {
		q.joins, q.standing = true, j.StandingID()
	}
	c, ok := l.asking.join(q, func(ctx context.Context) check.Decision {
		if j != nil {
			// The call that this one just missed may have opened the session: a token
			// that is good for one question must not be asked about twice.
			if now := g.sessions.Join(l.rules, r); now.Decided {
				return now.Decision
			}
		}
		id := session.NewID()
		o := l.ask(ctx, l.backends, r, id.String(), 0)
		g.shadow(l, r, id.String(), o)
		d := policy.Decide(l.policy, o, j != nil && j.Standing)
		return g.settle(l, r, j, id, d)
	})
	if !ok {
		return check.Decision{}, false
	}
	d, answered := c.wait(ctx)
	if !answered {
		d = policy.Late()
	}
	return d, true
}

// settle draws the consequences of a decision that the backend was asked for.
func (g *Gate) settle(l *line, r *check.Request, j *session.Joined, id session.ID, d check.Decision) check.Decision {
	if j == nil {
		switch {
		case d.Allow && g.sessions.Held(l.rules, r, d.Outcome.User):
			return check.Deny(check.Revoked)
		case d.Allow && g.sessions.Over(l.rules, r, d.Outcome):
			return check.Decision{Reason: check.Limit, Outcome: d.Outcome}
		}
		return d
	}
	l.nameless(&d.Outcome, g.notify)
	if !d.Allow && d.Reason == check.Backend {
		// A token that is good for one question may have been asked about by another
		// request of the viewer's: then its session has been opened since.
		if now := g.sessions.Join(l.rules, r); now.Decided && now.Decision.Allow {
			return now.Decision
		}
	}
	return g.sessions.Settle(l.rules, r, *j, id, d)
}

// renew puts a session's own question, or shares the call that does. It is false
// if ctx was about to end first.
func (g *Gate) renew(ctx context.Context, due *session.Question) bool {
	for {
		l, ok := g.current.Load().routes.Find(due.Route, "", "")
		if !ok {
			g.sessions.Renew(due, check.Outcome{}) // The route is gone: nobody can be asked.
			return true
		}
		c, ok := l.asking.join(question{again: due.Session}, func(ctx context.Context) check.Decision {
			if due.Backend != "" { // Whom nobody has allowed yet is a newcomer.
				ctx = asOwn(ctx)
			}
			g.sessions.Renew(due, l.ask(ctx, l.asked(due.Backend), due.Request, due.Session, due.Number))
			return check.Decision{}
		})
		if ok {
			_, answered := c.wait(ctx)
			return answered
		}
		// A reload has just put another config in force.
	}
}

// askAgain puts a session's own question when no request waits for it.
func (g *Gate) askAgain(due *session.Question) {
	<-g.opened
	g.renew(context.Background(), due)
}

// away tells whether all the backends of a route are.
func (g *Gate) away(name string) bool {
	l, ok := g.current.Load().routes.Find(name, "", "")
	if !ok {
		return true
	}
	for _, b := range l.backends {
		if !b.Away() {
			return false
		}
	}
	return true
}

// ask puts a question to backends of the route. It runs on no caller's goroutine,
// where a panic would end the process and with it every other check: it is an
// unanswered question, and so a denial that the log shows.
func (l *line) ask(ctx context.Context, backends []*backend.Backend, r *check.Request, id string, number int) (o check.Outcome) {
	defer func() {
		if value := recover(); value != nil {
			o = check.Outcome{Err: panics.Error(value)}
		}
	}()
	return l.limited(backend.Ask(ctx, backends, r, l.session(r, id, number)))
}

// session is what the backends are told of the session that a question is about.
func (l *line) session(r *check.Request, id string, number int) backend.Session {
	return backend.Session{ID: id, Stream: l.rules.Layout.Title(r.Path), Number: number}
}

// asked are the backends that a session's question goes to: the one that allowed
// it, or all if the route no longer has it.
func (l *line) asked(name string) []*backend.Backend {
	for i, b := range l.backends {
		if b.Name() == name {
			return l.backends[i : i+1]
		}
	}
	return l.backends
}

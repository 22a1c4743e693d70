package gate

import (
	"context"
	"time"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/check"
)

// A shadow backend is asked what the route's own backends were asked, and only
// after they have said what they have to say: a token that is good for one question
// is theirs, and nothing that the shadow does reaches a decision. Its limits bound
// how many such questions there are, those that wait included; no route has it
// among its own backends, so that it takes nobody's turn.

// shadow puts a question to the route's shadow backends too, and does not wait. own
// is what the route's own backends made of it; one that they did not get, because
// it cannot be put or there were too many, is none to compare.
func (g *Gate) shadow(l *line, r *check.Request, id string, own check.Outcome) {
	if len(l.shadows) == 0 || own.Malformed || own.Overload {
		return
	}
	asked := *r
	asked.IDs = [check.MaxIDs]string{} // no part of the question
	for _, s := range l.shadows {
		if s.begin() {
			go g.compare(l, s, &asked, id, own.Verdict)
		}
	}
}

// compare asks one shadow backend, and reports what it made of the question.
func (g *Gate) compare(l *line, s *source, r *check.Request, id string, own check.Verdict) {
	defer s.end()
	ctx, cancel := context.WithTimeout(context.Background(), limitOf(s.Timeout()))
	defer cancel()
	o := l.ask(ctx, []*backend.Backend{s.Backend}, r, id, 0)
	g.notify(check.Shadowed{
		Route: l.name, Backend: s.Name(), Request: r, Own: own, Shadow: o.Verdict, Dropped: o.Overload, Status: o.Status, Session: id,
	})
}

// limitOf bounds a call as a whole to a backend with a timeout.
func limitOf(timeout time.Duration) time.Duration { return 2*timeout + verdictTime }

package gate

import (
	"errors"
	"fmt"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/policy"
	"github.com/altagate/altagate/pkg/securetoken"
	"github.com/altagate/altagate/pkg/session"
)

// A token that proves by itself that its viewer may watch stands in the place of a
// backend: it is asked about when nothing joins, since segments carry none, and its
// allow opens a session, which ends with the token.

// buildTokens makes what checks a route's tokens; nil if it has none.
func buildTokens(t config.SecureToken) (*securetoken.Tokens, error) {
	if t.Kind == "" {
		return nil, nil //nolint:nilnil // A route without tokens is no mistake.
	}
	secrets, err := config.LoadTokenSecrets(t)
	if err != nil {
		return nil, err
	}
	switch t.Kind {
	case config.TokenAlta:
		return securetoken.Alta(secrets), nil
	case config.TokenSecureLink:
		return securetoken.SecureLink(secrets, t.Expression, t.Hash, t.Expires)
	default:
		return nil, fmt.Errorf("there are no tokens of kind %q", t.Kind)
	}
}

// token decides by the token of a request. It is false if there is none. j is as for
// ask.
func (g *Gate) token(l *line, r *check.Request, j *session.Joined) (check.Decision, bool) {
	if l.tokens == nil {
		return check.Decision{}, false
	}
	id := session.NewID()
	o, ok := l.readToken(r, id.String())
	if !ok {
		return check.Decision{}, false
	}
	return g.settle(l, r, j, id, policy.Token(l.policy, o)), true
}

// readToken gives what a request's token makes of it, for a session of an id. It is
// false if there is none.
func (l *line) readToken(r *check.Request, id string) (check.Outcome, bool) {
	if l.tokens == nil {
		return check.Outcome{}, false
	}
	now := time.Now()
	until, err := l.tokens.Check(r, now)
	switch {
	case errors.Is(err, securetoken.ErrNone):
		return check.Outcome{}, false
	case err != nil:
		return check.Outcome{Verdict: check.Denied, Backend: check.SecureToken, Once: true, Err: err}, true
	default:
		return check.Outcome{
			Verdict: check.Allowed, Backend: check.SecureToken, Once: true, Session: id, AuthDuration: until.Sub(now),
		}, true
	}
}

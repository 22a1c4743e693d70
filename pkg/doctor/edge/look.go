// Package edge looks at a running edge from outside, as a viewer would: with a
// token that is good, with one that nobody has, and with what attackers send.
package edge

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/altagate/altagate/pkg/doctor"
)

// Config says which edge is looked at, and how altagate is seen. URL and Decisions
// are required.
type Config struct {
	// URL is that of a viewer who may watch, with a token that is good now.
	URL string
	// Address is where the edge is connected to, host:port; empty means the URL's.
	Address string
	// Decisions gives the decisions about requests with a text in them, the oldest
	// first; altagate notes them from the first call on.
	Decisions func(ctx context.Context, match string) ([]doctor.Decided, error)
	// Listeners are those of altagate, each with what finds out whether it is at an
	// address.
	Listeners []Listener
	// Stopped is set if the operator has stopped altagate: then it is looked at
	// whether anybody is served now, and at nothing else.
	Stopped bool
	// There says whether altagate answers; it is needed with Stopped and Pause.
	There func(ctx context.Context) bool
	// Pause asks the operator to do something, and says whether he did; nil if
	// there is nobody to ask.
	Pause func(what string) bool
}

// Listener is one of altagate's.
type Listener struct {
	// Name says what it is for, and Address is its host:port.
	Name, Address string
	// Is says whether such a listener is at an address.
	Is func(ctx context.Context, address string) bool
}

// exam is one look at an edge.
type exam struct {
	Config
	place
	out *doctor.Section
	// nonce is in everything that is sent, and in nobody else's requests.
	nonce string
	sent  int
	// blind is set if altagate cannot be asked what arrived.
	blind bool
	// base is what altagate was told of a plain request.
	base *doctor.Decided
	// agentless is set if no User-Agent arrives.
	agentless bool
	// good is the edge's answer to the viewer who may watch, if that was an allow.
	good *reply
}

// Look looks at the edge. An error is a mistake in the URL.
func Look(ctx context.Context, c Config) (*doctor.Section, error) {
	place, err := parse(c.URL, c.Address)
	if err != nil {
		return nil, err
	}
	e := &exam{Config: c, place: place, nonce: strings.ToLower(rand.Text())[:16], out: doctor.NewSection(fmt.Sprintf("edge: %s://%s at %s", place.scheme, place.host, place.address))}
	conn, err := place.dial(ctx)
	if err != nil {
		e.out.Failed = fmt.Sprintf("connecting to the edge: %v", err)
		return e.out, nil
	}
	conn.Close() //nolint:errcheck // nothing was sent
	if c.Stopped {
		e.away(ctx)
		return e.out, nil
	}
	if _, err := c.Decisions(ctx, e.nonce); err != nil {
		e.blind = true
		e.out.Failed = fmt.Sprintf("altagate cannot be asked what arrives: %v", err)
	}
	e.denied(ctx)
	e.allowed(ctx)
	e.hostile(ctx)
	e.headers(ctx)
	e.hosts(ctx)
	e.paths(ctx)
	e.reach(ctx)
	e.unseen(ctx)
	return e.out, nil
}

// unseen says what was not looked at, and looks at what happens when altagate is
// away if there is somebody to stop it.
func (e *exam) unseen(ctx context.Context) {
	if e.Pause != nil && e.Pause("Stop altagate now, so that it can be seen what happens when it is away") {
		e.away(ctx)
		e.Pause("Start altagate again")
	} else {
		e.out.Cannot("what happens while altagate is away: stop it, and run this again with --altagate-stopped")
	}
	e.out.Cannot("what the origin gets, and other ways to it: give --proxy-config; HTTP/2 and HTTP/3")
}

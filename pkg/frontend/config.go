package frontend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

const (
	// defaultWait is how long a caller is taken to wait where it does not say.
	defaultWait = 5 * time.Second
	// MaxWait is the longest that a check takes, whatever the caller says: then
	// it is late. Servers give an answer more time than that.
	MaxWait = 10 * time.Second
)

// Record gets every check that was answered, once (not one whose caller has
// left: nobody was told anything), with the decision and the
// time from reading the check to having the decision. Where the decision is
// malformed or bad-check, r holds only what could be read. It is called from
// many goroutines at once, before the proxy has its answer, so it must not wait.
type Record func(r *check.Request, d check.Decision, took time.Duration)

// Config is what every frontend needs.
type Config struct {
	// Checker decides. It is required.
	Checker check.Checker
	// May says whether a caller at this address may ask. Nil refuses everybody.
	May func(net.Addr) bool
	// Trusts may be nil.
	Trusts Trusts
	// Record may be nil.
	Record Record
}

// Check decides about one check of the caller at peer, and records it. The
// Checker gets the deadline that the caller stated, in said.Wait or by ctx, else
// 5 s, and never more than MaxWait; a caller that leaves ends ctx. Of a caller that may not ask nothing
// is believed: its check is a bad-check.
func (c Config) Check(ctx context.Context, peer net.Addr, said Context) check.Decision {
	start := time.Now()
	r, reason, why := c.read(peer, said)
	d := check.Decision{Reason: reason, Outcome: check.Outcome{Err: why}}
	if reason == "" {
		patience := newPatience(ctx, said.Wait, start)
		defer patience.end()
		d = c.Checker.Check(patience, &r)
	}
	if left := errors.Is(ctx.Err(), context.Canceled); c.Record != nil && !left {
		c.Record(&r, d, time.Since(start))
	}
	return d
}

// Admits says whether a caller at an address may ask.
func (c Config) Admits(peer net.Addr) bool { return peer != nil && c.May != nil && c.May(peer) }

// read makes a check of what a caller said, if it may ask.
func (c Config) read(peer net.Addr, said Context) (check.Request, check.Reason, error) {
	if !c.Admits(peer) {
		return check.Request{Proxy: said.Proxy}, check.BadCheck, fmt.Errorf("%v may not ask: list it in callers if it is your proxy", peer)
	}
	return said.Request(c.Trusts)
}

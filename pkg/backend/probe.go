package backend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

const (
	// patience is how long a probe waits for an answer, where a question's
	// timeout is not shorter.
	patience = time.Second
	// pause is the time between probes of an address that is away, give or take
	// a tenth.
	pause = time.Second
	// aftermath is for how long after a question has ended it is taken to hold
	// the portal: a script goes on when its caller has left.
	aftermath = 10 * time.Second
)

// probe probes an endpoint. Where what came on a kept connection was wrong, a new one
// decides: viewers' questions were on it before, and it may be what is left of a reply
// to one of them, or the end of one that was called off.
func (b *Backend) probe(ctx context.Context, e *endpoint) error {
	var kept atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) { kept.Store(c.Reused) },
	})
	err := probe(traced, b.send, e, b.config.UnavailableStatuses)
	if err == nil || isSilent(err) || isOwn(err) || !kept.Load() || ctx.Err() != nil {
		return err
	}
	send, done := b.apart()
	defer done()
	return probe(ctx, send, e, b.config.UnavailableStatuses)
}

// probe asks for an endpoint's probe URL. Any HTTP answer means that it is
// there, save for a status that the operator counts as none.
func probe(ctx context.Context, send sender, e *endpoint, unavailable []int) error {
	resp, err := send(e.probe(ctx))
	if err != nil {
		return fmt.Errorf("probing: %w", withoutBytes(blamed(err)))
	}
	resp.Body.Close() // the head was the answer
	if slices.Contains(unavailable, resp.StatusCode) {
		return fmt.Errorf("probing: status %d counts as unavailable", resp.StatusCode)
	}
	return nil
}

// look makes altagate probe an address at once, unless it does so already. An
// address that is away is probed until it is there.
func (p *pool) look(a *address) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.pending || a.state == away || p.ctx.Err() != nil {
		return
	}
	a.pending = true
	p.probers.Go(func() { p.follow(a) })
}

// follow probes an address until it is there or nothing can be found out. It is
// the address's only prober.
func (p *pool) follow(a *address) {
	for {
		isAway := p.record(a, p.examine(a))
		p.report()
		if !isAway {
			return
		}
		select {
		case <-time.After(pause*9/10 + rand.N(pause/5)): //nolint:gosec // It spreads probes, and hides nothing.
		case <-p.ctx.Done():
			return
		}
	}
}

// examine probes an address, and again if there is no answer: viewers' questions
// may hold all of the portal's workers, and go on holding them when altagate has
// given them up. So that this cannot last, new questions wait meanwhile, those
// under way run out first, and only a silence that they do not explain counts.
// An address that is away has no questions, and is probed once.
func (p *pool) examine(a *address) error {
	err := p.probeOnce(p.ctx, a.endpoint)
	if err == nil || !isSilent(err) || !p.suspect(a, err) {
		return err
	}
	p.drain(a)
	for {
		begun := time.Now()
		err = p.probeOnce(p.ctx, a.endpoint)
		if err == nil || !isSilent(err) || !p.explained(a, begun) {
			return err
		}
		select {
		case <-time.After(pause - time.Since(begun)):
		case <-p.ctx.Done():
			return p.ctx.Err()
		}
	}
}

// explained tells whether questions may be why a probe, begun at that time, got
// no answer.
func (p *pool) explained(a *address, begun time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return a.inflight > 0 || begun.Before(a.asked.Add(aftermath))
}

// probeOnce waits for one probe's answer, but not for longer than patience.
func (p *pool) probeOnce(ctx context.Context, e *endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, min(patience, p.timeout))
	defer cancel()
	return p.ask(ctx, e)
}

// suspect makes new questions for an address wait, unless it is away already. why
// is the failure of the probe.
func (p *pool) suspect(a *address, why error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.state == away {
		return false
	}
	a.suspect, a.why = true, why
	return true
}

// drain waits until no question is under way at an address, which is within the
// timeout of the last of them.
func (p *pool) drain(a *address) {
	timeout := time.NewTimer(p.timeout)
	defer timeout.Stop()
	for {
		p.mu.Lock()
		inflight, changed := a.inflight, p.changed
		p.mu.Unlock()
		if inflight == 0 {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			return
		case <-p.ctx.Done():
			return
		}
	}
}

// record notes what examining an address found, and tells whether the address
// is away now. A failure of altagate's own machine, or a probe that close broke
// off, changes nothing.
func (p *pool) record(a *address, err error) (isAway bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.pending, a.suspect, a.own = false, false, nil
	if a.state != away {
		a.why = nil
	}
	a.findings++
	defer p.wake()
	switch {
	case p.ctx.Err() != nil:
		return false
	case err != nil && isOwn(err):
		a.own = err
		return a.state == away
	}
	was := a.state
	a.state, a.why = there, nil
	if err != nil {
		a.state, a.why = away, err
	}
	if a.state != was {
		a.since = time.Now()
		p.events = append(p.events, check.Turned{
			Backend: p.name, Address: a.name, There: err == nil, Up: p.up(), Err: err,
		})
	}
	return err != nil
}

// up reports whether any address is there. The lock is held.
func (p *pool) up() bool {
	return slices.ContainsFunc(p.all, func(a *address) bool { return a.state == there })
}

// report hands out the events in the order in which they happened, without the
// lock: one goroutine at a time does it, for all.
func (p *pool) report() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reporting {
		return
	}
	p.reporting = true
	for len(p.events) > 0 {
		e := p.events[0]
		p.events = p.events[1:]
		if p.notify == nil {
			continue
		}
		p.mu.Unlock()
		p.notify(e)
		p.mu.Lock()
	}
	p.reporting = false
}

package backend

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// state is what the probe last found of an address.
type state uint8

const (
	// unknown: no probe has found anything yet. Questions are put, and no
	// default is given.
	unknown state = iota
	there
	away
)

// errNoneLeft is why a question goes nowhere else.
var errNoneLeft = errors.New("there is no further address")

// address is an endpoint with what is known about it. The pool's lock guards
// all but the endpoint.
type address struct {
	*endpoint
	state state
	// since is when the state began.
	since time.Time
	// why is the probe's failure; nil unless the address is away or suspect.
	why error
	// own is altagate's own failure that left the last probe without a finding.
	own error
	// pending is set while a probe's finding is due.
	pending bool
	// suspect is set after a probe without an answer: questions wait.
	suspect bool
	// findings counts the probe's findings.
	findings uint64
	// inflight counts the questions at the address.
	inflight int
	// asked is when the last of the questions ended.
	asked time.Time
}

// pool is the addresses of a backend. Each is there or away, and only the pool's
// own probing says which: questions can ask for a probe, and no more.
type pool struct {
	name    string
	timeout time.Duration
	ask     func(context.Context, *endpoint) error
	notify  func(check.Event)
	ctx     context.Context // ends with close
	stop    context.CancelFunc
	probers sync.WaitGroup

	mu        sync.Mutex
	all       []*address
	changed   chan struct{} // closed at each change, and replaced
	events    []check.Event // not yet reported, oldest first
	reporting bool          // a goroutine is reporting them
}

// newPool makes a pool, which does not probe yet. ask probes an endpoint: nil means
// that it is there.
func newPool(c Config, endpoints []*endpoint, ask func(context.Context, *endpoint) error) *pool {
	p := &pool{
		name: c.Name, timeout: c.Timeout, ask: ask, notify: c.Notify,
		changed: make(chan struct{}),
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	for _, e := range endpoints {
		p.all = append(p.all, &address{endpoint: e, since: time.Now()})
	}
	return p
}

// lookAtAll probes every address.
func (p *pool) lookAtAll() {
	for _, a := range p.all {
		p.look(a)
	}
}

// away tells whether every address is.
func (p *pool) away() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.all {
		if a.state != away {
			return false
		}
	}
	return true
}

// close stops the probing, and returns when it has ended.
func (p *pool) close() {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	p.probers.Wait()
}

// enter gives the first address that a question can go to, among those that it
// has not tried, and counts the question there until leave. Where that can only
// be one whose probe is unanswered, it waits for the finding. The error is ctx's,
// or says that there is no such address.
func (p *pool) enter(ctx context.Context, tried map[*address]bool) (*address, error) {
	for {
		p.mu.Lock()
		ready, suspect, err := p.first(tried)
		if ready != nil {
			ready.inflight++
		}
		changed := p.changed
		p.mu.Unlock()
		if suspect == nil {
			return ready, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s to answer a probe: %w", suspect.name, ctx.Err())
		}
	}
}

// first gives the first untried address that can be asked now, or else the first
// that might be later, or else why there is neither. The lock is held.
func (p *pool) first(tried map[*address]bool) (ready, suspect *address, err error) {
	err = errNoneLeft
	for _, a := range p.all {
		switch {
		case a.state == away:
			err = fmt.Errorf("%s is away: %w", a.name, a.why)
		case tried[a]:
		case !a.suspect:
			return a, nil, nil
		case suspect == nil:
			suspect = a
		}
	}
	return nil, suspect, err
}

// leave ends what enter began.
func (p *pool) leave(a *address) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.inflight--
	a.asked = time.Now()
	if a.suspect && a.inflight == 0 {
		p.wake()
	}
}

// wake lets everybody who waits look again. The lock is held.
func (p *pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// finding is what a failed question is told about its backend.
type finding struct {
	// absent is set if every address is away.
	absent bool
	// own is altagate's own failure, if that kept a probe from finding out.
	own error
}

// verdict waits for the probes that are under way, as far as they matter, and
// tells what they found. The zero finding, "there", is also that of a ctx that
// ends first: nothing was found, so nothing may follow from it.
func (p *pool) verdict(ctx context.Context) finding {
	p.mu.Lock()
	since := make([]uint64, len(p.all))
	for i, a := range p.all {
		since[i] = a.findings
	}
	for {
		f, done := p.judge(since)
		changed := p.changed
		p.mu.Unlock()
		if done {
			return f
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return finding{}
		}
		p.mu.Lock()
	}
}

// judge tells what is known of the backend, if that is enough. One finding of an
// address after since settles it, so that a flood of failing questions, each
// with a probe after it, holds nobody. The lock is held.
func (p *pool) judge(since []uint64) (f finding, done bool) {
	f.absent, done = true, true
	for i, a := range p.all {
		switch {
		case a.state == away:
		case a.pending && a.findings == since[i]:
			done = false
		default:
			return finding{own: a.own}, true
		}
	}
	return f, done
}

// Package limit bounds the questions that one backend is asked: how many at once,
// in all and for each viewer's address, and how many new ones each address may
// begin. What is above the bound in all waits in a short queue, where addresses
// take turns, and sessions' own questions take turns with newcomers'.
package limit

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Config holds the bounds. All numbers but Queue are at least 1.
type Config struct {
	// Questions is how many there can be at once.
	Questions int
	// Queue is how many more can wait for their turn; 0 means none.
	Queue int
	// PerAddress is how many questions one address can have at once, those that
	// wait included. An IPv6 address stands for its /64.
	PerAddress int
	// Rate is how many questions one address can begin in a second. After a quiet
	// while, it can begin as many as in ten seconds at once.
	Rate int
	// More are the networks whose addresses may ask more than others.
	More []More
}

// More multiplies PerAddress and Rate for each address in a network. Where several
// networks have an address the longest prefix counts.
type More struct {
	In    netip.Prefix
	Times int
}

// Why a question is turned away. Each names the key of a config that bounds it.
var (
	ErrQuestions = errors.New("as many questions as limits.questions are under way, and no more than limits.queue can wait")
	ErrQueue     = errors.New("as many questions as limits.questions are under way, and none of them ended in time")
	ErrAddress   = errors.New("as many questions as limits.per_address are under way for this address")
	ErrRate      = errors.New("this address begins more questions than limits.rate")
)

const (
	// refill is the time in which an address earns all the questions that it may
	// begin at once.
	refill = 10 * time.Second
	// maxAddresses bounds those that are remembered. Above it the one that has been
	// quiet for longest is forgotten, and may begin anew.
	maxAddresses = 65536
)

// Limiter lets questions in within the bounds. It is safe for concurrent use.
type Limiter struct {
	mu     sync.Mutex
	config Config
	// under counts the questions that are under way.
	under int
	// own are the sessions' own questions that wait, and newcomers the others. wasOwn
	// is set if the last that began after it waited was an own one.
	own, newcomers line
	wasOwn         bool

	addresses map[netip.Prefix]*address
	// quiet are the addresses without a question, longest first.
	quiet *list.List
}

// address is what is remembered of one. It is forgotten when it has been quiet for
// so long that a new one would be equal.
type address struct {
	prefix netip.Prefix
	// begins says when it may begin another question.
	begins *rate.Limiter
	// questions counts those under way and those that wait.
	questions int
	// quiet is its place in Limiter.quiet, since when it is there; nil if it is not.
	quiet *list.Element
	since time.Time
}

// waiter is a question that waits for its turn.
type waiter struct {
	// of is the address that it counts for; nil for a session's own question.
	of *address
	// in is where it waits, if it has to, in the turns of from.
	in   *line
	from netip.Prefix
	// settled is closed with its turn, or when it is turned away by err.
	settled chan struct{}
	err     error
}

// New makes a Limiter. It needs no end.
func New(c Config) *Limiter {
	return &Limiter{config: c, addresses: make(map[netip.Prefix]*address), quiet: list.New()}
}

// Set changes the bounds. Questions that are under way or wait stay.
func (l *Limiter) Set(c Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.config = c
	l.proceed()
}

// Enter lets a question of a viewer's address in, at once or when it is its turn
// within a time, and leave ends it: it is to be called once. Otherwise the error is one
// of this package's, also where ctx ended first. own is set for the repeated question of
// a session: only the bound in all holds it, and every second turn is for such ones.
func (l *Limiter) Enter(ctx context.Context, addr netip.Addr, own bool, within time.Duration) (leave func(), err error) {
	w, err := l.begin(addr, own, time.Now())
	if err != nil {
		return nil, err
	}
	if err := l.wait(ctx, w, within); err != nil {
		return nil, err
	}
	return func() { l.leave(w) }, nil
}

// wait returns when it is a question's turn; with an error that will not be. There is
// no timer where nobody has to wait, as it is for most.
func (l *Limiter) wait(ctx context.Context, w *waiter, within time.Duration) error {
	select {
	case <-w.settled:
		return w.err
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	select {
	case <-w.settled:
	case <-ctx.Done():
		l.giveUp(w)
		return fmt.Errorf("%w: %w", ErrQueue, ctx.Err())
	}
	return w.err
}

// begin counts a question. It is settled already if nobody has to wait.
func (l *Limiter) begin(addr netip.Addr, own bool, now time.Time) (*waiter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(now)
	w := &waiter{settled: make(chan struct{}), in: &l.own, from: shared(addr)}
	if !own {
		w.in, w.of = &l.newcomers, l.find(w.from)
		if err := l.refused(w.of, now); err != nil {
			return nil, err
		}
	}
	if l.under >= l.config.Questions && !l.hasRoom(w) {
		return nil, ErrQuestions
	}
	l.count(w.of, now)
	if l.under < l.config.Questions {
		l.under++
		close(w.settled)
		return w, nil
	}
	w.in.enqueue(w)
	return w, nil
}

// refused tells why an address may not begin a question now.
func (l *Limiter) refused(a *address, now time.Time) error {
	times := l.times(a.prefix)
	// The bounds may have changed since its last question.
	a.begins.SetLimitAt(now, rate.Limit(times*l.config.Rate))
	a.begins.SetBurstAt(now, burst(times*l.config.Rate))
	switch {
	case a.questions >= times*l.config.PerAddress:
		return ErrAddress
	case a.begins.TokensAt(now) < 1:
		return ErrRate
	}
	return nil
}

// burst is how many questions an address of a rate may begin at once.
func burst(perSecond int) int { return perSecond * int(refill/time.Second) }

// times is by how much the bounds of an address are multiplied.
func (l *Limiter) times(of netip.Prefix) int {
	times, longest := 1, -1
	for _, m := range l.config.More {
		if m.In.Bits() > longest && m.In.Contains(of.Addr()) {
			times, longest = m.Times, m.In.Bits()
		}
	}
	return times
}

// hasRoom tells whether one more question can wait. In a full queue it may take the
// place of another.
func (l *Limiter) hasRoom(w *waiter) bool {
	if l.waiting() < l.config.Queue {
		return true
	}
	t := l.yields(w)
	if t == nil {
		return false
	}
	last := t.queue[len(t.queue)-1]
	last.in.dequeue(last)
	l.uncount(last.of)
	last.err = ErrQuestions
	close(last.settled)
	return true
}

// yields gives the turn that loses its last question to one more in a full queue; nil
// if none does. Half of the queue is for sessions' own questions and half for
// newcomers, as far as they need it. Within a half whoever has the most there makes
// room, if that is more than the other's would be: a queue that few addresses fill is
// not closed for the others.
func (l *Limiter) yields(w *waiter) *turn {
	half := (l.config.Queue + 1) / 2
	switch own := w.in == &l.own; {
	case own && l.own.waiting < half:
		return l.newcomers.longest()
	case !own && l.own.waiting > half:
		return l.own.longest()
	}
	most, mine := w.in.longest(), 0
	if t := w.in.turn(w.from); t != nil {
		mine = len(t.queue)
	}
	if most == nil || len(most.queue) <= mine+1 {
		return nil
	}
	return most
}

// leave ends a question that was under way, and the next one that waits begins.
func (l *Limiter) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.under--
	l.uncount(w.of)
	l.proceed()
}

// giveUp ends a question whether it waits still, is under way, or was turned away.
func (l *Limiter) giveUp(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-w.settled:
		if w.err != nil {
			return
		}
		l.under--
	default:
		w.in.dequeue(w)
	}
	l.uncount(w.of)
	l.proceed()
}

// proceed begins questions that wait, as many as there is room for.
func (l *Limiter) proceed() {
	for l.under < l.config.Questions && l.waiting() > 0 {
		w := l.next()
		w.in.dequeue(w)
		l.under++
		close(w.settled)
	}
}

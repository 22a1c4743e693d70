package limit

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// The Limiter's lock is held in all that is here.

// line is where questions of one kind wait. Addresses take turns in it, in the order
// in which they come.
type line struct {
	turns   []*turn
	waiting int
}

// turn is an address's, with its questions that wait: one at least.
type turn struct {
	of    netip.Prefix
	queue []*waiter
}

// turn gives that of an address; nil if it has none.
func (l *line) turn(of netip.Prefix) *turn {
	for _, t := range l.turns {
		if t.of == of {
			return t
		}
	}
	return nil
}

// longest gives the turn with the most questions; nil if there is none.
func (l *line) longest() *turn {
	var most *turn
	for _, t := range l.turns {
		if most == nil || len(t.queue) > len(most.queue) {
			most = t
		}
	}
	return most
}

func (l *line) enqueue(w *waiter) {
	t := l.turn(w.from)
	if t == nil {
		t = &turn{of: w.from}
		l.turns = append(l.turns, t)
	}
	t.queue = append(t.queue, w)
	l.waiting++
}

// dequeue takes a question out, wherever it is.
func (l *line) dequeue(w *waiter) {
	t := l.turn(w.from)
	if t.queue = without(t.queue, w); len(t.queue) == 0 {
		l.turns = without(l.turns, t)
	}
	l.waiting--
}

// next is the question that is to begin next. An address with more of them has its
// next turn after all others.
func (l *line) next() *waiter {
	t := l.turns[0]
	l.turns = append(slices.Delete(l.turns, 0, 1), t)
	return t.queue[0]
}

func (l *Limiter) waiting() int { return l.own.waiting + l.newcomers.waiting }

// next is the question that is to begin next: a session's own, and a newcomer's after
// it. Who has been allowed is not kept waiting by a flood of newcomers, nor are they by
// the many sessions that a viewer can have.
func (l *Limiter) next() *waiter {
	l.wasOwn = l.own.waiting > 0 && (!l.wasOwn || l.newcomers.waiting == 0)
	if l.wasOwn {
		return l.own.next()
	}
	return l.newcomers.next()
}

func without[T comparable](all []T, one T) []T {
	i := slices.Index(all, one)
	return slices.Delete(all, i, i+1)
}

// find gives what is remembered of an address, or a new one.
func (l *Limiter) find(p netip.Prefix) *address {
	if a, ok := l.addresses[p]; ok {
		return a
	}
	perSecond := l.times(p) * l.config.Rate
	return &address{prefix: p, begins: rate.NewLimiter(rate.Limit(perSecond), burst(perSecond))}
}

// count notes that an address begins a question. Only then is it remembered.
func (l *Limiter) count(a *address, now time.Time) {
	if a == nil {
		return
	}
	a.begins.AllowN(now, 1)
	a.questions++
	l.addresses[a.prefix] = a
	if a.quiet != nil {
		l.quiet.Remove(a.quiet)
		a.quiet = nil
	}
}

// uncount notes that a question of an address is over.
func (l *Limiter) uncount(a *address) {
	if a == nil {
		return
	}
	if a.questions--; a.questions == 0 {
		a.since = time.Now()
		a.quiet = l.quiet.PushBack(a)
	}
}

// forget drops the addresses that have been quiet for long enough, and those that
// are too many.
func (l *Limiter) forget(now time.Time) {
	for e := l.quiet.Front(); e != nil; e = l.quiet.Front() {
		a := e.Value.(*address) //nolint:errcheck,forcetypeassert // The list holds nothing else.
		if len(l.addresses) < maxAddresses && now.Sub(a.since) < refill {
			return
		}
		l.quiet.Remove(e)
		delete(l.addresses, a.prefix)
	}
}

// shared is the part of the address space that counts as one address: the address
// itself, or an IPv6 address's /64.
func shared(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // No address at all counts as one.
	}
	return p
}

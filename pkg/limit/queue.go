package limit

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// The Limiter's lock is held in all that is here.

func (l *Limiter) enqueue(w *waiter) {
	l.waiting++
	a := w.of
	if a == nil {
		l.own = append(l.own, w)
		return
	}
	if len(a.queue) == 0 {
		l.turns = append(l.turns, a)
	}
	a.queue = append(a.queue, w)
}

// next is the question that is to begin next. An address with more of them has its
// next turn after all others.
func (l *Limiter) next() *waiter {
	if len(l.own) > 0 {
		return l.own[0]
	}
	a := l.turns[0]
	l.turns = append(slices.Delete(l.turns, 0, 1), a)
	return a.queue[0]
}

// dequeue takes a question out of the queue, wherever it is.
func (l *Limiter) dequeue(w *waiter) {
	l.waiting--
	a := w.of
	if a == nil {
		l.own = without(l.own, w)
		return
	}
	if a.queue = without(a.queue, w); len(a.queue) == 0 {
		l.turns = without(l.turns, a)
	}
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

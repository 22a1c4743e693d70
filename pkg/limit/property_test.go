package limit

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// crowd asks at random from a few addresses, and keeps its own books.
type crowd struct {
	t      *testing.T
	l      *Limiter
	rand   *rand.Rand
	config Config

	mu      sync.Mutex
	inside  []inside
	leavers []context.CancelFunc
}

type inside struct {
	addr  netip.Addr
	own   bool
	leave func()
}

func (c *crowd) enter() {
	addr, own := home(c.rand.IntN(4)), c.rand.IntN(4) == 0
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+c.rand.IntN(3000))*time.Millisecond)
	c.leavers = append(c.leavers, cancel)
	go func() {
		leave, err := c.l.Enter(ctx, addr, own, time.Hour)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err == nil {
			c.inside = append(c.inside, inside{addr, own, leave})
		}
	}()
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inside) == 0 {
		return
	}
	i := c.rand.IntN(len(c.inside))
	c.inside[i].leave()
	c.inside = append(c.inside[:i], c.inside[i+1:]...)
}

// step does one thing, or a few at the same moment.
func (c *crowd) step() {
	for range 1 + c.rand.IntN(3) {
		switch c.rand.IntN(10) {
		case 0:
			pass(time.Duration(c.rand.IntN(2000)) * time.Millisecond)
		case 1:
			if len(c.leavers) > 0 {
				c.leavers[c.rand.IntN(len(c.leavers))]()
			}
		case 2, 3, 4:
			c.leave()
		default:
			c.enter()
		}
	}
	synctest.Wait()
}

// holds looks whether every bound is kept, by the crowd's books and the Limiter's.
func (c *crowd) holds() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	l := c.l
	if l.under != len(c.inside) || l.under > c.config.Questions {
		c.t.Fatalf("%d under way, the Limiter says %d, and %d is the most", len(c.inside), l.under, c.config.Questions)
	}
	if l.waiting() > c.config.Queue || l.waiting() > 0 && l.under < c.config.Questions {
		c.t.Fatalf("%d wait (at most %d) while %d of %d are under way", l.waiting(), c.config.Queue, l.under, c.config.Questions)
	}
	queued := map[netip.Prefix]int{}
	for _, of := range []*line{&l.own, &l.newcomers} {
		waiting := 0
		for _, t := range of.turns {
			if len(t.queue) == 0 {
				c.t.Fatal("an address without a question has a turn")
			}
			waiting += len(t.queue)
			if of == &l.newcomers {
				queued[t.of] = len(t.queue)
			}
		}
		if waiting != of.waiting {
			c.t.Fatalf("%d wait, and %d are counted", waiting, of.waiting)
		}
	}
	under := map[netip.Prefix]int{}
	for _, i := range c.inside {
		if !i.own {
			under[shared(i.addr)]++
		}
	}
	for p, a := range l.addresses {
		if n := under[p] + queued[p]; n != a.questions || n > c.config.PerAddress {
			c.t.Fatalf("%s has %d questions, is counted with %d, and %d is the most", p, n, a.questions, c.config.PerAddress)
		}
		if (a.questions == 0) != (a.quiet != nil) {
			c.t.Fatalf("%s has %d questions, and is it quiet: %v", p, a.questions, a.quiet != nil)
		}
		if n := a.begins.Tokens(); n < -1e-6 || n > float64(burst(c.config.Rate)) {
			c.t.Fatalf("%s may begin %v questions", p, n)
		}
	}
}

func TestNoOrderOfEventsBreaksABound(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			config := Config{Questions: 1 + r.IntN(5), Queue: r.IntN(6), PerAddress: 1 + r.IntN(5), Rate: 1 + r.IntN(3)}
			c := &crowd{t: t, l: New(config), rand: r, config: config}
			for range 300 {
				c.step()
				c.holds()
			}
			for _, cancel := range c.leavers {
				cancel()
			}
			synctest.Wait()
			for len(c.inside) > 0 {
				c.leave()
				synctest.Wait()
			}
			c.holds()
			if c.l.under != 0 || c.l.waiting() != 0 {
				t.Errorf("seed %d: %d under way and %d waiting when all have left", seed, c.l.under, c.l.waiting())
			}
		})
	}
}

func TestManyAskAtTheSameTime(t *testing.T) {
	l := New(Config{Questions: 4, Queue: 8, PerAddress: 6, Rate: 1_000_000})
	var all sync.WaitGroup
	var mu sync.Mutex
	under, most := 0, 0
	for worker := range 16 {
		all.Go(func() {
			for i := range 500 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*100*time.Microsecond)
				leave, err := l.Enter(ctx, home(worker%5), i%3 == 0, time.Hour)
				cancel()
				if err != nil {
					continue
				}
				mu.Lock()
				under++
				most = max(most, under)
				mu.Unlock()
				mu.Lock()
				under--
				mu.Unlock()
				leave()
			}
		})
	}
	all.Wait()
	if most > 4 || most == 0 || l.under != 0 || l.waiting() != 0 {
		t.Errorf("at most %d at once, %d under way and %d waiting in the end", most, l.under, l.waiting())
	}
}

func BenchmarkEnterAndLeave(b *testing.B) {
	l := New(Config{Questions: 256, Queue: 256, PerAddress: 256, Rate: 1_000_000_000})
	b.ReportAllocs()
	for b.Loop() {
		leave, err := l.Enter(b.Context(), home(1), false, time.Second)
		if err != nil {
			b.Fatal(err)
		}
		leave()
	}
}

// BenchmarkTurnAway is what a flood costs that finds the queue full.
func BenchmarkTurnAway(b *testing.B) {
	l := New(Config{Questions: 1, Queue: 256, PerAddress: 300, Rate: 1_000_000_000})
	ctx, cancel := context.WithCancel(b.Context())
	var waiters sync.WaitGroup
	for i := range 257 {
		waiters.Go(func() {
			if leave, err := l.Enter(ctx, home(i), false, time.Hour); err == nil {
				<-ctx.Done()
				leave()
			}
		})
	}
	for {
		l.mu.Lock()
		full := l.waiting() == 256
		l.mu.Unlock()
		if full {
			break
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Enter(ctx, home(1000), false, time.Hour); err == nil {
			b.Fatal("let in")
		}
	}
	cancel()
	waiters.Wait()
}

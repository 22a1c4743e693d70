package limit

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// home is the address of the n-th household.
func home(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}) }

// wide are bounds that nothing in a test meets but what it sets itself.
func wide() Config { return Config{Questions: 1000, Queue: 1000, PerAddress: 1000, Rate: 1000} }

// asker puts questions from goroutines of their own, in a bubble, and writes down
// what came of them in order.
type asker struct {
	t       *testing.T
	l       *Limiter
	leaves  map[string]func()
	begun   []string
	refused map[string]error
}

func newAsker(t *testing.T, c Config) *asker {
	return &asker{t: t, l: New(c), leaves: map[string]func(){}, refused: map[string]error{}}
}

// ask puts a question, and returns when it is let in, refused, or waits.
func (a *asker) ask(name string, addr netip.Addr, own bool) {
	a.t.Helper()
	a.askUntil(context.Background(), time.Hour, name, addr, own)
}

func (a *asker) askUntil(ctx context.Context, within time.Duration, name string, addr netip.Addr, own bool) {
	a.t.Helper()
	go func() {
		leave, err := a.l.Enter(ctx, addr, own, within)
		a.l.mu.Lock() // The bubble lets one of them write at a time, and the race detector sees it too.
		defer a.l.mu.Unlock()
		if err != nil {
			a.refused[name] = err
			return
		}
		a.begun, a.leaves[name] = append(a.begun, name), leave
	}()
	synctest.Wait()
}

func (a *asker) leave(name string) {
	a.t.Helper()
	leave := a.leaves[name]
	if leave == nil {
		a.t.Fatalf("%s is not under way", name)
	}
	delete(a.leaves, name)
	leave()
	synctest.Wait()
}

func (a *asker) wantBegun(names ...string) {
	a.t.Helper()
	if diff := cmp.Diff(names, a.begun); diff != "" {
		a.t.Errorf("begun, in order (-want +got)\n%s", diff)
	}
}

func (a *asker) wantRefused(name string, want error) {
	a.t.Helper()
	if got := a.refused[name]; !errors.Is(got, want) {
		a.t.Errorf("%s: got %v, want %v", name, got, want)
	}
}

// end ends all that is under way, and sees that nothing is left.
func (a *asker) end() {
	a.t.Helper()
	for len(a.leaves) > 0 {
		for name := range a.leaves {
			a.leave(name)
		}
	}
	if l := a.l; l.under != 0 || l.waiting() != 0 || len(l.own.turns) != 0 || len(l.newcomers.turns) != 0 || l.quiet.Len() != len(l.addresses) {
		a.t.Errorf("when all have left: %d under way, %d waiting", l.under, l.waiting())
	}
}

func inBubble(t *testing.T, c Config, test func(a *asker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := newAsker(t, c)
		test(a)
		a.end()
	})
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }

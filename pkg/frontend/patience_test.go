package frontend

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestACheckHasTheDeadlineOfItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct{ stated, said, want time.Duration }{
			{0, 0, 5 * time.Second},
			{0, time.Second, time.Second},
			{0, time.Minute, 10 * time.Second},
			{200 * time.Millisecond, 0, 200 * time.Millisecond},
			{time.Minute, 0, 10 * time.Second},
			{time.Second, 2 * time.Second, time.Second},
			{2 * time.Second, time.Second, time.Second},
		} {
			ctx, cancel := context.Background(), func() {}
			if test.stated > 0 {
				ctx, cancel = context.WithTimeout(ctx, test.stated)
			}
			p := newPatience(ctx, test.said, time.Now())
			start := time.Now()
			if at, ok := p.Deadline(); !ok || at.Sub(start) != test.want {
				t.Errorf("%+v: the deadline comes in %v", test, at.Sub(start))
			}
			if err := p.Err(); err != nil {
				t.Errorf("%+v: it begins with %v", test, err)
			}
			if <-p.Done(); time.Since(start) != test.want || !errors.Is(p.Err(), context.DeadlineExceeded) {
				t.Errorf("%+v: it ended in %v with %v", test, time.Since(start), p.Err())
			}
			p.end()
			cancel()
		}
	})
}

func TestACheckEndsWithItsCallerAndByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(context.Background())
		left := newPatience(ctx, 0, time.Now())
		done := left.Done()
		leave()
		if <-done; !errors.Is(left.Err(), context.Canceled) {
			t.Errorf("its caller has left, and it says %v", left.Err())
		}
		left.end()
		for _, looked := range []bool{false, true} {
			p := newPatience(context.Background(), 0, time.Now())
			if looked {
				p.Done()
			}
			p.end()
			if <-p.Done(); !errors.Is(p.Err(), context.Canceled) {
				t.Errorf("it has ended, and says %v", p.Err())
			}
		}
	})
}

// TestAContextMadeOfACheckEndsWithIt is about what the standard library makes of a
// context that is not its own.
func TestAContextMadeOfACheckEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(context.Background(), time.Second, time.Now())
		child, cancel := context.WithCancel(p)
		defer cancel()
		start := time.Now()
		if <-child.Done(); time.Since(start) != time.Second {
			t.Errorf("it ended after %v", time.Since(start))
		}
		p.end()
	})
}

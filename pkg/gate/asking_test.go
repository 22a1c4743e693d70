package gate

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

func begun() *asking { return newAsking(10*time.Second, new(line)) }

// do joins the call and waits for it.
func (a *asking) do(ctx context.Context, q question, ask func(context.Context) check.Decision) (check.Decision, bool) {
	c, ok := a.join(q, ask)
	if !ok {
		return check.Decision{}, false
	}
	return c.wait(ctx)
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// slowly is a backend that allows after d and counts its questions.
func slowly(d time.Duration, asked *atomic.Int32) func(context.Context) check.Decision {
	return func(context.Context) check.Decision {
		asked.Add(1)
		<-time.After(d)
		return check.Decision{Allow: true, Reason: check.Backend}
	}
}

func TestTheSameQuestionAtTheSameMomentIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, asked := begun(), new(atomic.Int32)
		results := make(chan bool)
		for range 50 {
			go func() {
				d, answered := a.do(within(t, 5*time.Second), question{path: "/ch1"}, slowly(time.Second, asked))
				results <- answered && d.Allow
			}()
		}
		for range 50 {
			if !<-results {
				t.Error("a check that shared the call was not allowed")
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("the backend was asked %d times, want 1", n)
		}
	})
}

func TestADifferentQuestionNeverSharesACall(t *testing.T) {
	base := question{origin: "http://a", path: "/ch1", query: "token=1", userAgent: "VLC"}
	others := map[string]question{
		"origin":                        {origin: "http://b", path: "/ch1", query: "token=1", userAgent: "VLC"},
		"path":                          {origin: "http://a", path: "/ch2", query: "token=1", userAgent: "VLC"},
		"query":                         {origin: "http://a", path: "/ch1", query: "token=2", userAgent: "VLC"},
		"user agent":                    {origin: "http://a", path: "/ch1", query: "token=1", userAgent: "mpv"},
		"a border between fields moved": {origin: "http://a", path: "/ch1token", query: "=1", userAgent: "VLC"},
	}
	for name, other := range others {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, asked := begun(), new(atomic.Int32)
				done := make(chan struct{})
				go func() {
					defer close(done)
					a.do(within(t, 5*time.Second), base, slowly(time.Second, asked))
				}()
				synctest.Wait()
				a.do(within(t, 5*time.Second), other, slowly(time.Second, asked))
				<-done
				if n := asked.Load(); n != 2 {
					t.Errorf("asked %d times, want 2", n)
				}
			})
		})
	}
}

func TestAQuestionIsAskedAgainOnceItsCallHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, asked := begun(), new(atomic.Int32)
		for range 3 {
			a.do(within(t, 5*time.Second), question{}, slowly(time.Second, asked))
		}
		if n := asked.Load(); n != 3 {
			t.Errorf("asked %d times, want 3", n)
		}
	})
}

func TestTheAnswerComesBeforeTheCallersDeadline(t *testing.T) {
	for _, deadline := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, 5 * time.Second} {
		t.Run(deadline.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, asked, start := begun(), new(atomic.Int32), time.Now()
				if _, answered := a.do(within(t, deadline), question{}, slowly(8*time.Second, asked)); answered {
					t.Fatal("answered, though the backend takes longer than the caller waits")
				}
				left := deadline - time.Since(start)
				if left < max(minMargin, deadline/10) || left > deadline/2 {
					t.Errorf("answered with %v left, want some of %v, but not most", left, deadline)
				}
				<-time.After(8 * time.Second) // the call ends by itself
			})
		})
	}
}

func TestACallOutlivesTheViewerWhoCausedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, asked := begun(), new(atomic.Int32)
		leaving, leave := context.WithCancel(t.Context())
		gone := make(chan bool)
		go func() {
			_, answered := a.do(leaving, question{}, slowly(time.Second, asked))
			gone <- answered
		}()
		synctest.Wait()
		leave()
		if <-gone {
			t.Error("a viewer who left was answered")
		}
		d, answered := a.do(within(t, 5*time.Second), question{}, slowly(time.Second, asked))
		if !answered || !d.Allow || asked.Load() != 1 {
			t.Errorf("next try: answered %v, allowed %v, asked %d times; want the outcome of the first call", answered, d.Allow, asked.Load())
		}
	})
}

func TestACallEndsAtItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, start := begun(), time.Now()
		_, answered := a.do(within(t, time.Minute), question{}, func(ctx context.Context) check.Decision {
			<-ctx.Done()
			return check.Decision{}
		})
		if took := time.Since(start); !answered || took != a.limit {
			t.Errorf("answered %v after %v, want the limit of %v", answered, took, a.limit)
		}
	})
}

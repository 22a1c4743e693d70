// Command paced asks a server at a fixed rate, whether it answers in time or not, and
// tells how long its answers took. Each asker has its own times at which it asks, and an
// answer's time counts from there, also where the asker still waited for the answer
// before: a server that stops for a moment has everybody wait who would have asked
// meanwhile. With no rate each asks again as soon as it was answered, and an answer's
// time counts from the question.
//
// It prints one line:
//
//	result: requests, microseconds in all, p50, p90 and p99 in microseconds, denials
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	var p pace
	address := flag.String("address", "", "ask at this `address`, host:port or unix:/path")
	overGRPC := flag.Bool("grpc", false, "ask over gRPC")
	file := flag.String("request", "", "a `file` with what is asked: a request's head, or a CheckRequest; VIEWER in it stands for a viewer's name")
	flag.StringVar(&p.name, "name", "viewer", "what the names of this run's viewers begin with")
	flag.IntVar(&p.viewers, "viewers", 0, "how many viewers there are, in turn; 0: one for each request")
	flag.IntVar(&p.askers, "askers", 16, "how many ask at once")
	flag.Float64Var(&p.rate, "rate", 0, "ask this many times a second, all askers together; 0: as fast as it goes")
	flag.DurationVar(&p.lasts, "for", time.Second, "ask for this `time`")
	flag.Parse()
	if err := p.run(*address, *file, *overGRPC); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// asker asks one question at a time, and says whether it was allowed.
type asker interface {
	ask(viewer string) (allowed bool, err error)
}

// pace is how a server is asked.
type pace struct {
	name            string
	viewers, askers int
	rate            float64
	lasts           time.Duration
}

// asked is what one asker saw.
type asked struct {
	took    []time.Duration
	denials int
	err     error
}

func (p pace) run(address, file string, overGRPC bool) error {
	question, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading what to ask: %w", err)
	}
	all, err := askers(p.askers, address, question, overGRPC)
	if err != nil {
		return err
	}
	results := make([]asked, len(all))
	start := time.Now().Add(10 * time.Millisecond)
	var running sync.WaitGroup
	for i, a := range all {
		running.Go(func() { results[i] = p.pace(a, i, start) })
	}
	running.Wait()
	took, denials := []time.Duration(nil), 0
	for _, r := range results {
		if r.err != nil {
			return r.err
		}
		took, denials = append(took, r.took...), denials+r.denials
	}
	if len(took) == 0 {
		return errors.New("nothing was asked: give more time, or a higher rate")
	}
	slices.Sort(took)
	at := func(percent int) int64 { return took[(len(took)-1)*percent/100].Microseconds() }
	fmt.Println("result", len(took), time.Since(start).Microseconds(), at(50), at(90), at(99), denials)
	return nil
}

func askers(n int, address string, question []byte, overGRPC bool) ([]asker, error) {
	if overGRPC {
		return checkers(n, address, question)
	}
	return viewers(n, address, question)
}

// pace asks at the asker's own times, which are spread evenly between those of the
// others.
func (p pace) pace(a asker, i int, start time.Time) (r asked) {
	// Go's own timers are a millisecond late where nothing else happens.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if r.err = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); r.err != nil {
		return r
	}
	var every time.Duration
	if p.rate > 0 {
		every = time.Duration(float64(p.askers) / p.rate * float64(time.Second))
	}
	due := start.Add(every * time.Duration(i) / time.Duration(p.askers))
	for n := i; due.Before(start.Add(p.lasts)); n += p.askers {
		if r.err = sleepUntil(due); r.err != nil {
			return r
		}
		viewer := n
		if p.viewers > 0 {
			viewer %= p.viewers
		}
		allowed, err := a.ask(fmt.Sprintf("%s-%08d", p.name, viewer))
		if err != nil {
			r.err = err
			return r
		}
		if !allowed {
			r.denials++
		}
		r.took = append(r.took, time.Since(due))
		due = due.Add(every)
		if p.rate == 0 {
			due = time.Now()
		}
	}
	return r
}

func sleepUntil(due time.Time) error {
	for {
		wait := time.Until(due)
		if wait <= 0 {
			return nil
		}
		left := unix.NsecToTimespec(wait.Nanoseconds())
		if err := unix.Nanosleep(&left, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for the next question: %w", err)
		}
	}
}

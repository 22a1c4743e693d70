package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// drainTime is how long checks that were begun may take to end when altagate
// stops. It is twice the longest that a check takes.
const drainTime = 10 * time.Second

// Server answers on a listener. *http.Server is one.
type Server interface {
	// Serve answers until Shutdown, or until the listener fails.
	Serve(l net.Listener) error
	// Shutdown closes the listener, lets what was begun end, and returns when
	// it did or ctx ended.
	Shutdown(ctx context.Context) error
}

// Service is a server and where it listens.
type Service struct {
	Listener net.Listener
	Server   Server
	// Last services stop when the others have: health and metrics, so that it
	// can be seen that the others are draining.
	Last bool
}

// Run serves until ctx ends or a service fails, and then stops all of them. It
// returns the first failure; nil if there was none and everything that was
// begun has ended.
//
// It stops in this order:
//
//  1. ready goes off, so that whoever looks sends no new proxies here.
//  2. The services, at once: each stops accepting, so that a new connection is
//     refused and the proxy goes elsewhere, or, where the socket outlives the
//     process, waits for the next one; takes what the connections that it accepted
//     just before bring; closes those that are idle (over gRPC after a GOAWAY); and
//     waits for the checks that were begun, whose answers say "Connection: close".
//     A check that the proxy sends on an idle connection in the very moment of its
//     closing gets no answer, and the shipped configs let the proxy ask once more
//     (nginx: proxy_next_upstream).
//  3. The Last services in the same way: until here /readyz told what is going on.
//
// The steps together take 10 seconds at most; what has not ended by then is cut.
func Run(ctx context.Context, ready *Ready, services ...Service) error {
	ended := make(chan error, len(services))
	services = behindDoorways(services)
	for _, s := range services {
		go func() { ended <- stopped(s.Listener, s.Server.Serve(s.Listener)) }()
	}
	// The listeners were open before: what came since waits in their queues.
	ready.Set(true)
	running := len(services)
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-ended:
		running--
	}

	ready.Set(false)
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := drain(limit, services, false)
	errLast := drain(limit, services, true)
	for range running {
		select {
		case <-ended: //nolint:errcheck // its listener was closed on purpose
		case <-limit.Done():
		}
	}
	return first(failure, err, errLast)
}

// behindDoorways gives the services with a doorway each for a listener.
func behindDoorways(services []Service) []Service {
	all := make([]Service, 0, len(services))
	for _, s := range services {
		s.Listener = newDoorway(s.Listener)
		all = append(all, s)
	}
	return all
}

// stopped is the failure of a service that ends by itself. That is never
// right, with an error or without.
func stopped(l net.Listener, err error) error {
	if err == nil {
		err = errors.New("it stopped by itself")
	}
	return fmt.Errorf("serving on %s: %w", l.Addr(), err)
}

// drain shuts down the services that are Last, or those that are not.
func drain(ctx context.Context, services []Service, last bool) error {
	errs := make([]error, len(services))
	var all sync.WaitGroup
	for i, s := range services {
		if s.Last == last {
			all.Go(func() { errs[i] = shutdown(ctx, s) })
		}
	}
	all.Wait()
	return first(errs...)
}

func shutdown(ctx context.Context, s Service) error {
	if d, ok := s.Listener.(*doorway); ok {
		d.finish(ctx)
	}
	err := s.Server.Shutdown(ctx)
	// If Serve never began, nobody else closes the listener.
	s.Listener.Close() //nolint:errcheck // it is closed already as a rule
	if err == nil {
		return nil
	}
	if c, ok := s.Server.(io.Closer); ok {
		c.Close() //nolint:errcheck // what is left is cut, and that is told
	}
	return fmt.Errorf("stopping %s: not all that was begun ended in time: %w", s.Listener.Addr(), err)
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

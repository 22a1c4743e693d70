package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// closed is a listener with nobody behind it.
type closed string

func (closed) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (closed) Close() error              { return nil }
func (c closed) Addr() net.Addr          { return &net.UnixAddr{Name: string(c), Net: "unix"} }

// scripted is a service that notes what is done to it.
type scripted struct {
	name  string
	note  func(string)
	fails chan error
	// drains is how long Shutdown takes.
	drains time.Duration
	done   chan struct{}
}

func (s *scripted) Serve(net.Listener) error {
	select {
	case err := <-s.fails:
		return err
	case <-s.done:
		return errors.New("closed")
	}
}

func (s *scripted) Shutdown(ctx context.Context) error {
	s.note(s.name + " begins")
	defer close(s.done)
	select {
	case <-time.After(s.drains):
		s.note(s.name + " ends")
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// notes is what happened, in order.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) add(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, s)
}

func (n *notes) service(name string, drains time.Duration, last bool) (Service, *scripted) {
	s := &scripted{name: name, note: n.add, drains: drains, fails: make(chan error, 1), done: make(chan struct{})}
	return Service{Listener: closed(name), Server: s, Last: last}, s
}

func TestStoppingTurnsReadinessOffThenDrainsAndHealthLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		var ready Ready
		ready.Watch(func(is bool) { n.add(fmt.Sprint("ready ", is)) })
		admin, _ := n.service("admin", 0, true)
		checks, _ := n.service("http", 3*time.Second, false)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- Run(ctx, &ready, admin, checks) }()
		synctest.Wait()
		if !ready.Is() {
			t.Error("not ready while serving")
		}
		cancel()
		if err := <-result; err != nil {
			t.Error(err)
		}
		want := []string{"ready true", "ready false", "http begins", "http ends", "admin begins", "admin ends"}
		if !slices.Equal(n.all, want) || ready.Is() {
			t.Errorf("got %q, want %q", n.all, want)
		}
	})
}

func TestAServiceThatFailsStopsTheOthersAndIsNamed(t *testing.T) {
	for _, failure := range []error{errors.New("accept: no descriptors"), nil} {
		synctest.Test(t, func(t *testing.T) {
			var n notes
			one, failing := n.service("grpc", 0, false)
			other, _ := n.service("http", time.Second, false)
			failing.fails <- failure
			err := Run(t.Context(), new(Ready), one, other)
			if err == nil || !strings.HasPrefix(err.Error(), "serving on grpc: ") || failure != nil && !errors.Is(err, failure) {
				t.Errorf("got %v", err)
			}
			if !slices.Contains(n.all, "http ends") {
				t.Errorf("the other was not drained: %q", n.all)
			}
		})
	}
}

func TestDrainingEndsWithinItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notes
		stuck, _ := n.service("http", time.Hour, false)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		err := Run(ctx, new(Ready), stuck)
		if took := time.Since(began); took != drainTime {
			t.Errorf("it took %v", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stopping http") {
			t.Errorf("got %v", err)
		}
	})
}

func TestACheckThatWasBegunIsAnsweredWhileStopping(t *testing.T) {
	begun, answer := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-answer
		w.WriteHeader(http.StatusForbidden)
	})
	l := open(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	var ready Ready
	off := make(chan struct{})
	ready.Watch(func(is bool) {
		if !is {
			close(off)
		}
	})
	server, down := HTTP(handler, func(line string) { t.Error(line) }), make(chan struct{})
	server.RegisterOnShutdown(func() { close(down) })
	go func() { result <- Run(ctx, &ready, Service{Listener: l, Server: server}) }()

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-begun
	cancel()
	<-off
	for refusedYet := false; !refusedYet; {
		late, err := net.Dial("tcp", l.Addr().String())
		if refusedYet = err != nil; !refusedYet {
			late.Close()
		}
	}
	<-down
	close(answer)
	reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusForbidden || !reply.Close {
		t.Errorf("status %d, Connection: close %v", reply.StatusCode, reply.Close)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// stopping is a server that can be told to stop while it serves.
type stopping struct {
	address string
	stop    context.CancelFunc
	off     chan struct{}
	ended   chan error
}

// serveHere runs an HTTP server on l until stop.
func serveHere(t *testing.T, l net.Listener, does http.HandlerFunc) *stopping {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &stopping{l.Addr().String(), stop, make(chan struct{}), make(chan error, 1)}
	var ready Ready
	ready.Watch(func(is bool) {
		if !is {
			close(s.off)
		}
	})
	go func() {
		s.ended <- Run(ctx, &ready, Service{Listener: l, Server: HTTP(does, func(line string) { t.Error(line) })})
	}()
	t.Cleanup(stop)
	return s
}

func (s *stopping) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// refuse waits until nothing more is accepted.
func (s *stopping) refuse(t *testing.T) {
	t.Helper()
	<-s.off
	for {
		late, err := net.Dial("tcp", s.address)
		if err != nil {
			return
		}
		late.Close()
	}
}

func allowing(http.ResponseWriter, *http.Request) {}

// TestACheckOnAConnectionThatWasJustAcceptedIsAnswered sends it after the stop has
// begun: net/http by itself would drop it.
func TestACheckOnAConnectionThatWasJustAcceptedIsAnswered(t *testing.T) {
	for name, first := range map[string]string{"with nothing said yet": "", "with half of it said": "GET / HT"} {
		t.Run(name, func(t *testing.T) {
			s := serveHere(t, open(t, "127.0.0.1:0"), allowing)
			conn := s.dial(t)
			if _, err := io.WriteString(conn, first); err != nil {
				t.Fatal(err)
			}
			// One that came later was answered, so the first was accepted.
			other := s.dial(t)
			if _, err := io.WriteString(other, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(other); err != nil {
				t.Fatal(err)
			}
			s.stop()
			s.refuse(t)
			if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"[len(first):]); err != nil {
				t.Fatal(err)
			}
			reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("the check is lost: %v", err)
			}
			reply.Body.Close()
			if reply.StatusCode != http.StatusOK || !reply.Close {
				t.Errorf("status %d, Connection: close %v", reply.StatusCode, reply.Close)
			}
			if err := <-s.ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASilentConnectionDoesNotHoldUpAStop(t *testing.T) {
	d := newDoorway(open(t, "127.0.0.1:0"))
	silent, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if _, err := d.Accept(); err != nil {
		t.Fatal(err)
	}
	d.finish(t.Context()) // would last
	if n, err := silent.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

// TestTheNextProcessGetsWhatComesBetween has two servers one after the other on
// one socket, as under systemd.
func TestTheNextProcessGetsWhatComesBetween(t *testing.T) {
	socket := fileOf(t, open(t, "127.0.0.1:0"))
	inherited := func() net.Listener {
		all, err := inherit(handOver(t, socket), 1, []string{"http"}, []string{"http"})
		if err != nil {
			t.Fatal(err)
		}
		return all["http"]
	}
	old := serveHere(t, inherited(), allowing)
	<-asking(old.dial(t))
	old.stop()
	if err := <-old.ended; err != nil {
		t.Fatal(err)
	}
	between := asking(old.dial(t))
	serveHere(t, inherited(), allowing)
	if err := <-between; err != nil {
		t.Errorf("a check between the two: %v", err)
	}
}

// asking sends a request, and gives what is wrong with the answer.
func asking(conn net.Conn) <-chan error {
	result := make(chan error, 1)
	go func() {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			result <- err
			return
		}
		reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && reply.StatusCode != http.StatusOK {
			err = errors.New(reply.Status)
		}
		result <- err
	}()
	return result
}

func TestAListenerThatFailsIsStillAFailure(t *testing.T) {
	l := open(t, "127.0.0.1:0")
	s := serveHere(t, l, allowing)
	<-asking(s.dial(t))
	l.Close()
	if err := <-s.ended; err == nil {
		t.Error("it ended without an error")
	}
}

func TestAConnectionIsFreshUntilSomethingIsWritten(t *testing.T) {
	d := newDoorway(open(t, "127.0.0.1:0"))
	client, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := d.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, left := d.left(); !left {
		t.Error("nothing is left after the accept")
	}
	if _, err := conn.Write([]byte("settings")); err != nil {
		t.Fatal(err)
	}
	if _, left := d.left(); left {
		t.Error("it is left after the write")
	}
	d.finish(t.Context())
	ended := make(chan error)
	go func() {
		_, err := d.Accept()
		ended <- err
	}()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
}

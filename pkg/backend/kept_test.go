package backend

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"testing"

	"github.com/altagate/altagate/pkg/check"
)

// leftovers listens for connections, allows the questions on each, and answers a
// probe with garbage where a question came before it: it is what an earlier reply
// left on the connection, where a portal counts its Content-Length wrong. A probe on
// a connection of its own gets a 404.
func leftovers(t *testing.T, garbage string, seen *counter) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	serve := func(c net.Conn) {
		defer c.Close()
		in, asked := bufio.NewReader(c), false
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			switch probe := r.Header.Get("X-Session-Id") == ""; {
			case !probe:
				asked = true
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			case asked:
				seen.add(1)
				io.WriteString(c, garbage)
				return
			default:
				io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
		}
	}
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); done.Wait() })
	return "http://" + l.Addr().String()
}

// TestWhatAViewersQuestionLeftOnAConnectionMakesNoBackendAway has a question leave
// something on a connection that is kept, and altagate probe on it.
func TestWhatAViewersQuestionLeftOnAConnectionMakesNoBackendAway(t *testing.T) {
	for name, garbage := range map[string]string{
		"garbage":         "ted\"}\r\n\r\n",
		"a reply":         "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
		"the head of one": "HTTP/1.1 404 Not F",
	} {
		t.Run(name, func(t *testing.T) {
			var e events
			var seen counter
			address := leftovers(t, garbage, &seen)
			b := start(t, Config{Notify: e.notify, UnavailableStatuses: []int{502}}, address)
			b.pool.verdict(t.Context())
			if o := b.Ask(t.Context(), viewer(), s1()); o.Verdict != check.Allowed {
				t.Fatalf("outcome is %+v", o)
			}
			// The probe that a question which fails would cause.
			b.pool.look(b.pool.all[0])
			b.pool.verdict(t.Context())
			if seen.get() != 1 {
				t.Fatalf("the kept connection was probed on %d times, want once", seen.get())
			}
			if b.Away() {
				t.Errorf("the backend is away by what was left on a connection: %v", e.turns())
			}
		})
	}
}

// TestAQuestionThatIsCalledOffMakesNoBackendAway has the probe be on a connection that
// a question's cancellation closes: net/http gives the probe that question's error.
func TestAQuestionThatIsCalledOffMakesNoBackendAway(t *testing.T) {
	var e events
	address, _ := serve(t, status(http.StatusOK))
	c := Config{Notify: e.notify}
	c.URLs = append(c.URLs, mustURL(t, address))
	b, err := assemble(c, func(r *http.Request) (*http.Response, error) {
		if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
			trace.GotConn(httptrace.GotConnInfo{Reused: true})
		}
		return nil, context.Canceled
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	b.Watch()
	b.pool.verdict(t.Context())
	if b.Away() {
		t.Errorf("the backend is away by a question that was called off: %v", e.turns())
	}
}

package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

type peer struct{}

// asked gives the reply to raw bytes from a server whose handler allows.
func asked(t *testing.T, network, raw string) *http.Response {
	t.Helper()
	spec := "127.0.0.1:0"
	if network == "unix" {
		spec = "unix:" + t.TempDir() + "/s"
	}
	l := open(t, spec)
	s := HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Peer", r.Context().Value(peer{}).(net.Addr).Network())
		w.Header().Set("X-Path", r.RequestURI)
	}), func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, peer{}, c.RemoteAddr())
	})
	ended := make(chan error)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go io.WriteString(conn, raw)
	reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reply.Body.Close() })
	return reply
}

func TestTheHandlerLearnsWhoAsks(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		reply := asked(t, network, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if got := reply.Header.Get("X-Peer"); got != network {
			t.Errorf("%s: got %q", network, got)
		}
	}
}

func TestHeadersThatAProxyMayPassOnFit(t *testing.T) {
	reply := asked(t, "tcp", "GET / HTTP/1.1\r\nHost: a\r\nCookie: "+strings.Repeat("c", 100<<10)+"\r\n\r\n")
	if reply.StatusCode != http.StatusOK {
		t.Errorf("100 KiB: %d", reply.StatusCode)
	}
	reply = asked(t, "tcp", "GET / HTTP/1.1\r\nHost: a\r\nCookie: "+strings.Repeat("c", 200<<10)+"\r\n\r\n")
	if reply.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("200 KiB: %d", reply.StatusCode)
	}
}

func TestTheLibraryAllowsNothingByItself(t *testing.T) {
	reply := asked(t, "tcp", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := reply.Header.Get("X-Path"); got != "*" {
		t.Errorf("OPTIONS * did not reach the handler: %v", reply)
	}
}

package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhatTheLibraryRefusesIsClosedAndNoAllow sends what net/http answers by itself,
// before any handler: to a proxy that is a denial, whatever its config makes of it.
func TestWhatTheLibraryRefusesIsClosedAndNoAllow(t *testing.T) {
	const line = "GET /auth/nginx HTTP/1.1\r\n"
	for name, raw := range map[string]string{
		"a control byte in a header":     line + "Host: a\r\nUser-Agent: a\x01b\r\n\r\n",
		"a DEL in a header":              line + "Host: a\r\nUser-Agent: a\x7fb\r\n\r\n",
		"a NUL in a header":              line + "Host: a\r\nUser-Agent: a\x00b\r\n\r\n",
		"no Host":                        line + "\r\n",
		"two Hosts":                      line + "Host: a\r\nHost: b\r\n\r\n",
		"a Host with user info":          line + "Host: a@b\r\n\r\n",
		"a Host with a path":             line + "Host: a?b\r\n\r\n",
		"a Host outside of ASCII":        line + "Host: \xff\r\n\r\n",
		"a header without a name":        line + "Host: a\r\n: b\r\n\r\n",
		"a header with a space":          line + "Host: a\r\nX Y: b\r\n\r\n",
		"a space before the colon":       line + "Host: a\r\nX-Real-IP : b\r\n\r\n",
		"a folded line at the start":     line + " Host: a\r\n\r\n",
		"a line that is no header":       line + "Host: a\r\nnonsense\r\n\r\n",
		"a method that is none":          "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
		"no method":                      " / HTTP/1.1\r\nHost: a\r\n\r\n",
		"no target":                      "GET  HTTP/1.1\r\nHost: a\r\n\r\n",
		"a target without a slash":       "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
		"a broken escape in the path":    "GET /auth/envoy/%zz HTTP/1.1\r\nHost: a\r\n\r\n",
		"a control byte in the target":   "GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
		"a space in the target":          "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
		"HTTP/0.9":                       "GET /auth/nginx\r\n\r\n",
		"a version that is none":         "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
		"a version of letters":           "GET / HTTP/x.y\r\nHost: a\r\n\r\n",
		"two lengths":                    line + "Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"a length that is none":          line + "Host: a\r\nContent-Length: -1\r\n\r\n",
		"an encoding that is not chunks": line + "Host: a\r\nTransfer-Encoding: gzip\r\n\r\n",
		"too many headers":               line + "Host: a\r\n" + strings.Repeat("X: 1\r\n", 40<<10) + "\r\n",
		"too long a target":              "GET /" + strings.Repeat("a", 200<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"TLS":                            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"bytes":                          "\x00\xff\x00\xff" + strings.Repeat("x", 20) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var handled atomic.Int64
			conn := dialHTTP(t, func(http.ResponseWriter, *http.Request) { handled.Add(1) })
			go io.WriteString(conn, raw)
			reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				reply.Body.Close()
				if reply.StatusCode < 400 || !reply.Close {
					t.Errorf("status %d, closed %v", reply.StatusCode, reply.Close)
				}
			}
			if handled.Load() > 0 {
				t.Error("the handler was asked")
			}
		})
	}
}

// dialHTTP gives a connection to a server with the handler.
func dialHTTP(t *testing.T, does http.HandlerFunc) net.Conn {
	t.Helper()
	l := open(t, "127.0.0.1:0")
	s := HTTP(does, func(string) {})
	ended := make(chan error)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	// It only turns a hang into a failure.
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestOldAndNewHTTPAreSpoken(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %s", r.Proto, r.Method, r.Host, r.RequestURI))
		w.Header().Set("Content-Length", "0")
	}
	for name, test := range map[string]struct {
		raw, seen string
		closed    bool
	}{
		"HTTP/1.0 without a Host":      {"GET /a//../b HTTP/1.0\r\n\r\n", "HTTP/1.0 GET  /a//../b", true},
		"HTTP/1.0 that keeps":          {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.0 GET  /", false},
		"HTTP/1.1":                     {"GET /a/./b HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 GET a /a/./b", false},
		"a method of one's own":        {"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 PROPFIND a /", false},
		"CONNECT":                      {"CONNECT c:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", "HTTP/1.1 CONNECT c:443 " + "c:443", false},
		"an offer to go on in HTTP/2":  {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", "HTTP/1.1 GET a /", false},
		"raw bytes in a header":        {"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\xfe\t\xc3\xa9\r\n\r\n", "HTTP/1.1 GET a /", false},
		"a target in absolute form":    {"GET http://b/c HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 GET b http://b/c", false},
		"a Host that is no name":       {"GET / HTTP/1.1\r\nHost: a%00b\r\n\r\n", "HTTP/1.1 GET a%00b /", false},
		"a length and no body at once": {"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 GET a /", true},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialHTTP(t, answer)
			if _, err := io.WriteString(conn, test.raw); err != nil {
				t.Fatal(err)
			}
			reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			reply.Body.Close()
			if got := reply.Header.Get("X-Seen"); reply.StatusCode != 200 || got != test.seen || reply.Close != test.closed {
				t.Errorf("status %d, the handler saw %q, closed %v; want %q, %v", reply.StatusCode, got, reply.Close, test.seen, test.closed)
			}
		})
	}
	t.Run("HTTP/2 in clear text", func(t *testing.T) {
		conn := dialHTTP(t, answer)
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		client := &http.Transport{Protocols: &protocols, DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
		defer client.CloseIdleConnections()
		for range 3 { // All on the one connection.
			req, err := http.NewRequest(http.MethodPost, "http://a/x//y", io.NopCloser(blocking{t.Context()}))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = 100 // That never comes.
			reply, err := client.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			reply.Body.Close()
			if got := reply.Header.Get("X-Seen"); reply.StatusCode != 200 || got != "HTTP/2.0 POST a /x//y" {
				t.Errorf("status %d, the handler saw %q", reply.StatusCode, got)
			}
		}
	})
}

// blocking is a body that does not come.
type blocking struct{ ctx context.Context }

func (b blocking) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, io.EOF }

// pipes is a listener whose connections need no network, for tests in which time
// passes at once.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// TestASlowCallerIsCutOff says what a caller does on its connection, and between which
// times it is closed.
func TestASlowCallerIsCutOff(t *testing.T) {
	const whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, test := range map[string]struct {
		does     func(net.Conn, <-chan struct{})
		from, to time.Duration
	}{
		"that says nothing": {func(net.Conn, <-chan struct{}) {}, headerTimeout, headerTimeout},
		"that says half":    {func(c net.Conn, _ <-chan struct{}) { io.WriteString(c, whole[:20]) }, headerTimeout, headerTimeout},
		"that says a byte at a time": {func(c net.Conn, over <-chan struct{}) {
			for i := range whole {
				io.WriteString(c, whole[i:i+1])
				select {
				case <-time.After(time.Second):
				case <-over:
					return
				}
			}
		}, headerTimeout, headerTimeout},
		"that asks once and stays": {func(c net.Conn, _ <-chan struct{}) { io.WriteString(c, whole) }, idleTimeout, idleTimeout},
		"that begins with HTTP/2":  {func(c net.Conn, _ <-chan struct{}) { io.WriteString(c, "PRI * HTTP/2.0\r\n\r\n") }, headerTimeout, 15 * time.Second},
		"that sends its body slowly": {func(c net.Conn, _ <-chan struct{}) {
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1")
		}, 0, requestTimeout + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &pipes{make(chan net.Conn), make(chan struct{})}
				s := HTTP(http.HandlerFunc(allowing), func(string) {})
				go s.Serve(l)
				defer s.Close()
				near, far := net.Pipe()
				l.accept <- far
				began := time.Now()
				over := make(chan struct{})
				go test.does(near, over)
				_, _ = io.Copy(io.Discard, near)
				if took := time.Since(began); took < test.from || took > test.to {
					t.Errorf("cut off after %s, want %s to %s", took, test.from, test.to)
				}
				close(over)
				near.Close()
			})
		})
	}
}

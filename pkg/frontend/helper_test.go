package frontend_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
)

func TestMain(m *testing.M) {
	// net/http waits half a second before it closes under a body that is still
	// coming, and no Close of the server ends that sooner.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// checker makes a function a check.Checker.
type checker func(context.Context, *check.Request) check.Decision

func (f checker) Check(ctx context.Context, r *check.Request) check.Decision { return f(ctx, r) }

// recorded is what one call of Record got.
type recorded struct {
	Request  check.Request
	Decision check.Decision
}

// desk is a frontend.Config that remembers: it gives one decision to every
// check that reaches it.
type desk struct {
	decision check.Decision
	refuse   bool

	mu       sync.Mutex
	asked    []check.Request
	recorded []recorded
}

func (d *desk) config() frontend.Config {
	return frontend.Config{
		Checker: checker(func(_ context.Context, r *check.Request) check.Decision {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.asked = append(d.asked, *r)
			return d.decision
		}),
		May: func(net.Addr) bool { return !d.refuse },
		Record: func(r *check.Request, got check.Decision, _ time.Duration) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.recorded = append(d.recorded, recorded{*r, got})
		},
	}
}

// serve serves the checks on loopback until the test ends, and gives the
// address.
func serve(t testing.TB, c frontend.Config) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, c)
}

func serveOn(t testing.TB, l net.Listener, c frontend.Config) net.Addr {
	t.Helper()
	s := &http.Server{Handler: frontend.Handler(c)}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return l.Addr()
}

// conn is one raw connection to the server.
type conn struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func dial(t testing.TB, addr net.Addr) *conn {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	// Far above what an answer takes: it only turns a hang into a failure.
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &conn{t, c, bufio.NewReader(c)}
}

// send sends lines as one head, byte for byte.
func (c *conn) send(lines ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

// head reads the bytes of one answer up to the end of its head.
func (c *conn) head() string {
	c.t.Helper()
	var head strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			c.t.Fatalf("reading the answer: %v, after %q", err, head.String())
		}
		if line == "\r\n" {
			return head.String()
		}
	}
}

// nginxHead is what the shipped nginx config sends, with the lines given after
// it. A line "-Name" takes the header of that name away, and "Name: value" of
// one that is there already takes its place.
func nginxHead(path string, lines ...string) []string {
	return edit([]string{
		"GET " + path + " HTTP/1.1",
		"Host: altagate",
		"X-Original-URI: /live/a.m3u8?token=1&token=2",
		"X-Original-Method: GET",
		"X-Forwarded-Proto: https",
		"X-Forwarded-Host: TV.example.com:443",
		"X-Real-IP: ::ffff:192.0.2.1",
		"User-Agent: player/1.0",
	}, lines)
}

// envoyHead is what Envoy sends with the shipped config.
func envoyHead(method, target string, lines ...string) []string {
	return edit([]string{
		method + " /auth/envoy" + target + " HTTP/1.1",
		"Host: TV.example.com:443",
		"X-Forwarded-Proto: https",
		"X-Real-IP: ::ffff:192.0.2.1",
		"User-Agent: player/1.0",
		"Content-Length: 0",
		"X-Envoy-Internal: true",
		"X-Envoy-Expected-Rq-Timeout-Ms: 200",
	}, lines)
}

// edit applies the lines of nginxHead and envoyHead.
func edit(head, lines []string) []string {
	for _, line := range lines {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "-"), ":")
		kept := head[:0:0]
		for _, old := range head {
			if !strings.HasPrefix(old, name+":") {
				kept = append(kept, old)
			}
		}
		head = kept
		if !strings.HasPrefix(line, "-") {
			head = append(head, line)
		}
	}
	return head
}

// want is the check that nginxHead and envoyHead are about.
func want(proxy string) check.Request {
	return check.Request{
		Proxy: proxy, Method: "GET", Scheme: "https", Host: "tv.example.com",
		Path: "/live/a.m3u8", Query: "token=1&token=2",
		Addr: addr("192.0.2.1"), UserAgent: "player/1.0",
	}
}

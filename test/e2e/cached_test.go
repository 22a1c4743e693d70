package e2e

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
	"github.com/altagate/altagate/test/pki"
	"github.com/altagate/altagate/test/rig"
)

// namer allows everybody as a session does, so that nginx may repeat it, and names the
// session after all that the check is about: a viewer who is given another's answer
// has another's name.
type namer struct{ asked atomic.Int64 }

func (n *namer) Check(_ context.Context, r *check.Request) check.Decision {
	n.asked.Add(1)
	return check.Decision{Allow: true, Reason: check.Session, Session: named(r), Cache: 10 * time.Second}
}

func named(r *check.Request) string {
	about := fmt.Sprintf("%q", []string{r.Method, r.Scheme, r.Host, r.Path, r.Query, r.Addr.String(), r.UserAgent, strings.Join(r.IDs[:], " ")})
	return fmt.Sprintf("%x", sha256.Sum256([]byte(about)))[:32]
}

// viewersPort has nginx tell the viewers' port, as behind a port mapping, and show which
// session let a viewer in.
func viewersPort() []rig.Swap {
	const server = "    server_name tv.example.com localhost;\n"
	return []rig.Swap{{"$host:$server_port", "$host:443"}, {server, server + "    add_header X-Seen $altagate_session always;\n"}}
}

// edge runs a file of nginx/ with the namer in altagate's place.
func (n *namer) edge(t *testing.T, file string, swaps ...rig.Swap) viewer {
	t.Helper()
	address := listenHTTP(t, frontend.Config{Checker: n, May: func(net.Addr) bool { return true }})
	e := edgeOf(t, file)
	return viewer{edge: e.start(t, e, &altagate{http: address}, startOrigin(t).address, swaps...)}
}

// bytesOf is a request of a viewer: raw lines, from an address.
type bytesOf struct {
	name, from, to string
	method, target string
	lines          []string
	tls            bool
}

func (b bytesOf) String() string {
	return fmt.Sprintf("%s %q %q from %s", b.method, b.target, b.lines, b.from)
}

// sent gives the status of the answer, and the session that it is owed to.
func (b bytesOf) sent(t *testing.T, address string) (status int, session string) {
	t.Helper()
	if b.to != "" {
		address = b.to
	}
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(b.from)}}).Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b.tls {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // Whose certificate it is does not matter here.
	}
	if err := c.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	text := b.method + " " + b.target + " HTTP/1.1\r\n" + strings.Join(append(b.lines, "Connection: close"), "\r\n") + "\r\n\r\n"
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: b.method})
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("X-Seen")
}

// TestTwoViewersNeverShareACachedCheck varies each thing that altagate is told, alone,
// while the answer to the request without the change is in nginx's cache.
func TestTwoViewersNeverShareACachedCheck(t *testing.T) {
	t.Parallel()
	n := &namer{}
	dir, other, secure := rig.TempDir(t), rig.FreeAddress(t), rig.FreeAddress(t)
	pair := pki.New(t, "ca").Issue(t, pki.Leaf{Names: []string{"tv.example.com"}})
	const server = "    server_name tv.example.com localhost;\n"
	swaps := append(viewersPort(), rig.Swap{server, server + "    listen " + secure + " ssl; ssl_certificate " + pki.Put(t, dir, "c.pem", pair.Cert) +
		"; ssl_certificate_key " + pki.Put(t, dir, "k.pem", pair.Key) + "; set_real_ip_from 127.0.0.9; real_ip_header X-Forwarded-For;\n"})
	ports := append(swaps[1:len(swaps):len(swaps)], rig.Swap{server, server + "    listen " + other + ";\n"}, rig.Swap{secure, rig.FreeAddress(t)})

	base := bytesOf{from: "127.0.0.1", method: "GET", target: "/live/a.ts?token=1", lines: []string{
		"Host: tv.example.com", "User-Agent: VLC", "Cookie: altagate_id=v1.a", "X-Forwarded-For: 192.0.2.1"}}
	line := func(i int, with ...string) bytesOf {
		b := base
		b.lines = append(append(append([]string{}, base.lines[:i]...), with...), base.lines[i+1:]...)
		return b
	}
	vary := func(f func(*bytesOf)) bytesOf { b := base; f(&b); return b }
	balancer := vary(func(b *bytesOf) { b.from = "127.0.0.9" })
	const host, agent, cookie = 0, 1, 2
	of := func(name string, b bytesOf) bytesOf { b.name = name; return b }
	others := []bytesOf{
		of("address", vary(func(b *bytesOf) { b.from = "127.0.0.2" })),
		of("address behind a balancer", balancer),
		of("method", vary(func(b *bytesOf) { b.method = "HEAD" })),
		of("path", vary(func(b *bytesOf) { b.target = "/live/b.ts?token=1" })),
		of("query", vary(func(b *bytesOf) { b.target = "/live/a.ts?token=2" })),
		of("more of a query", vary(func(b *bytesOf) { b.target = "/live/a.ts?token=1&a" })),
		of("no query", vary(func(b *bytesOf) { b.target = "/live/a.ts" })),
		of("an id in the query", vary(func(b *bytesOf) { b.target += "&altagate_id=v1.b" })),
		of("host", line(host, "Host: localhost")),
		of("User-Agent", line(agent, "User-Agent: VLC/3")),
		of("User-Agent in capitals", line(agent, "User-Agent: vlc")),
		of("no User-Agent", line(agent)),
		of("User-Agent that goes on as the key does", line(agent, `User-Agent: VLC\naltagate_id=v1.a; altagate_id=`)),
		of("User-Agent with a tab", line(agent, "User-Agent: VLC\taltagate_id=v1.a; altagate_id=")),
		of("bytes that are no text", line(agent, "User-Agent: VLC\xff")),
		of("id", line(cookie, "Cookie: altagate_id=v1.b")),
		of("no id", line(cookie)),
		of("a second id", line(cookie, "Cookie: altagate_id=v1.a; altagate_id=v1.b")),
		of("scheme", vary(func(b *bytesOf) { b.to, b.tls = secure, true })),
	}
	v := n.edge(t, "nginx/cached.conf", swaps...)
	for _, o := range others {
		t.Run(o.name, func(t *testing.T) { n.apart(t, v, base, o) })
	}
	second := of("address behind a balancer", balancer)
	second.lines = append(append([]string{}, balancer.lines[:3]...), "X-Forwarded-For: 192.0.2.2")
	t.Run("another address behind a balancer", func(t *testing.T) { n.apart(t, v, balancer, second) })

	n2 := &namer{}
	v = n2.edge(t, "nginx/cached.conf", ports...)
	t.Run("port", func(t *testing.T) { n2.apart(t, v, base, vary(func(b *bytesOf) { b.to = other })) })
}

// apart has the answer to one request be in the cache, sends the other, and finds that
// altagate was asked about it, and that it was given its own answer.
func (n *namer) apart(t *testing.T, v viewer, known, other bytesOf) {
	t.Helper()
	isCached := func(b bytesOf) bool {
		before := n.asked.Load()
		status, session := b.sent(t, v.edge.address)
		if status != 200 || session == "" {
			t.Fatalf("%s: status %d by %q", b, status, session)
		}
		return n.asked.Load() == before
	}
	rig.Until(t, "one to be cached before and after the other was sent", func() bool {
		if !isCached(known) {
			return false
		}
		_, mine := known.sent(t, v.edge.address)
		before := n.asked.Load()
		status, session := other.sent(t, v.edge.address)
		asked := n.asked.Load() > before
		if !isCached(known) {
			return false // Its time was over: nothing was shown.
		}
		if status != 200 || session == mine || session == "" || !asked {
			t.Errorf("%s: status %d by session %q, altagate was asked: %t; %s has session %q", other, status, session, asked, known, mine)
		}
		return true
	})
	// Nor does it when both are in the cache.
	_, mine := known.sent(t, v.edge.address)
	for range 3 {
		if _, session := other.sent(t, v.edge.address); session == mine {
			t.Errorf("%s: session %q, that of %s", other, session, known)
		}
	}
}

// TestACachedCheckIsAnsweredAsAltagateWould sends what differs little, again and again,
// to an edge with a cache for checks and to one without.
func TestACachedCheckIsAnsweredAsAltagateWould(t *testing.T) {
	t.Parallel()
	cached, plain := &namer{}, &namer{}
	edges := []viewer{cached.edge(t, "nginx/cached.conf", viewersPort()...), plain.edge(t, "nginx/altagate.conf", viewersPort()...)}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // A test's.
	// As a rule the first.
	one := func(of ...string) string {
		if random.IntN(4) > 0 {
			return of[0]
		}
		return of[random.IntN(len(of))]
	}
	const requests = 2000
	for range requests {
		b := bytesOf{from: one("127.0.0.1", "127.0.0.11"), method: one("GET", "HEAD"), lines: []string{"Host: " + one("tv.example.com", "localhost", "TV.example.com.")}}
		b.target = one("/a", "/a?b", "/a?", "/a?b=1", "/%61", "/a/../a", `/a\nb`, `/a?\n`, "/a%0ab", "/a#b", "//a", "http://localhost/a", "?b", "/\xff", "/a?GET")
		switch agent := one("a", "", "-", "a b", "a\tb", "b", `\n`, "a\nb", "\xff", "altagate_id=v1.a", "a\n altagate_id=v1.a", "twice", "\x01"); agent {
		case "":
		case "twice":
			b.lines = append(b.lines, "User-Agent: a", "User-Agent: b")
		default:
			b.lines = append(b.lines, "User-Agent: "+agent)
		}
		if cookie := one("", "altagate_id=v1.a", "altagate_id=v1.b", "altagate_id=v1.a; altagate_id=v1.b", "altagate_id=", "x=altagate_id=v1.a"); cookie != "" {
			b.lines = append(b.lines, "Cookie: "+cookie)
		}
		if other := one("", "Range: bytes=0-0", "If-None-Match: *", "If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT", "If-Match: x", "Cache-Control: no-store",
			"Pragma: no-cache", "X-Accel-Expires: 9", "Vary: *", "Authorization: Basic YTpi", "Content-Length: 0"); other != "" {
			b.lines = append(b.lines, other)
		}
		status, session := b.sent(t, edges[0].edge.address)
		wantStatus, want := b.sent(t, edges[1].edge.address)
		if status != wantStatus || session != want {
			t.Fatalf("%s: status %d by session %q, and without the cache %d by %q", b, status, session, wantStatus, want)
		}
	}
	with, without := cached.asked.Load(), plain.asked.Load()
	t.Logf("of %d requests altagate was asked about %d, and with the cache about %d", requests, without, with)
	if with >= without*9/10 || without < requests/3 {
		t.Errorf("altagate was asked %d times, and %d without the cache: too little came out of it", with, without)
	}
}

package backend

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/certs"
	"github.com/altagate/altagate/pkg/check"
)

// TestABurstLeavesNoMoreConnectionsThanAreKept asks 100 questions at once, all of
// which are answered when the last has arrived.
func TestABurstLeavesNoMoreConnectionsThanAreKept(t *testing.T) {
	const burst = 100
	var open counter
	changed := make(chan struct{}, 10*burst)
	var arrived sync.WaitGroup
	arrived.Add(burst)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Session-Id") != "" {
			arrived.Done()
			arrived.Wait()
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.add(1)
		case http.StateClosed:
			open.add(-1)
		default:
			return
		}
		changed <- struct{}{}
	}
	s.Start()
	t.Cleanup(s.Close)
	b := start(t, Config{Timeout: time.Minute}, s.URL)
	var all sync.WaitGroup
	for range burst {
		all.Go(func() {
			if o := b.Ask(t.Context(), viewer(), s1()); o.Verdict != check.Allowed {
				t.Errorf("outcome is %+v", o)
			}
		})
	}
	all.Wait()
	for open.get() > maxIdle {
		<-changed
	}
}

// nameserver answers every question for an address of IPv4 with the one that it
// holds now.
type nameserver struct {
	conn net.PacketConn
	mu   sync.Mutex
	ip   net.IP
}

func startNameserver(t *testing.T) *nameserver {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nameserver{conn: conn}
	var done sync.WaitGroup
	done.Go(n.serve)
	t.Cleanup(func() { conn.Close(); done.Wait() })
	return n
}

func (n *nameserver) points(ip net.IP) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ip = ip.To4()
}

func (n *nameserver) serve() {
	buf := make([]byte, 512)
	for {
		size, from, err := n.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		n.mu.Lock()
		n.conn.WriteTo(answered(buf[:size], n.ip), from)
		n.mu.Unlock()
	}
}

// answered is a DNS query with its answer: for type A the address, which may not
// be kept, else that there is none.
func answered(query []byte, ip net.IP) []byte {
	const header, a = 12, 1
	end := header
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	kind := binary.BigEndian.Uint16(query[end+1:])
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, query[header:end+5]...)
	if kind == a {
		reply[7] = 1
		reply = append(reply, 0xc0, header, 0, a, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, ip...)
	}
	return reply
}

// TestANameThatPointsElsewhereIsFollowedThoughTheOldHostStillAnswers has the
// connections renewed with each question in place of each minute.
func TestANameThatPointsElsewhereIsFollowedThoughTheOldHostStillAnswers(t *testing.T) {
	names := startNameserver(t)
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", names.conn.LocalAddr().String())
	}}
	old, oldAsked := serve(t, status(200))
	_, port, err := net.SplitHostPort(mustURL(t, old).Host)
	if err != nil {
		t.Fatal(err)
	}
	var moved counter
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.2", port))
	if err != nil {
		t.Skip("this machine has one loopback address only")
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { moved.add(1) }))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)

	c := Config{}
	c.URLs = append(c.URLs, mustURL(t, "http://portal.test:"+port+"/auth"))
	transport, err := newTransport(normal(c), &certs.Set{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	b, err := assemble(c, renewing(transport, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	for i, ip := range []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2)} {
		names.points(ip)
		if o := b.Ask(t.Context(), viewer(), s1()); o.Verdict != check.Allowed {
			t.Fatalf("outcome is %+v", o)
		}
		if oldAsked.get() != 1 || moved.get() != i {
			t.Errorf("question %d: the old host was asked %d times, the new one %d times", i, oldAsked.get(), moved.get())
		}
	}
}

func TestABusyConnectionIsKeptUntilItIsOld(t *testing.T) {
	for age, want := range map[time.Duration]int{0: 5, time.Hour: 1} {
		var mu sync.Mutex
		remotes := map[string]bool{}
		address, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			remotes[r.RemoteAddr] = true
		})
		transport, err := newTransport(Config{}, &certs.Set{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(transport.CloseIdleConnections)
		c := Config{}
		c.URLs = append(c.URLs, mustURL(t, address))
		b, err := assemble(c, renewing(transport, age))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		for range 5 {
			b.Ask(t.Context(), viewer(), s1())
		}
		if len(remotes) != want {
			t.Errorf("renewed after %s: %d connections for 5 questions, want %d", age, len(remotes), want)
		}
	}
}

// TestAQuestionThatClosesConnectionsIsSentOnceMoreAndNoOftener has a viewer's question
// crash the worker that it meets, while many connections are kept.
func TestAQuestionThatClosesConnectionsIsSentOnceMoreAndNoOftener(t *testing.T) {
	const kept = 10
	var arrived sync.WaitGroup
	arrived.Add(kept)
	var evil counter
	address, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "evil") {
			evil.add(1)
			panic(http.ErrAbortHandler)
		}
		arrived.Done()
		arrived.Wait()
	})
	b := start(t, Config{}, address)
	var all sync.WaitGroup
	for range kept {
		all.Go(func() {
			if o := b.Ask(t.Context(), viewer(), s1()); o.Verdict != check.Allowed {
				t.Errorf("outcome is %+v", o)
			}
		})
	}
	all.Wait()
	r := viewer()
	r.Query = "evil=1"
	if o := b.Ask(t.Context(), r, s1()); o.Verdict != check.Unavailable {
		t.Errorf("outcome is %+v", o)
	}
	if n := evil.get(); n != 2 {
		t.Errorf("the question was sent %d times, want twice", n)
	}
}

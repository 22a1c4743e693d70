package soak

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/altagate/altagate/test/rig"
)

// fault is what stands between altagate and its backend.
type fault string

const (
	calm        fault = "calm"
	refuses     fault = "refuses"
	hangsBefore fault = "hangs before the request"
	hangsAfter  fault = "hangs after the request"
	trickles    fault = "trickles, in time"
	drips       fault = "trickles, too slowly"
	resets      fault = "resets"
	babbles     fault = "answers garbage"
	cuts        fault = "breaks off its replies"
	flaps       fault = "flaps"
)

// step is a part of a script. Where a fault flaps it is named so, and does what
// does says.
type step struct {
	name, does fault
	lasts      time.Duration
}

// shortPlan has each fault once.
func shortPlan(seed uint64) plan {
	const ms = time.Millisecond
	script := []step{
		{calm, calm, 3 * time.Second},
		{refuses, refuses, 1200 * ms},
		{calm, calm, 1200 * ms},
		{hangsBefore, hangsBefore, 2200 * ms},
		{calm, calm, 1200 * ms},
		{hangsAfter, hangsAfter, 2200 * ms},
		{resets, resets, 600 * ms},
		{babbles, babbles, 600 * ms},
		{cuts, cuts, 600 * ms},
		{trickles, trickles, 600 * ms},
		{drips, drips, 900 * ms},
	}
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // Not a secret.
	script = append(script, flapping(r, time.Second)...)
	script = append(script, step{calm, calm, 2300 * ms})
	return plan{seed: seed, viewers: 1000, attackers: 24, timeout: 500 * ms, pace: 2500 * ms, script: script}
}

// longPlan has faults in a random order and of random lengths, for a few minutes or
// what is left.
func longPlan(seed uint64, left time.Duration) plan {
	const most = 5 * time.Minute
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // Not a secret.
	script := []step{{calm, calm, 5 * time.Second}}
	for length(script) < min(left, most)-30*time.Second {
		kinds := []fault{refuses, hangsBefore, hangsAfter, trickles, drips, resets, babbles, cuts, flaps}
		for _, i := range r.Perm(len(kinds)) {
			lasts := time.Second + upTo(r, 14*time.Second)
			if kinds[i] == flaps {
				script = append(script, flapping(r, lasts)...)
			} else {
				script = append(script, step{kinds[i], kinds[i], lasts})
			}
			// Some follow each other without a moment of peace.
			if r.IntN(3) > 0 {
				script = append(script, step{calm, calm, 500*time.Millisecond + upTo(r, 8*time.Second)})
			}
		}
	}
	script = append(script, step{calm, calm, 10 * time.Second})
	timeouts := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}
	return plan{
		seed: seed, viewers: 1000, attackers: 24, timeout: timeouts[r.IntN(len(timeouts))],
		pace: 2500 * time.Millisecond, script: script,
	}
}

func flapping(r *rand.Rand, lasts time.Duration) (script []step) {
	kinds := []fault{refuses, calm, resets, calm, hangsBefore, calm}
	for i := 0; length(script) < lasts; i++ {
		script = append(script, step{flaps, kinds[i%len(kinds)], 50*time.Millisecond + upTo(r, 300*time.Millisecond)})
	}
	return script
}

func upTo(r *rand.Rand, below time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(below)))
}

func length(script []step) (sum time.Duration) {
	for _, s := range script {
		sum += s.lasts
	}
	return sum
}

// faultProxy passes bytes between altagate and its backend, or does not.
type faultProxy struct {
	address, to string
	ctx         context.Context //nolint:containedctx // It ends with the test.

	mu       sync.Mutex
	does     fault
	changed  chan struct{} // closed when the fault changes, and replaced
	listener net.Listener  // nil while it refuses
	open     map[net.Conn]bool
	phases   []phase
	babbled  int
	running  sync.WaitGroup
}

// phase is a step that was played.
type phase struct {
	step
	from, to time.Time
}

func startFaultProxy(t *testing.T, to string) *faultProxy {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	f := &faultProxy{address: rig.FreeAddress(t), to: to, ctx: ctx, changed: make(chan struct{}), open: map[net.Conn]bool{}}
	f.set(t, calm)
	t.Cleanup(func() {
		stop()
		f.set(t, refuses)
		f.running.Wait()
	})
	return f
}

// follow plays a script, and notes when each step was.
func (f *faultProxy) follow(t *testing.T, script []step) {
	t.Helper()
	for _, s := range script {
		f.mu.Lock()
		f.phases = append(f.phases, phase{step: s, from: time.Now()})
		f.mu.Unlock()
		f.set(t, s.does)
		<-time.After(s.lasts)
		f.mu.Lock()
		f.phases[len(f.phases)-1].to = time.Now()
		f.mu.Unlock()
	}
}

// timeline is what was played.
func (f *faultProxy) timeline() []phase {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.phases)
}

// set puts a fault in force, for the connections that are open too.
func (f *faultProxy) set(t *testing.T, does fault) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.does = does
	close(f.changed)
	f.changed = make(chan struct{})
	if does == refuses || does == resets {
		for c := range f.open {
			abort(c)
		}
	}
	if does == refuses && f.listener != nil {
		if err := f.listener.Close(); err != nil {
			t.Error(err)
		}
		f.listener = nil
	}
	if does == refuses || f.listener != nil {
		return
	}
	l, err := (&net.ListenConfig{}).Listen(f.ctx, "tcp", f.address)
	if err != nil {
		t.Errorf("the backend's proxy cannot listen again: %v", err)
		return
	}
	f.listener = l
	f.running.Go(func() { f.accept(l) })
}

// now is the fault in force, and what tells of its end.
func (f *faultProxy) now() (fault, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.does, f.changed
}

func (f *faultProxy) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		f.running.Go(func() { f.pass(c) })
	}
}

// pass passes on what comes over one connection.
func (f *faultProxy) pass(asker net.Conn) {
	backend, err := (&net.Dialer{}).DialContext(f.ctx, "tcp", f.to)
	if err != nil {
		asker.Close()
		return
	}
	f.mu.Lock()
	f.open[asker] = true
	f.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { f.pump(backend, asker, f.request) })
	both.Go(func() { f.pump(asker, backend, f.reply) })
	both.Wait()
	f.mu.Lock()
	delete(f.open, asker)
	f.mu.Unlock()
}

// pump copies from one side to the other until either ends, or a fault ends both.
func (f *faultProxy) pump(to, from net.Conn, through func(to, from net.Conn, chunk []byte) bool) {
	defer to.Close()
	defer from.Close()
	chunk := make([]byte, 32<<10)
	for {
		n, err := from.Read(chunk)
		if n > 0 && !through(to, from, chunk[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

// request treats a part of a request; false ends the connection.
func (f *faultProxy) request(backend, asker net.Conn, chunk []byte) bool {
	switch does, changed := f.now(); does {
	case hangsBefore:
		f.hang(changed)
		abort(asker)
		return false
	case resets:
		abort(asker)
		return false
	case babbles:
		io.WriteString(asker, garbage(f.count())) //nolint:errcheck // Whoever is gone needs none.
		return false
	default:
		_, err := backend.Write(chunk)
		return err == nil
	}
}

// reply treats a part of a reply; false ends the connection.
func (f *faultProxy) reply(asker, _ net.Conn, chunk []byte) bool {
	does, changed := f.now()
	switch does {
	case hangsAfter:
		f.hang(changed)
		abort(asker)
		return false
	case trickles:
		return f.slowly(asker, chunk, 2*time.Millisecond)
	case drips:
		return f.slowly(asker, chunk, 60*time.Millisecond)
	case cuts:
		asker.Write(chunk[:len(chunk)/2]) //nolint:errcheck // Whoever is gone needs none.
		return false
	default:
		_, err := asker.Write(chunk)
		return err == nil
	}
}

// count counts the garbage.
func (f *faultProxy) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.babbled++
	return f.babbled
}

// hang waits for the end of the fault.
func (f *faultProxy) hang(changed <-chan struct{}) {
	select {
	case <-changed:
	case <-f.ctx.Done():
	}
}

// slowly sends byte by byte.
func (f *faultProxy) slowly(to io.Writer, chunk []byte, pause time.Duration) bool {
	every := time.NewTicker(pause)
	defer every.Stop()
	for i := range chunk {
		if _, err := to.Write(chunk[i : i+1]); err != nil {
			return false
		}
		select {
		case <-every.C:
		case <-f.ctx.Done():
			return false
		}
	}
	return true
}

// abort ends a connection with a reset.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0) //nolint:errcheck // It may be closed already.
	}
	c.Close()
}

// garbage is not HTTP, or only begins like it.
func garbage(n int) string {
	all := [...]string{
		"\x16\x03\x01 garbage\r\n\r\n",
		"HTTP/1.1 2OO OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
		"200 OK\n\n",
		strings.Repeat("x", 8<<10),
	}
	return all[n%len(all)]
}

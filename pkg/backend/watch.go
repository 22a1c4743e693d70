package backend

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"
)

// Phases are the parts of an attempt's time. One that did not take place, or did
// not end, is 0.
type Phases struct {
	Resolve, Connect, TLS time.Duration
	// FirstByte is from the end of the request to the first byte of the reply.
	FirstByte time.Duration
	// Total is from the beginning to the end of the attempt.
	Total time.Duration
}

// watch notes what net/http does with one request. Its hooks can be called from
// several goroutines, and after the request has ended.
type watch struct {
	mu                                  sync.Mutex
	begun, resolve, connect, tls, wrote time.Time
	seen                                sight
}

// sight is what a watch has seen.
type sight struct {
	phases    Phases
	connected bool
	fields    []Field
}

func newWatch() *watch { return &watch{begun: time.Now()} }

// attach makes the requests of a context be watched.
func (w *watch) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { w.mark(&w.resolve) },
		DNSDone:           func(httptrace.DNSDoneInfo) { w.measure(&w.resolve, &w.seen.phases.Resolve) },
		ConnectStart:      func(string, string) { w.mark(&w.connect) },
		ConnectDone:       func(string, string, error) { w.measure(&w.connect, &w.seen.phases.Connect) },
		TLSHandshakeStart: func() { w.mark(&w.tls) },
		TLSHandshakeDone: func(tls.ConnectionState, error) {
			w.measure(&w.tls, &w.seen.phases.TLS)
		},
		GotConn:              func(httptrace.GotConnInfo) { w.connected() },
		WroteHeaderField:     w.field,
		WroteRequest:         func(httptrace.WroteRequestInfo) { w.mark(&w.wrote) },
		GotFirstResponseByte: func() { w.measure(&w.wrote, &w.seen.phases.FirstByte) },
	})
}

// stop ends the attempt and gives what was seen of it.
func (w *watch) stop() sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.phases.Total = time.Since(w.begun)
	seen := w.seen
	seen.fields = slices.Clone(seen.fields)
	return seen
}

// mark notes when a phase begins. The first time counts: a name may have
// several addresses.
func (w *watch) mark(at *time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.IsZero() {
		*at = time.Now()
	}
}

// measure notes how long a phase has taken.
func (w *watch) measure(since *time.Time, phase *time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !since.IsZero() {
		*phase = time.Since(*since)
	}
}

func (w *watch) connected() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.connected = true
}

func (w *watch) field(name string, values []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, value := range values {
		w.seen.fields = append(w.seen.fields, Field{name, value})
	}
}

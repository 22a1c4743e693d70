package gate_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience only turns a hang into a failure.
const patience = 20 * time.Second

// portal is a real backend that remembers what it was asked.
type portal struct {
	*httptest.Server

	mu             sync.Mutex
	questions      []*http.Request
	opened, closed int
	changed        chan struct{} // closed at each change, and replaced
}

// newPortal serves questions with answer, and probes with 404.
func newPortal(t testing.TB, answer http.HandlerFunc) *portal {
	t.Helper()
	return newPortalWithProbe(t, answer, status(http.StatusNotFound))
}

func newPortalWithProbe(t testing.TB, answer, probe http.HandlerFunc) *portal {
	t.Helper()
	p := &portal{changed: make(chan struct{})}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Session-Id") == "" {
			probe(w, r)
			return
		}
		p.note(func() { p.questions = append(p.questions, r) })
		answer(w, r)
	}))
	p.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			p.note(func() { p.opened++ })
		case http.StateClosed, http.StateHijacked:
			p.note(func() { p.closed++ })
		}
	}
	p.Start()
	t.Cleanup(p.Close)
	return p
}

func (p *portal) note(what func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what()
	close(p.changed)
	p.changed = make(chan struct{})
}

// asked gives the questions so far.
func (p *portal) asked() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.questions)
}

// connections gives how many were opened, and how many of these are open.
func (p *portal) connections() (opened, open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.opened, p.opened - p.closed
}

// until waits until is holds.
func (p *portal) until(t testing.TB, what string, is func() bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// hang answers when the caller has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// reset closes the connection without an answer.
func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// held answers with code when release is closed.
func held(release <-chan struct{}, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			w.WriteHeader(code)
		case <-r.Context().Done():
		}
	}
}

// nobody is a URL where nobody listens.
func nobody(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// parsed is a config as an operator writes it.
func parsed(t testing.TB, yaml string) *config.Config {
	t.Helper()
	cfg, err := config.Parse([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// events remembers what a gate reports.
type events struct {
	mu  sync.Mutex
	all []check.Event
	// turned gets each check.Turned.
	turned chan check.Turned
}

func newEvents() *events { return &events{turned: make(chan check.Turned, 1000)} }

func (e *events) notify(event check.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
	if turned, ok := event.(check.Turned); ok {
		e.turned <- turned
	}
}

// of gives the events of a kind.
func of[T check.Event](e *events) (some []T) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		if one, ok := event.(T); ok {
			some = append(some, one)
		}
	}
	return some
}

// open makes a gate that is closed with the test.
func open(t testing.TB, yaml string, notify func(check.Event)) *gate.Gate {
	t.Helper()
	g, err := gate.New(parsed(t, yaml), nil, notify)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func ignore(check.Event) {}

// viewer is a check of a viewer of path with the token 123.
func viewer(path string) *check.Request {
	return &check.Request{
		Proxy: "nginx", Method: "GET", Scheme: "https", Host: "tv.example.com", Path: path, Query: "token=123",
		Addr: netip.MustParseAddr("192.0.2.7"), UserAgent: "VLC/3.0",
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// waiting is a caller's context that tells when its check has begun to wait for
// the call that it shares.
type waiting struct {
	context.Context
	begun func()
}

func (w waiting) Done() <-chan struct{} {
	w.begun()
	return w.Context.Done()
}

package backend

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/altagate/altagate/pkg/check"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// viewer is a check as the Alta documentation has one.
func viewer() *check.Request {
	return &check.Request{
		Method: "GET", Scheme: "https", Host: "live.example.com",
		Path: "/ch1/index.m3u8", Query: "token=123",
		Addr: netip.MustParseAddr("192.0.2.7"), UserAgent: "VLC/3.0",
	}
}

// s1 is the session that questions are about.
func s1() Session { return Session{ID: "s1"} }

func mustURL(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// start makes a backend that asks the URLs and is closed with the test.
func start(t *testing.T, c Config, urls ...string) *Backend {
	t.Helper()
	for _, u := range urls {
		c.URLs = append(c.URLs, mustURL(t, u))
	}
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	b.Watch()
	t.Cleanup(b.Close)
	return b
}

// serve starts a server that counts the questions, as against probes, and
// answers probes with 404.
func serve(t *testing.T, answer http.HandlerFunc) (address string, questions *counter) {
	t.Helper()
	questions = &counter{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Session-Id") == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		questions.add(1)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, questions
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// hang answers when the caller has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// refusing is an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// raw listens for connections and hands each request's head, as it came over
// the wire, to answer, which writes the reply. Probes get a 404.
func raw(t *testing.T, answer func(net.Conn, string)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() { defer c.Close(); answerRaw(c, answer) })
		}
	})
	t.Cleanup(func() { l.Close(); done.Wait() })
	return "http://" + l.Addr().String()
}

func answerRaw(c net.Conn, answer func(net.Conn, string)) {
	r := bufio.NewReader(c)
	var head strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" {
			break
		}
		head.WriteString(line)
	}
	if !strings.Contains(strings.ToLower(head.String()), "x-session-id:") {
		io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	answer(c, head.String())
}

// counter counts from several goroutines.
type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
}

func (c *counter) get() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// events collects what a backend reports.
type events struct {
	mu  sync.Mutex
	all []check.Event
}

func (e *events) notify(ev check.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// turns lists the turns as "host up" or "host down", with the backend's state.
func (e *events) turns() (turns []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		if t, ok := ev.(check.Turned); ok {
			turns = append(turns, fmt.Sprintf("%s there=%t up=%t", t.Address, t.There, t.Up))
		}
	}
	return turns
}

// asked lists the verdicts of the questions.
func (e *events) asked() (verdicts []check.Verdict) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		if a, ok := ev.(check.Asked); ok {
			verdicts = append(verdicts, a.Verdict)
		}
	}
	return verdicts
}

// What a scripted address does with a request.
type act func(*http.Request) (*http.Response, error)

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

func refuse(*http.Request) (*http.Response, error) { return nil, errRefused }

func noDescriptors(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EMFILE}
}

// connected tells net/http's trace that the request is on a connection.
func connected(r *http.Request) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
}

func reset(r *http.Request) (*http.Response, error) {
	connected(r)
	return nil, errors.New("connection reset by peer")
}

func silence(r *http.Request) (*http.Response, error) {
	connected(r)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// slowly does the same after a while.
func slowly(d time.Duration, then act) act {
	return func(r *http.Request) (*http.Response, error) {
		connected(r)
		select {
		case <-time.After(d):
			return then(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

func says(code int) act {
	return func(r *http.Request) (*http.Response, error) {
		connected(r)
		return &http.Response{StatusCode: code, Header: http.Header{}, Body: http.NoBody}, nil
	}
}

// script is a network of addresses whose behaviour a test changes as it goes.
type script struct {
	mu       sync.Mutex
	question map[string]act // by host
	probe    map[string]act
	log      []string
	begun    time.Time
}

func newScript() *script {
	return &script{question: map[string]act{}, probe: map[string]act{}, begun: time.Now()}
}

// set says what a host does with questions and with probes from now on.
func (s *script) set(host string, question, probe act) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.question[host], s.probe[host] = question, probe
}

func (s *script) send(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	kind, do := "probe", s.probe[r.URL.Host]
	if r.Header.Get("X-Session-Id") != "" {
		kind, do = "question", s.question[r.URL.Host]
	}
	s.log = append(s.log, fmt.Sprintf("%s %s %s", time.Since(s.begun), kind, r.URL.Host))
	s.mu.Unlock()
	return do(r)
}

// calls gives what was sent since the last call, as "time kind host".
func (s *script) calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

// scripted makes a backend with a timeout of two seconds over a script, and
// waits until the first probes are over or wait for something.
func scripted(t *testing.T, s *script, e *events, hosts ...string) *Backend {
	t.Helper()
	c := Config{Name: "portal"}
	if e != nil {
		c.Notify = e.notify
	}
	for _, h := range hosts {
		c.URLs = append(c.URLs, mustURL(t, "http://"+h+"/auth"))
	}
	b, err := assemble(c, s.send)
	if err != nil {
		t.Fatal(err)
	}
	b.Watch()
	t.Cleanup(b.Close)
	synctest.Wait()
	return b
}

// ask asks the backend in the background.
func ask(t *testing.T, b *Backend) <-chan check.Outcome {
	t.Helper()
	o := make(chan check.Outcome, 1)
	go func() { o <- b.Ask(t.Context(), viewer(), s1()) }()
	return o
}

// word is an outcome in a word, for tables.
func word(o check.Outcome) string {
	switch {
	case o.Overload:
		return "overload"
	case o.Verdict != check.Unavailable:
		return o.Verdict.String()
	case o.Absent:
		return "absent"
	default:
		return "unanswered"
	}
}

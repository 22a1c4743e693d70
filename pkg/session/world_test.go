package session

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/policy"
	"github.com/altagate/altagate/pkg/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Store with one route, a backend that follows a script, and a clock
// that stands still while anything happens. It does what a gate does.
type world struct {
	t      testing.TB
	store  *Store
	rules  *Rules
	config Config

	mu sync.Mutex
	// answer is the backend: what it says to a question. Nil allows everything.
	answer func(r *check.Request) check.Outcome
	// away is what the backend's probe says; failing fails questions all the same.
	away, failing bool
	// failedAt is when the backend last began or ceased to fail, in timelines.
	failedAt time.Time
	// slow is how long each answer takes.
	slow  time.Duration
	asked []question
	// again counts the questions that the Store had put in the background.
	again  int
	events []check.Event
	// told is when each event came.
	told  []time.Time
	calls map[string]chan struct{}
	// ids counts those that were given out.
	ids uint64
}

// newID gives ids in a row, not by chance, so that what happened once happens again.
func (w *world) newID() (id ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	binary.BigEndian.PutUint64(id[:], w.ids)
	return id
}

// question is one that the backend got.
type question struct {
	path, query, id string
	at              time.Time
	again           bool
	// answer is the backend's, once there is one.
	answer check.Outcome
}

func (q question) String() string { return q.path + "?" + q.query }

// inWorld runs a test in a bubble with a clock of its own.
func inWorld(t *testing.T, rules Rules, test func(w *world)) {
	t.Helper()
	inWorldOf(t, rules, Config{}, test)
}

func inWorldOf(t *testing.T, rules Rules, c Config, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rules, c)
		defer w.stop()
		test(w)
	})
}

// viewers is a route whose joins are those of the defaults.
func viewers() Rules {
	return Rules{Route: "tv", Join: Join{Token: true, Client: true}, Grace: DefaultGrace}
}

func newWorld(t testing.TB, rules Rules, c Config) *world {
	w := &world{t: t, calls: map[string]chan struct{}{}, config: c}
	w.use(rules)
	w.start()
	return w
}

// use puts other rules in force, as a reload does.
func (w *world) use(rules Rules) {
	w.t.Helper()
	if rules.Layout == nil {
		layout, err := stream.Parse("auto", []string{"/"})
		if err != nil {
			w.t.Fatal(err)
		}
		rules.Layout = layout
	}
	w.rules = &rules
}

func (w *world) start() {
	w.t.Helper()
	c := w.config
	var store *Store
	made := make(chan struct{})
	c.Notify = w.notify
	c.Ask = func(q *Question) {
		<-made
		w.mu.Lock()
		w.again++
		w.mu.Unlock()
		w.askAgain(store, q)
	}
	c.Away = func(string) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.away
	}
	store, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	close(made)
	w.store = store
	synctest.Wait()
}

func (w *world) stop() {
	w.store.Close()
	synctest.Wait()
}

// restart stops the Store in good order and makes one anew from its Journal.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

func (w *world) notify(e check.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events, w.told = append(w.events, e), append(w.told, time.Now())
}

// pass lets time pass, and all that is due happen. It waits by a timer, so it is
// of use in a bubble only.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// goAway has the backend's probe find it away, or there again.
func (w *world) goAway(away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
}

// fail has questions fail while the backend is there, or no longer.
func (w *world) fail(failing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing = failing
}

func (w *world) script(answer func(r *check.Request) check.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

// ask is the backend. While it is away it is asked nothing.
func (w *world) ask(r *check.Request, id string, again bool) check.Outcome {
	w.mu.Lock()
	if w.away {
		w.mu.Unlock()
		return check.Outcome{Absent: true, Session: id}
	}
	o := check.Outcome{Verdict: check.Allowed}
	switch {
	case w.failing:
		o = check.Outcome{}
	case w.answer != nil:
		o = w.answer(r)
	}
	o.Session = id
	if o.Backend == "" {
		o.Backend = "portal"
	}
	w.asked = append(w.asked, question{r.Path, r.Query, id, time.Now(), again, o})
	slow := w.slow
	w.mu.Unlock()
	if slow > 0 {
		<-time.After(slow)
	}
	return o
}

// askAgain puts a session's own question once for all that want it.
func (w *world) askAgain(s *Store, q *Question) {
	w.mu.Lock()
	if running, ok := w.calls[q.Session]; ok {
		w.mu.Unlock()
		<-running
		return
	}
	done := make(chan struct{})
	w.calls[q.Session] = done
	w.mu.Unlock()
	s.Renew(q, w.ask(q.Request, q.Session, true))
	w.mu.Lock()
	delete(w.calls, q.Session)
	w.mu.Unlock()
	close(done)
}

// check decides about one request as a gate does.
func (w *world) check(r check.Request) check.Decision {
	p := policy.Policy{AllowUnavailable: w.rules.AllowUnavailable}
	if !Opens(r.Method) {
		return policy.Decide(p, w.ask(&r, w.newID().String(), false), false)
	}
	j := w.store.Join(w.rules, &r)
	for tried := 0; j.Due != nil && tried < 4; tried++ {
		w.askAgain(w.store, j.Due)
		j = w.store.Join(w.rules, &r)
	}
	if j.Decided {
		return j.Decision
	}
	id := w.newID()
	d := policy.Decide(p, w.ask(&r, id.String(), false), j.Standing)
	return w.store.Settle(w.rules, &r, j, id, d)
}

// request is a request of the viewer that most tests are about.
func request(target string) check.Request {
	path, query, _ := strings.Cut(target, "?")
	return check.Request{
		Proxy: "nginx", Method: "GET", Scheme: "https", Host: "tv.example.com", Path: path, Query: query,
		Addr: netip.MustParseAddr("192.0.2.1"), UserAgent: "VLC/3",
	}
}

// from is a request of another address.
func from(addr, target string) check.Request {
	r := request(target)
	r.Addr = netip.MustParseAddr(addr)
	return r
}

// said is how a check was decided: "allow session", "deny backend".
func said(d check.Decision) string { return d.Word() + " " + string(d.Reason) }

// want checks a request of the usual viewer.
func (w *world) want(target, decision string) {
	w.t.Helper()
	w.wantOf(request(target), decision)
}

func (w *world) wantOf(r check.Request, decision string) check.Decision {
	w.t.Helper()
	d := w.check(r)
	if got := said(d); got != decision {
		w.t.Fatalf("%s %s?%s of %s (%s): got %q, want %q", r.Method, r.Path, r.Query, r.Addr, r.UserAgent, got, decision)
	}
	return d
}

// questions gives what the backend was asked, and forgets it.
func (w *world) questions() []question {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.asked
	w.asked = nil
	return asked
}

// wantAsked says how many questions the backend got since the last look.
func (w *world) wantAsked(n int, why string) []question {
	w.t.Helper()
	asked := w.questions()
	if len(asked) != n {
		w.t.Fatalf("%s: the backend was asked %d times, want %d: %v", why, len(asked), n, asked)
	}
	return asked
}

// ends gives the reasons of the ends so far, in their order.
func (w *world) ends() []string {
	var reasons []string
	for _, e := range w.ended() {
		reasons = append(reasons, e.Reason)
	}
	return reasons
}

func (w *world) ended() []check.SessionEnded     { return eventsOf[check.SessionEnded](w) }
func (w *world) started() []check.SessionStarted { return eventsOf[check.SessionStarted](w) }

func eventsOf[E check.Event](w *world) []E {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []E
	for _, e := range w.events {
		if e, ok := e.(E); ok {
			found = append(found, e)
		}
	}
	return found
}

func (w *world) wantEnds(why string, reasons ...string) {
	w.t.Helper()
	if got := w.ends(); !slices.Equal(got, reasons) {
		w.t.Fatalf("%s: ends are %q, want %q", why, got, reasons)
	}
}

// live is how many sessions the Store holds.
func (w *world) live() int {
	page, _ := w.store.List(Filter{}, "", 1<<20)
	return len(page)
}

func (w *world) wantLive(n int, why string) {
	w.t.Helper()
	if got := w.live(); got != n {
		w.t.Fatalf("%s: there are %d sessions, want %d", why, got, n)
	}
}

// only is the one session that there is.
func (w *world) only() Info {
	w.t.Helper()
	page, _ := w.store.List(Filter{}, "", 2)
	if len(page) != 1 {
		w.t.Fatalf("there are %d sessions, want one", len(page))
	}
	return page[0]
}

// allowFor is an allow that is good for a time.
func allowFor(d time.Duration) func(*check.Request) check.Outcome {
	return func(*check.Request) check.Outcome {
		return check.Outcome{Verdict: check.Allowed, AuthDuration: d}
	}
}

func deny(*check.Request) check.Outcome { return check.Outcome{Verdict: check.Denied, Status: 403} }

// ministra is a portal whose tokens die: each is good for one question.
func ministra() func(*check.Request) check.Outcome {
	used := map[string]bool{}
	return func(r *check.Request) check.Outcome {
		if r.Query == "" || used[r.Query] {
			return check.Outcome{Verdict: check.Denied, Once: true}
		}
		used[r.Query] = true
		return check.Outcome{Verdict: check.Allowed, Once: true}
	}
}

// address is the n-th of many.
func address(n int) string { return fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255) }

// bound makes a Store hold at most so many sessions.
func bound(limit int) Config { return Config{Limit: limit} }

const (
	entry   = "/live/ch1/index.m3u8"
	segment = "/live/ch1/seg1.ts"
)

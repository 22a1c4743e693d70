package admin

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// The bounds on what is kept of decisions.
const (
	// maxWatches is how many texts are looked for at once.
	maxWatches = 8
	// maxKept is how many decisions are kept for each text: the newest.
	maxKept = 256
	// watchFor is how long decisions are kept after the last time that somebody
	// asked.
	watchFor = time.Minute
	// maxShown is the most bytes that are kept of what a viewer sent.
	maxShown = 512
)

// Decisions keeps the decisions of the last moments for whoever asks, and only as
// long as somebody does: at other times Record costs the load of one pointer. The
// zero value is ready, and safe for concurrent use.
type Decisions struct {
	mu sync.Mutex
	// watches is replaced at each change; nil while nobody asks.
	watches atomic.Pointer[[]*watch]
}

// watch keeps the decisions about requests with one text in them.
type watch struct {
	match string
	mu    sync.Mutex
	until time.Time
	// kept is a ring once it is full; next is where the oldest is then.
	kept []shownDecision
	next int
}

// shownDecision is a decision as it is shown: without a query, and without an id by
// which a viewer joins a session.
type shownDecision struct {
	Time      time.Time `json:"time"`
	Proxy     string    `json:"proxy"`
	Route     string    `json:"route,omitempty"`
	Decision  string    `json:"decision"`
	Reason    string    `json:"reason"`
	Method    string    `json:"method,omitempty"`
	Scheme    string    `json:"scheme,omitempty"`
	Host      string    `json:"host,omitempty"`
	Path      string    `json:"path,omitempty"`
	Address   string    `json:"address,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	Session   string    `json:"session,omitempty"`
	Error     string    `json:"error,omitempty"`
}

// Record keeps a decision, if somebody asked for such. It never waits for anybody
// who asks.
func (d *Decisions) Record(r *check.Request, decision check.Decision) {
	watches := d.watches.Load()
	if watches == nil {
		return
	}
	now := time.Now()
	var shown shownDecision
	for _, w := range *watches {
		if !w.wants(r) {
			continue
		}
		if shown.Proxy == "" {
			shown = show(now, r, decision)
		}
		if w.keep(now, shown) {
			continue
		}
		d.forget(now)
	}
}

// wants says whether a request has the text in it.
func (w *watch) wants(r *check.Request) bool {
	for _, part := range []string{r.UserAgent, r.Path, r.Host, r.Query} {
		if strings.Contains(part, w.match) {
			return true
		}
	}
	return false
}

// keep says whether it was kept: not if nobody has asked for long.
func (w *watch) keep(now time.Time, shown shownDecision) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case now.After(w.until):
		return false
	case len(w.kept) < maxKept:
		w.kept = append(w.kept, shown)
	default:
		w.kept[w.next] = shown
		w.next = (w.next + 1) % maxKept
	}
	return true
}

func (w *watch) asked(now time.Time) []shownDecision {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = now.Add(watchFor)
	return append(append([]shownDecision{}, w.kept[w.next:]...), w.kept[:w.next]...)
}

func (w *watch) over(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return now.After(w.until)
}

// forget lets go of what nobody asks for any more.
func (d *Decisions) forget(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.set(d.live(now))
}

// live are the watches of those who still ask. d.mu is held.
func (d *Decisions) live(now time.Time) []*watch {
	var left []*watch
	if all := d.watches.Load(); all != nil {
		for _, w := range *all {
			if !w.over(now) {
				left = append(left, w)
			}
		}
	}
	return left
}

func (d *Decisions) set(watches []*watch) {
	if len(watches) == 0 {
		d.watches.Store(nil)
		return
	}
	d.watches.Store(&watches)
}

// about gives what is kept of decisions about requests with the text in them, the
// oldest first, and has them kept from now on. It is false if too many texts are
// looked for.
func (d *Decisions) about(match string) ([]shownDecision, bool) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	live := d.live(now)
	for _, w := range live {
		if w.match == match {
			return w.asked(now), true
		}
	}
	if len(live) >= maxWatches {
		return nil, false
	}
	w := &watch{match: match}
	kept := w.asked(now)
	d.set(append(live, w))
	return kept, true
}

func show(now time.Time, r *check.Request, d check.Decision) shownDecision {
	shown := shownDecision{
		Time: now.UTC().Truncate(time.Millisecond), Proxy: r.Proxy, Route: d.Route, Decision: d.Word(), Reason: string(d.Reason),
		Method: r.Method, Scheme: r.Scheme, Host: cut(r.Host), Path: cut(withoutTokens(r.Path)), UserAgent: cut(r.UserAgent), Session: d.Session,
	}
	if r.Addr.IsValid() {
		shown.Address = r.Addr.String()
	}
	if d.Outcome.Err != nil && (d.Reason == check.BadCheck || d.Reason == check.Malformed) {
		// These say which rule was broken, without a byte of the viewer's.
		shown.Error = cut(d.Outcome.Err.Error())
	}
	return shown
}

// withoutTokens ends a path where a player may have written its token: behind an
// escaped "?", or a ";".
func withoutTokens(path string) string {
	if i := strings.IndexAny(path, "?#;%"); i >= 0 {
		return path[:i]
	}
	return path
}

// cut copies, so that nothing of a request is held that is not shown.
func cut(text string) string {
	return strings.ToValidUTF8(strings.Clone(text[:min(len(text), maxShown)]), "?")
}

const decisionsPath = "/api/v1/decisions"

// listedDecisions is the body of a list.
type listedDecisions struct {
	Decisions []shownDecision `json:"decisions"`
}

// ofDecisions answers about the decisions of the last moments.
func (a api) ofDecisions(r *http.Request) reply {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return onlyMethods("GET and HEAD", "GET, HEAD")
	}
	p := parse(r.URL.RawQuery, "match")
	if len(p.text("match")) > maxShown {
		p.refuse("match is longer than %d bytes", maxShown)
	}
	if p.wrong != "" {
		return fail(http.StatusBadRequest, "%s", p.wrong)
	}
	kept, ok := a.decisions.about(p.text("match"))
	if !ok {
		return fail(http.StatusTooManyRequests, "decisions are kept for %d texts at once, and no more: ask again in a minute", maxWatches)
	}
	return reply{status: http.StatusOK, body: listedDecisions{kept}}
}

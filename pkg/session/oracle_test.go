package session

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// oracle says what a Store may do and must do, from the rules alone: it sees the
// requests, the decisions, what the backend answered and what operators did. It
// shares no code with the Store, save how queries are read in fit_readers_test.go.
type oracle struct {
	w        *world
	known    map[string]*viewing
	denials  map[string]time.Time // of questions
	held     []held
	returned time.Time // when the backend was there again
	readers  []reader
	limit    limitRule
	heard    int        // of the events
	news     []*viewing // that a limit has ended
}

// viewing is what the oracle knows of a session.
type viewing struct {
	id          string
	asked       check.Request
	started     time.Time
	answered    time.Time
	good        time.Duration
	provisional bool
	// A session that was kept over a restart may be more idle than it was, so its
	// last request came at some time between two.
	early, late time.Time
	hand        string
	ended       bool
	limits      limits
}

// held is an operator's end that holds.
type held struct {
	of    *viewing
	user  string
	until time.Time
}

func newOracle(w *world) *oracle {
	return &oracle{w: w, known: map[string]*viewing{}, denials: map[string]time.Time{}, readers: readers()}
}

// reaches says by hand what an allow for one path opens.
func reaches(opened, path string) bool {
	if opened == path {
		return true
	}
	below := func(dir string) bool { return strings.HasPrefix(path, dir) }
	switch opened {
	case "/live/ch1/index.m3u8":
		return below("/live/ch1/")
	case "/live/ch1/v/master.m3u8":
		return below("/live/ch1/v/")
	case "/live/ch10/index.m3u8":
		return below("/live/ch10/")
	case "/live/ch1_hd/index.m3u8":
		return below("/live/ch1_hd/")
	case "/live/ch1.5/index.m3u8":
		return below("/live/ch1.5/")
	case "/live/ch1.m3u8":
		return below("/live/ch1/") || path == "/live/ch1-4.ts" || path == "/live/ch1_4.ts"
	default:
		return false
	}
}

// theirs says whether a request comes from a session's viewer.
func (o *oracle) theirs(v *viewing, r *check.Request) bool {
	j := o.w.rules.Join
	same := share(v.asked.Addr) == share(r.Addr) && (j.Address || v.asked.UserAgent == r.UserAgent)
	return same && (j.Token || j.Client || j.Address)
}

// carries says whether a request has a session's signed id.
func (o *oracle) carries(v *viewing, r *check.Request) bool {
	return o.w.rules.Join.ID && v.hand != "" && (slices.Contains(r.IDs[:], v.hand) || strings.Contains(r.Query, v.hand))
}

// misfit gives what is wrong about a request's query beside a session.
func (o *oracle) misfit(v *viewing, r *check.Request) string {
	for _, reader := range o.readers {
		check := checkOther
		if v.asked.Path == r.Path {
			check = checkAsked
		}
		if wrong := check(reader.read, v.asked.Query, r.Query); wrong != "" {
			return reader.name + ": " + wrong
		}
	}
	return ""
}

// ends gives when a session ends by itself, if its last request came at a time:
// without and with its grace.
func (o *oracle) ends(v *viewing, last time.Time) (end, final time.Time) {
	r := o.w.rules
	end = last.Add(max(r.idle(), v.good))
	if over := v.started.Add(r.max()); over.Before(end) {
		end = over
	}
	if r.Once && v.good > 0 && !v.provisional {
		if over := v.answered.Add(v.good); over.Before(end) {
			end = over
		}
	}
	if v.provisional {
		return end, end
	}
	return end, end.Add(r.Grace)
}

// overdue is when a session's question must have been answered; ok is false if
// never.
func (o *oracle) overdue(v *viewing) (at time.Time, ok bool) {
	if o.w.rules.Once || v.good == 0 || v.provisional {
		return time.Time{}, false
	}
	return v.answered.Add(v.good), true
}

// learn takes in what the backend answered.
func (o *oracle) learn() {
	for _, q := range o.w.questions() {
		v := o.known[q.id]
		if !q.again || v == nil {
			continue
		}
		switch q.answer.Verdict {
		case check.Allowed:
			if o.holdsUser(q.answer.User, q.at) {
				o.over(v)
			}
			if v.provisional {
				o.confirmed(v, q.at)
			}
			v.provisional, v.answered, v.good = false, q.at, q.answer.AuthDuration
		case check.Denied:
			o.over(v)
		}
	}
}

// decided checks a decision about a request, and learns from it.
func (o *oracle) decided(r *check.Request, d check.Decision, now time.Time) string {
	o.w.mu.Lock()
	asked := slices.ContainsFunc(o.w.asked, func(q question) bool { return !q.again })
	o.w.mu.Unlock()
	o.learn()
	o.hear()
	if wrong := o.missed(r, d, now); wrong != "" {
		return wrong
	}
	if d.Cache != 0 && said(d) != "allow session" {
		return "it may be repeated"
	}
	if !Opens(r.Method) {
		return ""
	}
	v := o.known[d.Session]
	switch {
	case !d.Allow && d.Reason == check.Limit:
		return o.overLimit(r, d, asked, now)
	case asked && o.heldOut(r, now) != "":
		return o.heldOut(r, now)
	case !d.Allow && d.Reason == check.Backend:
		o.denials[questionKey(r)] = now
		for _, v := range o.known { // The very question that had opened it.
			if o.theirs(v, r) && v.asked.Path == r.Path && v.asked.Host == r.Host && o.misfit(v, r) == "" {
				if end, _ := o.ends(v, v.early); !now.Before(end) {
					o.over(v)
				}
			}
		}
	case !d.Allow:
	case d.Reason == check.Backend && !asked:
		return "an allow of the backend, which was not asked"
	case d.Reason == check.Backend || d.Reason == check.Default && d.Session != "" && v == nil:
		return o.opened(r, d, now)
	case d.Reason == check.Default && !o.w.away:
		return "a default while the backend is there"
	case d.Reason == check.Default && d.Session == "":
	case v == nil:
		return fmt.Sprintf("session %s: nothing has opened it", d.Session)
	default:
		if wrong := o.admitted(v, r, d, now); wrong != "" {
			return fmt.Sprintf("session of %s?%s: %s", v.asked.Path, v.asked.Query, wrong)
		}
		o.used(v, r, now)
	}
	return ""
}

// opened notes a new session.
func (o *oracle) opened(r *check.Request, d check.Decision, now time.Time) string {
	if d.Reason == check.Default && !strings.HasSuffix(r.Path, ".m3u8") {
		return "a default for what is no entry opened a session"
	}
	if o.against(r, now) {
		return "an operator's end holds against the viewer, and the answer is " + said(d)
	}
	if d.Session == "" {
		return "an allow of the backend opened no session"
	}
	// Who asks anew for what a session of his is about has that one still, with its max,
	// and for as long as its own answer holds.
	started, answered, good := now, now, d.Outcome.AuthDuration
	if old := o.known[d.Session]; old != nil {
		if old.ended {
			return "a session that has ended lives again"
		}
		started, answered, good = old.started, old.answered, old.good
	}
	// Of the same viewer, stream and query there is one session.
	for _, v := range o.known {
		if v.id != d.Session && v.asked.Path == r.Path && o.misfit(v, r) == "" && v.asked.Host == r.Host && o.sameViewer(v, r) {
			o.over(v)
		}
	}
	v := &viewing{
		id: d.Session, asked: *r, started: started, answered: answered, good: good, provisional: d.Reason == check.Default,
		early: now, late: now, hand: d.ID,
	}
	v.asked.IDs = [check.MaxIDs]string{}
	o.watches(v, now)
	o.known[d.Session] = v
	return ""
}

func (o *oracle) sameViewer(v *viewing, r *check.Request) bool {
	return share(v.asked.Addr) == share(r.Addr) && (o.w.rules.Join.Address || v.asked.UserAgent == r.UserAgent)
}

// admitted gives what is wrong about an allow by a session.
func (o *oracle) admitted(v *viewing, r *check.Request, d check.Decision, now time.Time) string {
	end, final := o.ends(v, v.late)
	due, asks := o.overdue(v)
	switch {
	case v.ended:
		return "it has ended"
	case o.against(r, now):
		return "an operator's end holds against its viewer"
	case v.asked.Host != r.Host || v.asked.Scheme != r.Scheme:
		return "it is of another host"
	case !reaches(v.asked.Path, r.Path):
		return "it is of another stream"
	case !o.theirs(v, r) && !o.carries(v, r):
		return "it is of another viewer"
	case !now.Before(final):
		return fmt.Sprintf("it outlives its end by %v", now.Sub(final))
	}
	if wrong := o.misfit(v, r); wrong != "" {
		return wrong
	}
	switch d.Reason {
	case check.Session:
		if v.provisional || !now.Before(end) || asks && !now.Before(due) {
			return "it is over, and counts as if it were not"
		}
		return o.repeatable(v, d, now)
	case check.Default:
		if !v.provisional || !o.w.away {
			return "it counts as a default"
		}
	case check.Grace:
		return o.graceful(v, now)
	}
	return ""
}

// noticing is how long after its return a backend is known to be back.
const noticing = 3 * time.Second

func (o *oracle) graceful(v *viewing, now time.Time) string {
	if v.provisional {
		if o.w.away || now.After(o.returned.Add(o.w.rules.Grace+noticing)) {
			return "it is provisional, and its grace is over or has not begun"
		}
		return ""
	}
	if !o.w.away && !o.w.failing && o.w.failedAt.Before(now.Add(-lastRetry)) {
		return "there is no reason for grace"
	}
	if due, asks := o.overdue(v); asks && !now.Before(due.Add(o.w.rules.Grace)) {
		return "it outlives the grace of its question"
	}
	return ""
}

// used notes a request that a session let in. It may have been that of others of
// its viewer whose terms it meets: they were used at the latest now.
func (o *oracle) used(v *viewing, r *check.Request, now time.Time) {
	if end, _ := o.ends(v, v.early); now.Before(end) {
		v.early = now
		o.watches(v, now)
	}
	for _, other := range o.known {
		may := o.sameViewer(other, r) && other.asked.Host == r.Host && other.asked.Path != r.Path && reaches(other.asked.Path, r.Path)
		if end, _ := o.ends(other, other.late); now.Before(end) && (other == v || may && o.misfit(other, r) == "") {
			other.late = now
		}
	}
}

func (o *oracle) holdsUser(user string, now time.Time) bool {
	return slices.ContainsFunc(o.held, func(h held) bool { return h.user != "" && h.user == user && now.Before(h.until) })
}

// against says whether an operator's end holds against a request.
func (o *oracle) against(r *check.Request, now time.Time) bool {
	return slices.ContainsFunc(o.held, func(h held) bool {
		if h.of == nil || !now.Before(h.until) || h.of.asked.Host != r.Host || !reaches(h.of.asked.Path, r.Path) {
			return false
		}
		return o.sameViewer(h.of, r) || o.carries(h.of, r)
	})
}

func questionKey(r *check.Request) string {
	return strings.Join([]string{r.Host, r.Path, r.Query, r.Addr.String(), r.UserAgent}, " ")
}

// missed gives what is wrong about a denial: a session that lives lets its viewer
// in.
func (o *oracle) missed(r *check.Request, d check.Decision, now time.Time) string {
	if d.Allow || !Opens(r.Method) || o.against(r, now) || d.Reason == check.Limit {
		return ""
	}
	if d.Reason == check.Revoked && !slices.ContainsFunc(o.held, func(h held) bool { return h.user != "" && now.Before(h.until) }) {
		return "denied as revoked, and no operator's end holds"
	}
	j := o.w.rules.Join
	for _, v := range o.known {
		obvious := r.Path == v.asked.Path && r.Query == v.asked.Query && (j.Token || j.Client || j.Address) ||
			r.Path != v.asked.Path && (r.Query == "" && (j.Client || j.Address) || r.Query == v.asked.Query && (j.Token || j.Client || j.Address))
		if v.ended || v.asked.Host != r.Host || !o.theirs(v, r) || !reaches(v.asked.Path, r.Path) || !obvious {
			continue
		}
		end, final := o.ends(v, v.early)
		due, asks := o.overdue(v)
		unasked := o.w.away || o.w.failing
		switch {
		case now.Before(end) && !v.provisional && (!asks || now.Before(due)):
			return fmt.Sprintf("%s: the session of %s?%s lives", said(d), v.asked.Path, v.asked.Query)
		case now.Before(end) && v.provisional && o.w.away:
			return fmt.Sprintf("%s: the provisional session of %s?%s lives", said(d), v.asked.Path, v.asked.Query)
		case v.provisional, !unasked, d.Reason == check.RecentDenial, asks && !now.Before(due.Add(o.w.rules.Grace)):
		case now.Before(final):
			return fmt.Sprintf("%s: the session of %s?%s is in its grace", said(d), v.asked.Path, v.asked.Query)
		}
	}
	return ""
}

// looked is how late a session may be found to be over where no request asks.
const looked = 100 * time.Millisecond

// look compares which sessions there are with which there may be.
func (o *oracle) look(now time.Time) string {
	o.learn()
	if wrong := o.lookAtLimits(now); wrong != "" {
		return wrong
	}
	for id, v := range o.known {
		info, there := o.w.store.Find(id)
		_, final := o.ends(v, v.late)
		end, _ := o.ends(v, v.early)
		due, asks := o.overdue(v)
		switch {
		case there && v.ended:
			return fmt.Sprintf("the session of %s?%s is there, and was ended", v.asked.Path, v.asked.Query)
		case there && now.After(final.Add(looked)):
			return fmt.Sprintf("the session of %s?%s outlives its end by %v", v.asked.Path, v.asked.Query, now.Sub(final))
		case !there && !v.ended && !v.provisional && now.Before(end) && (!asks || now.Before(due.Add(o.w.rules.Grace))):
			return fmt.Sprintf("the session of %s?%s ended %v before its end", v.asked.Path, v.asked.Query, end.Sub(now))
		case there && info.Provisional != v.provisional:
			return fmt.Sprintf("the session of %s?%s: provisional is %v", v.asked.Path, v.asked.Query, info.Provisional)
		}
		if !there {
			o.over(v)
		}
	}
	return ""
}

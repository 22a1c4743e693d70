package session

import (
	"slices"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
	"github.com/altagate/altagate/pkg/target"
)

// Joined is what is known of a check before anything is asked about it.
type Joined struct {
	// Decided is set if Decision stands, and nothing is to be asked.
	Decided  bool
	Decision check.Decision
	// Due is the question of a session that the request would join: it is to be
	// asked first, and its outcome told to Renew, before Join is tried again.
	Due *Question
	// Standing is set if the request would join a session that has ended by
	// itself and is in its grace: should the backend be unavailable, it counts.
	Standing bool
	// standing is that session.
	standing *session
}

// StandingID is the X-Session-Id of the session that stands; empty where none
// does.
func (j *Joined) StandingID() string {
	if j.standing == nil {
		return ""
	}
	return j.standing.text
}

// Question is a session's own question, put as it was first asked.
type Question struct {
	// Request is the check that the backend was asked about. It is not to be
	// changed.
	Request *check.Request
	// Route is the name of the session's route.
	Route string
	// Session is the X-Session-Id.
	Session string
	// Backend is the one that allowed; empty if none has yet.
	Backend string
	// Number is how many questions about the session were allowed before this one,
	// as far as this process knows; at least 1 if Backend is not empty.
	Number int
	of     *session
}

func (n *session) question() *Question {
	q := &Question{Request: &n.asked, Route: n.place.route, Session: n.text, of: n}
	if !n.provisional {
		q.Backend, q.Number = n.outcome.Backend, 1+n.renewals
	}
	return q
}

// Opens tells whether requests with a method join and open sessions. Others
// are asked about each time.
func Opens(method string) bool { return method == "GET" || method == "HEAD" }

// maxCandidates is how many sessions of one viewer on one stream are compared
// with a request that names none of them exactly, the newest first.
const maxCandidates = 64

// Join finds the session that a request belongs to, or the denial that it was
// told a moment ago.
func (s *Store) Join(rules *Rules, r *check.Request) Joined { return s.join(rules, r, false) }

// JoinAtOnce is Join for a request that cannot wait for a question that is due: the
// session goes on in its grace until there is an outcome.
func (s *Store) JoinAtOnce(rules *Rules, r *check.Request) Joined { return s.join(rules, r, true) }

func (s *Store) join(rules *Rules, r *check.Request, atOnce bool) Joined {
	buf := s.buffers.Get().(*[stream.MaxJoins]stream.Name) //nolint:errcheck,forcetypeassert // The pool holds nothing else.
	defer s.buffers.Put(buf)
	names := rules.Layout.Joins(buf[:0], r.Path)
	s.mu.Lock()
	defer s.unlock()
	now := time.Now() // under the lock, so that nothing was noted later than it
	if s.holds.against(rules, r, names, now) {
		return decided(check.Deny(check.Revoked))
	}
	f := finder{store: s, rules: rules, request: r, query: stripped(r.Query), names: names, now: now, atOnce: atOnce}
	if j, ok := f.find(); ok {
		return j
	}
	switch {
	case f.crowded != nil:
		return decided(check.Decision{Reason: check.Limit, Outcome: f.crowded.outcome})
	case f.unanswered:
		return decided(check.Decision{Reason: check.Unanswered})
	}
	if why, ok := s.denials.has(denialOf(rules, r), now); ok {
		return decided(check.Decision{Reason: why})
	}
	return Joined{Standing: f.lapsed != nil, standing: f.lapsed}
}

func decided(d check.Decision) Joined { return Joined{Decided: true, Decision: d} }

// finder looks for one request's session. The Store's lock is held.
type finder struct {
	store   *Store
	rules   *Rules
	request *check.Request
	query   string // stripped
	names   []stream.Name
	now     time.Time
	// atOnce is set if the request waits for no question.
	atOnce bool
	// lapsed is a session that would have been joined, had it not ended.
	lapsed *session
	// crowded is one that would have been joined, were there a place for its viewer.
	crowded *session
	// unanswered is set if there is one about which a question has just failed.
	unanswered bool
}

// find tries the joins that the route has, the surest first.
func (f *finder) find() (Joined, bool) {
	if f.rules.Join.ID {
		if j, ok := f.byID(); ok {
			return j, true
		}
	}
	if !f.rules.Join.Token && !f.rules.Join.Client && !f.rules.Join.Address {
		return Joined{}, false
	}
	p := placeOf(f.rules, f.request, stream.Name{})
	for _, name := range f.names {
		p.stream = name
		if g := f.store.groups[p]; g != nil {
			if j, ok := f.in(g); ok {
				return j, true
			}
		}
	}
	return Joined{}, false
}

// in looks in one place: for the session whose allowed query the request has,
// then for one that its query fits.
func (f *finder) in(g *group) (Joined, bool) {
	shared := f.rules.Join.Client || f.rules.Join.Address
	// Without a query a request has nobody's, save on the path that was asked about.
	if n := f.store.exact[exact{g, f.query}]; n != nil && (!shared || f.query != "" || n.asked.Path == f.request.Path) {
		if j, ok := f.use(n); ok {
			return j, true
		}
	}
	if !shared {
		return Joined{}, false
	}
	tried := 0
	for _, n := range slices.Backward(g.sessions) {
		if tried++; tried > maxCandidates {
			break
		}
		if n.asked.Path == f.request.Path || !n.terms.fits(f.request.Query) {
			continue
		}
		if j, ok := f.use(n); ok {
			if j.Decided && j.Decision.Allow {
				f.keepOthers(g, n)
			}
			return j, true
		}
	}
	return Joined{}, false
}

// keepOthers notes a request of one session in a place for the others whose it may
// be as well, because it has none of their names.
func (f *finder) keepOthers(g *group, joined *session) {
	tried := 0
	for _, n := range slices.Backward(g.sessions) {
		if tried++; tried > maxCandidates {
			return
		}
		if n == joined || n.displaced() || n.asked.Path == f.request.Path || n.terms.names(f.request.Query) {
			continue
		}
		if end, _ := n.end(); f.now.Before(end) {
			f.store.spare(n, f.now)
		}
	}
}

// byID looks for the session of a signed id that the request carries.
func (f *finder) byID() (Joined, bool) {
	for _, text := range ids(f.request) {
		if text == "" {
			continue
		}
		id, ok := f.store.config.Keys.Read(text, f.now)
		if !ok {
			continue
		}
		if f.store.holds.id(id, f) {
			return decided(check.Deny(check.Revoked)), true
		}
		n := f.store.byID[id]
		if n == nil || !f.belongs(n) || !f.admits(n) {
			continue
		}
		if j, ok := f.use(n); ok {
			return j, true
		}
	}
	return Joined{}, false
}

// belongs tells whether a session is of the request's route, host and stream.
func (f *finder) belongs(n *session) bool {
	if n.place.route != f.rules.Route || n.place.scheme != f.request.Scheme || n.place.host != f.request.Host ||
		!slices.Contains(f.names, n.place.stream) {
		return false
	}
	if n.asked.Path == f.request.Path {
		return n.terms.same(f.query)
	}
	return n.terms.fits(f.request.Query)
}

// maxAddresses is how many addresses may use one id within idle.
const maxAddresses = 4

// admits tells whether the request's address may use the session's id, and
// notes it.
func (f *finder) admits(n *session) bool {
	mine := share(f.request.Addr)
	n.from = slices.DeleteFunc(n.from, func(v visit) bool { return f.now.Sub(v.last) >= f.rules.idle() })
	own := n.place.viewer.addr
	if mine == own {
		return true
	}
	for i := range n.from {
		if n.from[i].addr == mine {
			n.from[i].last = f.now
			return true
		}
	}
	if len(n.from) >= maxAddresses-1 {
		return false
	}
	n.from = append(n.from, visit{mine, f.now})
	return true
}

// use decides by a session that the request belongs to. It reports false if the
// session is over.
func (f *finder) use(n *session) (Joined, bool) {
	n.rules = f.rules
	f.store.notice(n, f.now)
	if why, over := n.over(f.now); over {
		f.store.finish(n, why)
		return Joined{}, false
	}
	if n.displaced() {
		f.retry(n)
		return Joined{}, false
	}
	end, _ := n.end()
	due := n.due()
	switch {
	case !f.now.Before(end):
		if f.lapsed == nil && n.stands(f.now) {
			f.lapsed = n
		}
		return Joined{}, false
	case n.provisional && n.returned.IsZero():
		return f.joined(n, check.Default)
	case n.provisional && n.rules.Once:
		return f.joined(n, check.Grace)
	case n.provisional && f.now.Before(n.retry):
		// The backend is there, and has not allowed it: it is as any newcomer.
		f.unanswered = true
		return Joined{}, false
	case n.provisional:
		return Joined{Due: n.question()}, true
	case due.IsZero() || f.now.Before(due):
		return f.joined(n, check.Session)
	case n.failures > 0 || f.atOnce:
		// Its question is put in the background, at its time.
		return f.joined(n, check.Grace)
	default:
		return Joined{Due: n.question()}, true
	}
}

// joined is an allow by a session. It is false if the session was not asked for in a
// while, and there is no place for its viewer now.
func (f *finder) joined(n *session, reason check.Reason) (Joined, bool) {
	if !f.store.resumes(n, f.now) {
		f.crowded = n
		return Joined{}, false
	}
	f.store.touch(n, f.now)
	d := f.store.allow(n, reason)
	if reason == check.Session {
		d.Cache = n.repeatable(f.now)
	}
	return decided(d), true
}

// repeatable is for how long a proxy may repeat the allow of a session that was just
// asked for: never beyond its end, or the question that is due before it.
func (n *session) repeatable(now time.Time) time.Duration {
	if n.rules.Cache <= 0 {
		return 0
	}
	until, _ := n.end()
	if due := n.due(); !due.IsZero() && due.Before(until) {
		until = due
	}
	return min(n.rules.Cache, until.Sub(now))
}

// allow is the decision that a session makes.
func (s *Store) allow(n *session, reason check.Reason) check.Decision {
	s.sign(n)
	return check.Decision{Allow: true, Reason: reason, Session: n.text, ID: n.hand, Outcome: n.outcome}
}

// sign has the session's signed id be of the key that signs now. It is good until
// the session's grace is over, and a second more, for it is so in whole seconds.
func (s *Store) sign(n *session) {
	keys := s.config.Keys
	if !n.rules.Join.ID {
		keys = nil
	}
	switch {
	case n.signedBy == keys:
	case keys == nil:
		n.hand, n.signedBy = "", nil
	default:
		n.hand, n.signedBy = keys.Sign(n.id, n.started.Add(n.rules.max()+n.rules.Grace+time.Second)), keys
	}
}

// ids gives the ids that a request carries: of its query, then of its cookies.
func ids(r *check.Request) (found [check.MaxIDs]string) {
	n := 0
	if strings.Contains(r.Query, Parameter) {
		for part := range strings.SplitSeq(r.Query, "&") {
			if value, ok := strings.CutPrefix(part, Parameter+"="); ok && n < len(found) {
				found[n] = value
				n++
			}
		}
	}
	copy(found[n:], r.IDs[:])
	return found
}

// Parameter is the query parameter, and the cookie, that carries a session's
// signed id. No backend gets it.
const Parameter = "altagate_id"

// Sent is a viewer's query as backends get it, at the most: without altagate_id.
// Questions that are equal but for that are the same.
func Sent(query string) string {
	if !strings.Contains(query, Parameter) {
		return query
	}
	return target.Without(query, map[string]bool{Parameter: true})
}

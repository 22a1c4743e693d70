package session

import (
	"slices"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
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
	// standing is that session's X-Session-Id: it may end until there is an outcome.
	standing string
}

// StandingID is the X-Session-Id of the session that stands; empty where none
// does.
func (j *Joined) StandingID() string { return j.standing }

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
}

func (s *Store) question(n *session) *Question {
	q := &Question{Request: s.request(n), Route: s.scene(n).route, Session: s.idText(n)}
	if !n.provisional {
		q.Backend, q.Number = s.reply(n).Backend, 1+int(n.renewals)
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
	f := finder{
		store: s, rules: rules, request: r, query: stripped(r.Query), names: names, time: now, now: s.moment(now), atOnce: atOnce,
	}
	if j, ok := f.find(); ok {
		return j
	}
	switch {
	case f.crowded != nil:
		return decided(check.Decision{Reason: check.Limit, Outcome: *f.crowded})
	case f.unanswered:
		return decided(check.Decision{Reason: check.Unanswered})
	}
	if why, ok := s.denials.has(denialOf(rules, r), now); ok {
		return decided(check.Decision{Reason: why})
	}
	return Joined{Standing: f.lapsed != "", standing: f.lapsed}
}

func decided(d check.Decision) Joined { return Joined{Decided: true, Decision: d} }

// finder looks for one request's session. The Store's lock is held.
type finder struct {
	store   *Store
	rules   *Rules
	request *check.Request
	query   string // stripped
	names   []stream.Name
	// time and now are the same moment.
	time time.Time
	now  instant
	// atOnce is set if the request waits for no question.
	atOnce bool
	// lapsed is the X-Session-Id of a session that would have been joined, had it not
	// ended; empty where there is none.
	lapsed string
	// crowded is the outcome of one that would have been joined, were there a place for
	// its viewer; nil where there is none. The session may be over by the end of the look.
	crowded *check.Outcome
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
	leader := f.store.leader(p.viewer.addr)
	if leader == nil {
		return Joined{}, false
	}
	if leader.leads <= few {
		return f.amongFew(&p, leader)
	}
	for _, name := range f.names {
		p.stream = name
		if n := f.store.newest(&p); n != nil {
			if j, ok := f.in(&p, n); ok {
				return j, true
			}
		}
	}
	return Joined{}, false
}

// few is how many sessions of an address are compared with a request one by one. It is
// quicker than a look into the index for each of the streams that a path may belong to:
// with a million sessions, nothing of either is in the processor's caches.
const few = 8

// amongFew looks among the sessions of an address, of which there are few.
func (f *finder) amongFew(p *place, leader *session) (Joined, bool) {
	var room [few]*session
	mine := room[:0]
	for n := range f.store.lastUsed(roll{leader.ref, leader.leads}, ofAddress) {
		if f.store.isOf(n, p) {
			mine = append(mine, n)
		}
	}
	if len(mine) == 0 {
		return Joined{}, false
	}
	for _, name := range f.names {
		for _, n := range mine {
			if !n.alive() || f.store.scene(n).stream != name {
				continue
			}
			p.stream = name
			if j, ok := f.in(p, f.store.newestBeside(n, p)); ok {
				return j, true
			}
			break
		}
	}
	return Joined{}, false
}

// in looks in one place: for the session whose allowed query the request has,
// then for one that its query fits.
func (f *finder) in(p *place, newest *session) (Joined, bool) {
	shared := f.rules.Join.Client || f.rules.Join.Address
	// Without a query a request has nobody's, save on the path that was asked about.
	if n := f.exactly(p, newest); n != nil && (!shared || f.query != "" || f.store.scene(n).path == f.request.Path) {
		if j, ok := f.use(n); ok {
			return j, true
		}
		newest = f.store.newest(p) // It may have been that.
	}
	if !shared {
		return Joined{}, false
	}
	return f.fitting(p, newest)
}

// fitting looks in one place for a session that the request's query fits, the newest
// first.
func (f *finder) fitting(p *place, newest *session) (Joined, bool) {
	tried := 0
	for n := newest; n != nil; {
		if tried++; tried > maxCandidates {
			break
		}
		older := f.store.older(n, p)
		if terms := f.store.terms(n); f.store.scene(n).path != f.request.Path && terms.fits(f.request.Query) {
			if j, ok := f.use(n); ok {
				if j.Decided && j.Decision.Allow {
					f.keepOthers(p, n)
				}
				return j, true
			}
		}
		n = older
	}
	return Joined{}, false
}

// exactly is the session in a place whose allowed query the request has.
func (f *finder) exactly(p *place, newest *session) *session {
	if terms := f.store.terms(newest); terms.query == f.query {
		return newest
	}
	if f.store.older(newest, p) == nil {
		return nil
	}
	return f.store.exactly(p, f.query)
}

// keepOthers notes a request of one session in a place for the others whose it may
// be as well, because it has none of their names.
func (f *finder) keepOthers(p *place, joined *session) {
	tried := 0
	for n := f.store.newestBeside(joined, p); n != nil; n = f.store.older(n, p) {
		if tried++; tried > maxCandidates {
			return
		}
		if terms := f.store.terms(n); n == joined || f.store.displaced(n) || f.store.scene(n).path == f.request.Path || terms.names(f.request.Query) {
			continue
		}
		if end, _ := f.store.end(n); f.now < end {
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
		id, ok := f.store.config.Keys.Read(text, f.time)
		if !ok {
			continue
		}
		if f.store.holds.id(id, f) {
			return decided(check.Deny(check.Revoked)), true
		}
		n := f.store.withID(id)
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
	at, terms := f.store.scene(n), f.store.terms(n)
	if at.route != f.rules.Route || at.scheme != f.request.Scheme || at.host != f.request.Host || !slices.Contains(f.names, at.stream) {
		return false
	}
	if at.path == f.request.Path {
		return terms.same(f.query)
	}
	return terms.fits(f.request.Query)
}

// maxAddresses is how many addresses may use one id within idle.
const maxAddresses = 4

// admits tells whether the request's address may use the session's id, and
// notes it.
func (f *finder) admits(n *session) bool {
	mine := share(f.request.Addr)
	if rare := f.store.rare(n); rare != nil {
		rare.from = slices.DeleteFunc(rare.from, func(v visit) bool { return f.now.sub(v.last) >= f.rules.idle() })
	}
	if mine == n.network() {
		return true
	}
	more := f.store.more(n)
	for i := range more.from {
		if more.from[i].addr == mine {
			more.from[i].last = f.now
			return true
		}
	}
	if len(more.from) >= maxAddresses-1 {
		return false
	}
	more.from = append(more.from, visit{mine, f.now})
	f.store.mark(n) // or a restart would let more than so many in
	return true
}

// use decides by a session that the request belongs to. It reports false if the
// session is over.
func (f *finder) use(n *session) (Joined, bool) {
	f.store.obey(n, f.rules)
	f.store.notice(n, f.now)
	if why, over := f.store.over(n, f.now); over {
		f.store.finish(n, why)
		return Joined{}, false
	}
	if f.store.displaced(n) {
		f.retry(n)
		return Joined{}, false
	}
	end, _ := f.store.end(n)
	due := f.store.due(n)
	switch {
	case f.now >= end:
		if f.lapsed == "" && f.store.stands(n, f.now) {
			f.lapsed = f.store.idText(n)
		}
		return Joined{}, false
	case n.provisional && due == 0:
		return f.joined(n, check.Default)
	case n.provisional && f.store.rules(n).Once:
		return f.joined(n, check.Grace)
	case n.provisional && f.now < f.store.retry(n):
		// The backend is there, and has not allowed it: it is as any newcomer.
		f.unanswered = true
		return Joined{}, false
	case n.provisional:
		return Joined{Due: f.store.question(n)}, true
	case due == 0 || f.now < due:
		return f.joined(n, check.Session)
	case f.store.failures(n) > 0 || f.atOnce:
		// Its question is put in the background, at its time.
		return f.joined(n, check.Grace)
	default:
		return Joined{Due: f.store.question(n)}, true
	}
}

// joined is an allow by a session. It is false if the session was not asked for in a
// while, and there is no place for its viewer now.
func (f *finder) joined(n *session, reason check.Reason) (Joined, bool) {
	if !f.store.resumes(n, f.now) {
		f.crowds(n)
		return Joined{}, false
	}
	f.store.touch(n, f.now)
	d := f.store.allow(n, reason)
	if reason == check.Session {
		d.Cache = f.store.repeatable(n, f.now)
	}
	return decided(d), true
}

// repeatable is for how long a proxy may repeat the allow of a session that was just
// asked for: never beyond its end, or the question that is due before it.
func (s *Store) repeatable(n *session, now instant) time.Duration {
	if s.rules(n).Cache <= 0 {
		return 0
	}
	until, _ := s.end(n)
	if due := s.due(n); due != 0 && due < until {
		until = due
	}
	return min(s.rules(n).Cache, until.sub(now))
}

// crowds notes that there is no place for the viewer of a session.
func (f *finder) crowds(n *session) {
	o := f.store.outcome(n)
	f.crowded = &o
}

// allow is the decision that a session makes.
func (s *Store) allow(n *session, reason check.Reason) check.Decision {
	s.sign(n)
	return check.Decision{Allow: true, Reason: reason, Session: s.idText(n), ID: s.hand(n), Outcome: s.outcome(n)}
}

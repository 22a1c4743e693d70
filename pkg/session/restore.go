package session

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// record is a session as the Journal keeps it. Its times are as long ago by the
// wall clock as they are by the clock that nobody sets.
func (s *Store) record(n *session, now time.Time) Record {
	wall := func(i instant) time.Time {
		if i == 0 {
			return time.Time{}
		}
		return now.Round(0).Add(i.sub(s.moment(now)))
	}
	at, o := s.scene(n), s.outcome(n)
	r := Record{
		ID: s.id(n), Route: at.route, Host: at.host, Scheme: at.scheme, Stream: at.stream,
		Addr: n.address(), UserAgent: s.agent(n), ByAddress: n.byAddress && s.agent(n) != "",
		Path: at.path, Query: s.raw(n), Method: at.method, Proxy: at.proxy,
		Backend: o.Backend, User: o.User, SessionName: o.SessionName,
		Started: wall(n.started), Last: wall(s.used(n)), Answered: wall(n.answered),
		AuthDuration: o.AuthDuration, Once: o.Once || n.provisional && s.rules(n).Once,
		Requests: uint64(n.requests), Provisional: n.provisional, Returned: wall(s.returned(n)),
		Idle: s.rules(n).Idle, Max: s.rules(n).Max, Grace: s.rules(n).Grace,
		MaxSessions: o.MaxSessions, Unique: o.Unique, Held: wall(s.held(n)),
	}
	if s.displaced(n) {
		// An altagate that knows of no Held must find it over.
		r.Max, r.Grace = time.Nanosecond, 0
	}
	if rare := s.rare(n); rare != nil {
		for _, v := range rare.from {
			r.Addrs = append(r.Addrs, v.addr.prefix())
		}
	}
	return r
}

// restore takes over what a Journal kept. Where the clock was set back since the
// last write, that write counts as made just now, so that nothing lasts longer.
func (s *Store) restore(j Journal) error {
	records, revocations, written, err := j.Load()
	if err != nil {
		return err
	}
	c := clock{store: s, now: s.epoch, ahead: max(written.Sub(s.epoch), 0), rules: map[Rules]*Rules{}}
	var kept []*session
	for i := range records {
		n := c.of(&records[i]).revived(&records[i])
		if why, over := s.over(n, genesis); over {
			s.restored(n)
			s.lost(n, why)
			continue
		}
		kept = append(kept, n)
	}
	slices.SortFunc(kept, func(a, b *session) int { return cmp.Compare(a.last, b.last) })
	for i, n := range kept {
		s.restored(n)
		if len(kept)-i > s.config.Limit {
			s.lost(n, Evicted) // The longest idle come first.
			continue
		}
		s.insert(n)
	}
	for _, r := range revocations {
		r.Until = c.here(r.Until)
		s.holds.add(r)
	}
	return nil
}

// restored tells of a session that the Journal had.
func (s *Store) restored(n *session) {
	if s.displaced(n) {
		return
	}
	s.events = append(s.events, check.SessionStarted{SessionInfo: s.words(n), Restored: true})
}

// lost tells of the end of a session that is not taken over.
func (s *Store) lost(n *session, why EndReason) {
	s.dirty[s.id(n)] = true
	if !s.displaced(n) {
		s.events = append(s.events, s.ending(n, why))
	}
	s.release(n)
}

// clock turns the Journal's times into those of this process.
type clock struct {
	store *Store
	// now is when the Store was made.
	now time.Time
	// rules are those of the records so far: a million of them have a few.
	rules map[Rules]*Rules
	// ahead is by how much the clock was set back since the last write.
	ahead time.Duration
}

// here is a time of the Journal's by the clock that nobody sets, however the wall
// clock is set later.
func (c clock) here(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return c.now.Add(t.Sub(c.now) - c.ahead)
}

// at is such a time as an instant; 0 for none.
func (c clock) at(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return c.store.moment(c.here(t))
}

// of is the clock for one record: it was written when its last request was over,
// and so counts as made just now where that is yet to come.
func (c clock) of(r *Record) clock {
	for _, t := range [...]time.Time{r.Started, r.Last, r.Answered, r.Returned} {
		c.ahead = max(c.ahead, t.Sub(c.now))
	}
	return c
}

// revived is the session of a record. The rules are those of its own time until a
// request brings the route's.
func (c clock) revived(r *Record) *session {
	o := check.Outcome{
		Verdict: check.Allowed, Backend: r.Backend, User: r.User, SessionName: r.SessionName,
		AuthDuration: r.AuthDuration, Once: r.Once, MaxSessions: r.MaxSessions, Unique: r.Unique,
	}
	if r.Provisional {
		o.Verdict = check.Unavailable
	}
	n := c.store.build(&check.Request{
		Proxy: r.Proxy, Route: r.Route, Method: r.Method, Scheme: r.Scheme, Host: r.Host,
		Path: r.Path, Query: r.Query, Addr: r.Addr, UserAgent: r.UserAgent,
	}, r.Route, r.Stream, r.ID, o)
	c.store.obey(n, c.ruled(Rules{
		Route: r.Route, Idle: r.Idle, Max: r.Max, Grace: r.Grace, AllowUnavailable: r.Provisional, Once: r.Once,
	}))
	n.started, n.last, n.answered, n.since = c.at(r.Started), c.at(r.Last), c.at(r.Answered), c.at(r.Started)
	n.savedNow(n.last)
	n.requests = uint32(min(r.Requests, math.MaxUint32)) //nolint:gosec // bounded just so
	n.unsure, n.provisional, n.byAddress = r.Held.IsZero(), r.Provisional, r.ByAddress
	if at := c.at(r.Returned); at != 0 {
		c.store.more(n).returned = at
	}
	if at := c.at(r.Held); at != 0 {
		c.store.more(n).held = at
	}
	for _, a := range r.Addrs {
		more := c.store.more(n)
		more.from = append(more.from, visit{networkOf(a), n.last})
	}
	return n
}

// ruled are rules, once for all records that have them.
func (c clock) ruled(r Rules) *Rules {
	known := c.rules[r]
	if known == nil {
		known = &r
		c.rules[r] = known
	}
	return known
}

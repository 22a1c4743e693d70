package session

import (
	"slices"
	"sync"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// Journal keeps sessions and operators' ends over a restart. Its methods are
// called one at a time.
type Journal interface {
	// Load gives all that was kept, and when it was last written to; the zero
	// time if never.
	Load() (records []Record, revocations []Revocation, written time.Time, err error)
	// Save replaces the records of sessions that changed, and drops those that
	// ended, all or nothing.
	Save(changed []Record, ended []ID) error
	// Revoke keeps operators' ends, and drops the sessions that they ended. It
	// returns when that is on disk.
	Revoke(revocations []Revocation, ended []ID) error
}

const (
	// savedAtLeast is how old the last use of a session in the Journal may be: a
	// restart makes it that much more idle than it was.
	savedAtLeast = time.Minute
	// batch bounds the sessions of one Save.
	batch = 5000
	// pause is between two Saves, so that a burst of starts shares one.
	pause = 20 * time.Millisecond
	// The pause after a Save that failed, as on a full disk.
	troubled = 5 * time.Second
)

// savedEvery is how often the last use of a session is brought to the Journal: often
// enough that a restart ends no session that is watched.
func (n *session) savedEvery() time.Duration { return min(savedAtLeast, n.rules.idle()/4) }

// mark notes that a session is not in the Journal as it is. The lock is held.
func (s *Store) mark(n *session) {
	if s.config.Journal == nil {
		return
	}
	n.saved = n.used()
	s.dirty[n.id] = true
	if s.writer != nil {
		s.writer.nudge()
	}
}

// writer brings changes to a Journal, in the background.
type writer struct {
	store *Store
	wake  chan struct{}
	// mu lets one write at a time. It is never taken under the Store's lock.
	mu      sync.Mutex
	journal Journal
	failing bool
	// owed are the holds that could not be written when they were ordered.
	owed []Revocation
}

func newWriter(s *Store, j Journal) *writer {
	return &writer{store: s, journal: j, wake: make(chan struct{}, 1)}
}

func (w *writer) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run saves what changed until stop is closed, and once more then.
func (w *writer) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			w.flush()
			return
		case <-w.wake:
		}
		wait := pause
		if err := w.flush(); err != nil {
			wait = troubled
			w.nudge()
		}
		select {
		case <-stop:
			w.flush()
			return
		case <-time.After(wait):
		}
	}
}

// flush saves all that changed. What could not be saved counts as changed.
func (w *writer) flush() error {
	for {
		some, err := w.write()
		if some {
			w.report(err)
		}
		if err != nil || !some {
			return err
		}
	}
}

// write writes the holds that are owed, or else the next batch of what changed.
// some is false if there was nothing to write.
func (w *writer) write() (some bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.owed = slices.DeleteFunc(w.owed, func(r Revocation) bool { return !now.Before(r.Until) })
	if len(w.owed) > 0 {
		if err := w.journal.Revoke(w.owed, nil); err != nil {
			return true, err
		}
		w.owed = nil
		return true, nil
	}
	changed, ended := w.take()
	if len(changed)+len(ended) == 0 {
		return false, nil
	}
	if err := w.journal.Save(changed, ended); err != nil {
		w.store.give(changed, ended)
		return true, err
	}
	return true, nil
}

// take gives the next batch of what changed.
func (w *writer) take() (changed []Record, ended []ID) {
	s := w.store
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for id := range s.dirty {
		if len(changed)+len(ended) == batch {
			break
		}
		delete(s.dirty, id)
		if n := s.byID[id]; n != nil {
			changed = append(changed, n.record(now))
		} else {
			ended = append(ended, id)
		}
	}
	return changed, ended
}

// give takes a batch back.
func (s *Store) give(changed []Record, ended []ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range changed {
		s.dirty[changed[i].ID] = true
	}
	for _, id := range ended {
		s.dirty[id] = true
	}
}

func (w *writer) revoke(holds []Revocation, ended []ID) error {
	w.mu.Lock()
	err := w.journal.Revoke(holds, ended)
	if err != nil {
		w.owed = append(w.owed, holds...)
		w.nudge()
	}
	w.mu.Unlock()
	w.report(err)
	return err
}

// report tells when writing begins to fail, and when it works again.
func (w *writer) report(err error) {
	w.mu.Lock()
	turned := w.failing != (err != nil)
	w.failing = err != nil
	w.mu.Unlock()
	if turned {
		w.store.config.Notify(check.JournalTurned{Err: err})
	}
}

// record is a session as the Journal keeps it. Its times are as long ago by the
// wall clock as they are by the clock that nobody sets.
func (n *session) record(now time.Time) Record {
	wall := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return now.Round(0).Add(-now.Sub(t))
	}
	r := Record{
		ID: n.id, Route: n.place.route, Host: n.place.host, Scheme: n.place.scheme, Stream: n.place.stream,
		Addr: n.asked.Addr, UserAgent: n.asked.UserAgent, ByAddress: n.place.viewer.userAgent == "" && n.asked.UserAgent != "",
		Path: n.asked.Path, Query: n.asked.Query, Method: n.asked.Method, Proxy: n.asked.Proxy,
		Backend: n.outcome.Backend, User: n.outcome.User, SessionName: n.outcome.SessionName,
		Started: wall(n.started), Last: wall(n.used()), Answered: wall(n.answered),
		AuthDuration: n.outcome.AuthDuration, Once: n.outcome.Once || n.provisional && n.rules.Once,
		Requests: n.requests, Provisional: n.provisional, Returned: wall(n.returned),
		Idle: n.rules.Idle, Max: n.rules.Max, Grace: n.rules.Grace,
		MaxSessions: n.outcome.MaxSessions, Unique: n.outcome.Unique, Held: wall(n.held),
	}
	if n.displaced() {
		// An altagate that knows of no Held must find it over.
		r.Max, r.Grace = time.Nanosecond, 0
	}
	for _, v := range n.from {
		r.Addrs = append(r.Addrs, v.addr)
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
	now := time.Now()
	c := clock{now: now, ahead: max(written.Sub(now), 0)}
	var kept []*session
	for i := range records {
		n := c.of(&records[i]).revived(&records[i])
		if why, over := n.over(now); over {
			s.restored(n)
			s.lost(n, why)
			continue
		}
		kept = append(kept, n)
	}
	slices.SortFunc(kept, func(a, b *session) int { return a.last.Compare(b.last) })
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
	if n.displaced() {
		return
	}
	s.events = append(s.events, check.SessionStarted{SessionInfo: n.words(), Restored: true})
}

// lost tells of the end of a session that is not taken over.
func (s *Store) lost(n *session, why EndReason) {
	s.dirty[n.id] = true
	if n.displaced() {
		return
	}
	s.events = append(s.events, n.ended(why))
}

// clock turns the Journal's times into those of this process.
type clock struct {
	now time.Time
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

// lately is the latest time at which a session may have asked that a record has as
// last used at a time: for a limit it counts rather too long than not at all.
func (c clock) lately(last time.Time) time.Time {
	if at := c.here(last).Add(savedAtLeast); at.Before(c.now) {
		return at
	}
	return c.now
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
	at := c.here
	verdict := check.Allowed
	if r.Provisional {
		verdict = check.Unavailable
	}
	n := &session{
		id: r.ID, text: r.ID.String(), terms: newTerms(r.Query),
		rules:   &Rules{Route: r.Route, Idle: r.Idle, Max: r.Max, Grace: r.Grace, AllowUnavailable: r.Provisional, Once: r.Once},
		started: at(r.Started), last: at(r.Last), answered: at(r.Answered), returned: at(r.Returned), saved: at(r.Last),
		active: c.lately(r.Last), unsure: r.Held.IsZero(), since: at(r.Started), held: at(r.Held),
		requests: r.Requests, provisional: r.Provisional,
		outcome: check.Outcome{
			Verdict: verdict, Backend: r.Backend, User: r.User, SessionName: r.SessionName,
			AuthDuration: r.AuthDuration, Once: r.Once, Session: r.ID.String(),
			MaxSessions: r.MaxSessions, Unique: r.Unique,
		},
		asked: check.Request{
			Proxy: r.Proxy, Route: r.Route, Method: r.Method, Scheme: r.Scheme, Host: r.Host,
			Path: r.Path, Query: r.Query, Addr: r.Addr, UserAgent: r.UserAgent,
		},
	}
	n.place = place{route: r.Route, scheme: r.Scheme, host: r.Host, stream: r.Stream, viewer: viewer{addr: share(r.Addr), userAgent: r.UserAgent}}
	if r.ByAddress {
		n.place.viewer.userAgent = ""
	}
	for _, a := range r.Addrs {
		n.from = append(n.from, visit{a, at(r.Last)})
	}
	return n
}

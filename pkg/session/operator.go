package session

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Info describes a session to an operator. Nothing in it opens a session.
type Info struct {
	// ID is the X-Session-Id, 32 hex digits.
	ID          string     `json:"id"`
	Route       string     `json:"route"`
	Host        string     `json:"host"`
	Stream      string     `json:"stream"`
	Address     netip.Addr `json:"address"`
	UserAgent   string     `json:"user_agent"`
	User        string     `json:"user,omitempty"`
	Name        string     `json:"session_name,omitempty"`
	Backend     string     `json:"backend,omitempty"`
	Started     time.Time  `json:"started"`
	LastRequest time.Time  `json:"last_request"`
	// Requests counts those that were allowed, the first one included.
	Requests uint64 `json:"requests"`
	// Provisional is set while no backend has allowed the session: the policy did.
	Provisional bool `json:"provisional,omitempty"`
	// Active is set when it asked within the last 60 s, so that it counts for a limit.
	Active bool `json:"active"`
	// MaxSessions is how many viewers its user may have at a time; 0 means any number.
	MaxSessions int `json:"max_sessions,omitempty"`
	// Ended is set when the session is over and lives on only while its backend
	// cannot be asked.
	Ended bool `json:"ended,omitempty"`
}

// Filter chooses sessions; an empty field chooses all.
type Filter struct {
	Route, Host, Stream, User string
	// Address chooses by the viewer's address, IPv6 by /64.
	Address netip.Addr
}

func (s *Store) chosen(f *Filter, n *session) bool {
	at := s.scene(n)
	return !s.displaced(n) && (f.Route == "" || f.Route == at.route) && (f.Host == "" || f.Host == at.host) &&
		(f.User == "" || f.User == s.user(n).name) && (f.Stream == "" || f.Stream == at.stream.String()) &&
		(!f.Address.IsValid() || share(f.Address) == n.network())
}

// List gives the sessions that a filter chooses, in the order of their ids: those
// after the id given, at most limit of them. more tells whether there are others.
func (s *Store) List(f Filter, after string, limit int) (page []Info, more bool) {
	s.mu.Lock()
	defer s.unlock()
	var found []listed
	for r := ref(1); r < s.sessions.end(); r++ {
		if r%breath == 0 {
			s.unlock() // Checks go on meanwhile.
			s.mu.Lock()
		}
		n := s.sessions.look(r)
		if n == nil || !n.alive() || s.idText(n) <= after || !s.chosen(&f, n) {
			continue
		}
		if found = append(found, listed{s.idText(n), r}); len(found) > 2*limit+pageSlack {
			found, more = firstOf(found, limit), true
		}
	}
	found = slices.DeleteFunc(found, func(l listed) bool { return s.still(l) == nil })
	if found = firstOf(found, len(found)); len(found) > limit {
		found, more = found[:limit], true
	}
	now := time.Now()
	page = make([]Info, 0, len(found))
	for _, l := range found {
		page = append(page, s.info(s.still(l), now))
	}
	return page, more
}

// listed is a session that was found, and its id: where it was, another may be by now.
type listed struct {
	id string
	at ref
}

// still is the session that was found; nil if it is over.
func (s *Store) still(l listed) *session {
	if n := s.sessions.look(l.at); n != nil && n.alive() && s.idText(n) == l.id && !s.displaced(n) {
		return n
	}
	return nil
}

// breath is how many sessions List looks at before it gives the lock to checks.
const breath = 1024

// pageSlack is how many sessions more than two pages List holds before it drops
// those of later pages, so that a short page is not sorted at each session.
const pageSlack = 256

// firstOf gives the first sessions by their ids.
func firstOf(found []listed, limit int) []listed {
	slices.SortFunc(found, func(a, b listed) int { return cmp.Compare(a.id, b.id) })
	return found[:limit]
}

// Find gives one session by its X-Session-Id.
func (s *Store) Find(id string) (Info, bool) {
	s.mu.Lock()
	defer s.unlock()
	if n := s.withText(id); n != nil && !s.displaced(n) {
		return s.info(n, time.Now()), true
	}
	return Info{}, false
}

func (s *Store) info(n *session, now time.Time) Info {
	end, _ := s.end(n)
	limit := 0
	if n.account != 0 {
		limit = int(s.accounts.at(n.account).limit)
	}
	at, o := s.scene(n), s.outcome(n)
	return Info{
		ID: s.idText(n), Route: at.route, Host: at.host, Stream: at.stream.String(),
		Address: n.address(), UserAgent: s.agent(n),
		User: o.User, Name: o.SessionName, Backend: o.Backend,
		Started: s.time(n.started).Round(0), LastRequest: s.time(n.last).Round(0), Requests: uint64(n.requests),
		Provisional: n.provisional, Ended: s.moment(now) >= end,
		Active: s.moment(now).sub(n.last) < restless, MaxSessions: limit,
	}
}

// MaxHold is the longest time for which an operator's end can hold.
const MaxHold = 366 * 24 * time.Hour

// maxHolds bounds the ends that hold at a time.
const maxHolds = 100_000

// End ends one session, and keeps its id and its viewer off the stream for the
// time given; with user it keeps off whoever the backend knows by the same
// X-UserId, and ends all sessions of that user. It is on disk when End returns,
// where there is a Journal. ended are the sessions that it ended; none, and no
// error, if there is no such session.
func (s *Store) End(id string, hold time.Duration, user bool) (ended []string, err error) {
	s.mu.Lock()
	n := s.withText(id)
	if n == nil || s.displaced(n) {
		s.unlock()
		return nil, nil
	}
	chosen := []*session{n}
	holds := s.holdViewer(n, hold)
	if name := s.user(n).name; user && name != "" {
		chosen = s.choose(func(other *session) bool { return other == n || s.user(other).name == name })
		holds = append(holds, holdUser(name, hold)...)
	}
	return s.endAll(chosen, holds)
}

// EndUser ends all sessions of the user that backends know by an X-UserId, and
// keeps the user off for the time given, with whatever token.
func (s *Store) EndUser(user string, hold time.Duration) (ended []string, err error) {
	if user == "" {
		return nil, nil // Nobody: backends that do not say who watches leave it empty.
	}
	s.mu.Lock()
	return s.endAll(s.choose(func(n *session) bool { return s.user(n).name == user }), holdUser(user, hold))
}

// EndStream ends all sessions on a stream of a route, and keeps their viewers
// off it for the time given. The stream is named as Info does; an empty host
// means every host.
func (s *Store) EndStream(route, host, name string, hold time.Duration) (ended []string, err error) {
	s.mu.Lock()
	f := Filter{Route: route, Host: host, Stream: name}
	chosen := s.choose(func(n *session) bool { return s.chosen(&f, n) })
	var holds []Revocation
	for _, n := range chosen {
		holds = append(holds, s.holdViewer(n, hold)...)
	}
	return s.endAll(chosen, holds)
}

func (s *Store) choose(takes func(*session) bool) []*session {
	var chosen []*session
	for r := ref(1); r < s.sessions.end(); r++ {
		if n := s.sessions.look(r); n != nil && n.alive() && !s.displaced(n) && takes(n) {
			chosen = append(chosen, n)
		}
	}
	return chosen
}

// holdViewer is the hold against a session's id and its viewer on its stream.
func (s *Store) holdViewer(n *session, hold time.Duration) []Revocation {
	if hold <= 0 {
		return nil
	}
	p := s.place(n)
	return []Revocation{{
		Session: s.id(n), Viewer: p.viewer.addr.prefix(), UserAgent: p.viewer.userAgent,
		Route: p.route, Scheme: p.scheme, Host: p.host, Stream: p.stream, Until: time.Now().Add(hold),
	}}
}

// holdUser is the hold against a user. It may last for longer than the session or the
// request that has the name, and keeps nothing of them.
func holdUser(user string, hold time.Duration) []Revocation {
	if hold <= 0 {
		return nil
	}
	return []Revocation{{User: strings.Clone(user), Until: time.Now().Add(hold)}}
}

// endAll ends sessions and puts the holds into force, then waits until the
// Journal has both. It is called with the lock held and releases it.
func (s *Store) endAll(chosen []*session, holds []Revocation) (ended []string, err error) {
	s.holds.forget(time.Now())
	if held := s.holds.count(); held+len(holds) > maxHolds {
		s.unlock()
		return nil, fmt.Errorf("%d ends hold already, and %d is the most: end with a shorter time or wait", held, maxHolds)
	}
	for _, h := range holds {
		s.holds.add(h)
	}
	ids := make([]ID, 0, len(chosen))
	for _, n := range chosen {
		ids = append(ids, s.id(n))
		ended = append(ended, s.idText(n))
		s.finish(n, Operator)
	}
	s.unlock()
	slices.Sort(ended)
	if s.writer == nil || len(ids)+len(holds) == 0 {
		return ended, nil
	}
	if err := s.writer.revoke(holds, ids); err != nil {
		return ended, fmt.Errorf("ended, but not on disk, so a restart would undo it: %w", err)
	}
	return ended, nil
}

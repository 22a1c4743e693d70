package session

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
)

const (
	// restless is how recently a session must have been used never to go.
	restless = 60 * time.Second
	// One address holds at most a hundredth of the bound, and at least minShare.
	shareOf  = 100
	minShare = 256
)

// Config is what a Store is made of. Of the functions only Notify and Ask must
// be there.
type Config struct {
	// Limit bounds the sessions; 0 means DefaultLimit.
	Limit int
	// Keys sign the ids that viewers carry; nil means that none are.
	Keys *Keys
	// Notify gets check.SessionStarted and check.SessionEnded. It is called
	// without a lock, from many goroutines at once.
	Notify func(check.Event)
	// Ask puts a session's question in the background, and tells Renew the
	// outcome. It must not call Join or Settle for the same session.
	Ask func(*Question)
	// Away tells whether all the backends of a route are away; nil means that they
	// never are. It is called with the Store's lock held, and must not block.
	Away func(route string) bool
	// Journal keeps sessions over a restart; nil means that nothing does.
	Journal Journal
}

// Store holds sessions. It is safe for concurrent use.
type Store struct {
	config Config

	mu     sync.Mutex
	byID   map[ID]*session
	groups map[place]*group
	exact  map[exact]*session
	users  map[user]*account
	shares map[netip.Prefix]*list.List
	// paid and provisional hold every session, the last used first.
	paid, provisional *list.List
	agenda            agenda
	denials           denials
	holds             holds
	// buffers are room for the streams that a path may belong to.
	buffers sync.Pool
	// events are told once the lock is released.
	events []check.Event
	dirty  map[ID]bool
	// hidden is the address that holds most sessions, while one does; hinted names
	// the routes whose operators were told that a layout may be missing.
	hidden netip.Prefix
	hinted map[string]bool

	wake chan struct{} // the agenda has a new first
	stop chan struct{}
	// closing closes stop once.
	closing sync.Once
	ended   sync.WaitGroup
	// background bounds the questions that no request waits for.
	background chan struct{}
	writer     *writer
}

// group are the sessions in one place, in the order of their start.
type group struct{ sessions []*session }

// exact finds the session in a group whose allowed query is a request's.
type exact struct {
	group *group
	query string
}

// places are where a session stands in the Store's indexes.
type places struct {
	group        *group
	used, shared *list.Element
	// counted is the place among the sessions of the account, which is the user's.
	user    user
	account *account
	counted *list.Element
	agenda  int // the index in the agenda
	at      time.Time
}

// maxBackground is how many questions at a time no request waits for.
const maxBackground = 32

// New makes a Store with what its Journal has, and begins to end sessions in the
// background. Close ends that.
func New(c Config) (*Store, error) {
	c.Limit = orDefaultInt(c.Limit, DefaultLimit)
	if c.Away == nil {
		c.Away = func(string) bool { return false }
	}
	s := &Store{
		config: c,
		byID:   map[ID]*session{}, groups: map[place]*group{}, exact: map[exact]*session{}, shares: map[netip.Prefix]*list.List{},
		users: map[user]*account{},
		paid:  list.New(), provisional: list.New(),
		denials: newDenials(c.Limit), holds: newHolds(), dirty: map[ID]bool{}, hinted: map[string]bool{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), background: make(chan struct{}, maxBackground),
	}
	s.buffers.New = func() any { return new([stream.MaxJoins]stream.Name) }
	if c.Journal != nil {
		if err := s.restore(c.Journal); err != nil {
			return nil, err
		}
		s.writer = newWriter(s, c.Journal)
		s.writer.nudge()
		s.ended.Go(func() { s.writer.run(s.stop) })
	}
	s.ended.Go(s.watch)
	return s, nil
}

func orDefaultInt(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Close ends the work in the background, and returns when the Journal has all
// that changed. Sessions do not end by it.
// It may be called again.
func (s *Store) Close() {
	s.closing.Do(func() { close(s.stop) })
	s.ended.Wait()
}

// SetKeys has other keys sign and read ids from now on. Ids that none of them has
// signed are as if absent.
func (s *Store) SetKeys(k *Keys) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.Keys = k
}

// unlock releases the lock, and tells what happened under it.
func (s *Store) unlock() {
	events := s.events
	s.events = nil
	s.mu.Unlock()
	for _, e := range events {
		s.config.Notify(e)
	}
}

// insert puts a session into every index. There is room for it.
func (s *Store) insert(n *session) {
	g := s.groups[n.place]
	if g == nil {
		g = &group{}
		s.groups[n.place] = g
	}
	g.sessions = append(g.sessions, n)
	n.places.group = g
	s.exact[exact{g, n.terms.query}] = n
	s.byID[n.id] = n
	n.places.used = s.order(n).PushFront(n)
	mine := s.shares[n.place.viewer.addr]
	if mine == nil {
		mine = list.New()
		s.shares[n.place.viewer.addr] = mine
	}
	n.places.shared = mine.PushFront(n)
	if !n.displaced() {
		s.enrol(n)
	}
	n.places.at = s.next(n, n.started)
	s.agenda.push(n)
	s.mark(n)
	if s.agenda.first() == n {
		s.nudge()
	}
}

// order is the list that a session stands in by its last use.
func (s *Store) order(n *session) *list.List {
	if n.provisional {
		return s.provisional
	}
	return s.paid
}

// remove takes a session out of every index.
func (s *Store) remove(n *session) {
	g := n.places.group
	if i := slices.Index(g.sessions, n); i >= 0 {
		g.sessions = slices.Delete(g.sessions, i, i+1)
	}
	if len(g.sessions) == 0 {
		delete(s.groups, n.place)
	}
	if key := (exact{g, n.terms.query}); s.exact[key] == n {
		delete(s.exact, key)
	}
	delete(s.byID, n.id)
	s.order(n).Remove(n.places.used)
	mine := s.shares[n.place.viewer.addr]
	mine.Remove(n.places.shared)
	if mine.Len() == 0 {
		delete(s.shares, n.place.viewer.addr)
	}
	s.disenrol(n)
	s.agenda.remove(n)
	n.places.group = nil
	s.mark(n)
}

// alive tells whether a session is in the Store.
func (n *session) alive() bool { return n.places.group != nil }

// finish ends a session, and says so, unless a limit has ended it before.
func (s *Store) finish(n *session, why EndReason) {
	s.remove(n)
	if n.displaced() {
		return
	}
	s.events = append(s.events, n.ended(why))
}

// ended is the event of a session's end.
func (n *session) ended(why EndReason) check.SessionEnded {
	return check.SessionEnded{SessionInfo: n.words(), Started: n.started, Last: n.last, Requests: n.requests, Reason: string(why)}
}

// words describes a session for events.
func (n *session) words() check.SessionInfo {
	return check.SessionInfo{
		ID: n.text, Route: n.place.route, Host: n.place.host, Stream: n.place.stream.String(),
		Addr: n.asked.Addr, UserAgent: n.asked.UserAgent, Backend: n.outcome.Backend,
		User: n.outcome.User, Name: n.outcome.SessionName, Provisional: n.provisional,
	}
}

// touch notes a request that is a session's, and has its question put in good time.
func (s *Store) touch(n *session, now time.Time) {
	n.requests++
	n.last = now
	s.keep(n, now)
	s.count(n, now)
	if s.wantsAnswer(n, now) && n.places.at.After(later(now, now)) {
		s.agenda.move(n, now)
		s.nudge()
	}
}

// spare notes a request that may be a session's. It is no reason to ask about it: a
// viewer who zapped would have all his old viewings asked about.
func (s *Store) spare(n *session, now time.Time) {
	n.spared = now
	s.keep(n, now)
}

// keep puts a session that was just used where it belongs.
func (s *Store) keep(n *session, now time.Time) {
	s.order(n).MoveToFront(n.places.used)
	s.shares[n.place.viewer.addr].MoveToFront(n.places.shared)
	if now.Sub(n.saved) >= n.savedEvery() {
		s.mark(n)
	}
}

// room makes room for a newcomer of an address, by ending the session that is
// idle for longest: of that address where the address has its share, else of
// all. A newcomer that nobody paid for takes no paid session's room. It reports
// false if nobody can go.
func (s *Store) room(addr netip.Prefix, provisional bool, now time.Time) bool {
	if mine := s.shares[addr]; mine != nil && mine.Len() >= max(s.config.Limit/shareOf, minShare) {
		return s.evict(mine, provisional, now)
	}
	full := s.paid.Len()+s.provisional.Len() >= s.config.Limit
	if provisional && (full || s.provisional.Len() >= s.config.Limit/2) {
		return s.evict(s.provisional, provisional, now)
	}
	return !full || s.evict(s.provisional, provisional, now) || s.evict(s.paid, provisional, now)
}

// evict ends the longest idle session of a list, if one may go. Among the paid ones
// of an address it looks for a provisional one only so far.
func (s *Store) evict(of *list.List, provisional bool, now time.Time) bool {
	tried := 0
	for e := of.Back(); e != nil && tried < maxCandidates; e = e.Prev() {
		tried++
		n := e.Value.(*session) //nolint:errcheck,forcetypeassert // The list holds nothing else.
		switch {
		case n.displaced():
			s.finish(n, Limit) // It keeps somebody out, and nobody watches by it.
			return true
		case now.Sub(n.used()) < restless:
			return false
		case provisional && !n.provisional:
		default:
			s.finish(n, Evicted)
			return true
		}
	}
	return false
}

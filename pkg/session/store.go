package session

import (
	"hash/maphash"
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
	// epoch is when the Store was made: its genesis.
	epoch time.Time
	seed  maphash.Seed

	mu       sync.Mutex
	sessions slab[session]
	accounts slab[account]
	// count is how many sessions there are.
	count int
	// byID, byPlace and byExact are of sessions, addresses of the last used of each
	// address, and users of accounts.
	byID, byPlace, byExact, addresses, users *table
	// paid and provisional hold every session.
	paid, provisional roll
	// What sessions have in common, and what is rare about some.
	ruled   words[*Rules]
	scenes  words[scene]
	agents  words[string]
	replies words[check.Outcome]
	rares   slab[rare]
	texts   texts
	agenda  agenda
	denials denials
	holds   holds
	// changes counts who came to and went from any account.
	changes uint64
	// buffers are room for the streams that a path may belong to.
	buffers sync.Pool
	// events are told once the lock is released.
	events []check.Event
	dirty  map[ID]bool
	// hidden is the address that holds most sessions, while one does; hinted names
	// the routes whose operators were told that a layout may be missing.
	hidden network
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

// places are where a session stands in the Store's indexes.
type places struct {
	// ref is the session's own.
	ref   ref
	rings [orders]ring
	// nextID, nextExact and nextAddress are the next sessions in buckets of byID, byExact
	// and addresses. Those of byPlace are linked both ways: newer is 0 for the first.
	nextID, nextExact, nextAddress ref
	newer, older                   ref
	// leads is how many sessions the address has, where this is its last used one,
	// else 0.
	leads uint32
	// account is its user's; 0 if it counts for none.
	account ref
	// inAgenda is where it stands in the agenda.
	inAgenda uint32
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
		config: c, epoch: time.Now(), seed: maphash.MakeSeed(),
		ruled: newWords[*Rules](), scenes: newWords[scene](), agents: newWords[string](), replies: newWords[check.Outcome](),
		denials: newDenials(c.Limit), holds: newHolds(), dirty: map[ID]bool{}, hinted: map[string]bool{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), background: make(chan struct{}, maxBackground),
	}
	s.agenda.slab = &s.sessions
	s.makeTables()
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

// now is the time as an instant.
func (s *Store) now() instant { return s.moment(time.Now()) }

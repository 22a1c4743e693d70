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
func (s *Store) savedEvery(n *session) time.Duration { return min(savedAtLeast, s.rules(n).idle()/4) }

// mark notes that a session is not in the Journal as it is. The lock is held.
func (s *Store) mark(n *session) {
	if s.config.Journal == nil {
		return
	}
	n.savedNow(s.used(n))
	s.dirty[s.id(n)] = true
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
		if n := s.withID(id); n != nil {
			changed = append(changed, s.record(n, now))
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

package gate

import (
	"sync"
	"sync/atomic"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/limit"
)

// source is a backend, which a reload keeps if its settings are the same. One
// that no config has any longer is closed when the calls to it have ended: what
// they get must not depend on a reload, neither their connections nor the probe
// that a failed question waits for.
type source struct {
	*backend.Backend
	// limiter bounds the questions to it.
	limiter    *limit.Limiter
	turnedAway turnedAway
	// warned lets it be reported once that callers wait for less time than the
	// backend may take.
	warned sync.Once
	// short counts the checks whose caller did.
	short atomic.Uint64
	// namelessOnce lets it be reported once that it names no users, and is to limit
	// them.
	namelessOnce sync.Once

	mu      sync.Mutex
	calls   int
	retired bool
}

// begin counts a call to the backend until end. It is false, and counts none,
// if a newer config without the backend is in force.
func (s *source) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.retired {
		s.calls++
	}
	return !s.retired
}

// end ends what begin began.
func (s *source) end() {
	s.mu.Lock()
	s.calls--
	last := s.retired && s.calls == 0
	s.mu.Unlock()
	if last {
		s.Close()
	}
}

// retire closes the backend, at once or with the end of the last call to it.
func (s *source) retire() {
	s.mu.Lock()
	s.retired = true
	idle := s.calls == 0
	s.mu.Unlock()
	if idle {
		s.Close()
	}
}

// reporting is notify for what the backend reports. That a retired one is there
// or away is no news: its name can be that of another backend now, or of none.
func (s *source) reporting(notify func(check.Event)) func(check.Event) {
	return func(e check.Event) {
		if _, turned := e.(check.Turned); turned && s.isRetired() {
			return
		}
		notify(e)
	}
}

func (s *source) isRetired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.retired
}

// begin counts a call to each backend of the line until end; false if one of
// them is retired.
func (l *line) begin() bool {
	for i, s := range l.sources {
		if !s.begin() {
			for _, begun := range l.sources[:i] {
				begun.end()
			}
			return false
		}
	}
	return true
}

func (l *line) end() {
	for _, s := range l.sources {
		s.end()
	}
}

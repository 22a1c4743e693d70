package telemetry

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/altagate/altagate/pkg/check"
)

// A flood of denials writes this many lines of a kind each second, so that no
// viewer fills the operator's disk, and one that says how many were left out.
const (
	linesPerSecond = 10
	summaryAfter   = time.Second
)

// sample is a kind of line; each kind has its own allowance, so that a flood of
// one does not hide another.
type sample struct {
	reason check.Reason
	allow  bool
	// observed is what the denial would have been for that a route let pass.
	observed check.Reason
	// shadow is set for what a shadow backend would have decided otherwise; allow
	// is what was decided then.
	shadow bool
	// restored is set for sessions that were kept over a restart, and nothing
	// else then.
	restored bool
}

// samples counts lines by kind. It is ready once summary is set.
type samples struct {
	// summary gets how many lines of a kind were left out in the last second
	// of a flood. It is called from a goroutine of its own.
	summary func(kind sample, leftOut int)

	mu    sync.Mutex
	kinds map[sample]*allowance
}

type allowance struct {
	bucket  *rate.Limiter
	leftOut int
}

// take says whether a line of this kind may be written now.
func (s *samples) take(kind sample) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.kinds[kind]
	if !ok {
		if s.kinds == nil {
			s.kinds = make(map[sample]*allowance)
		}
		a = &allowance{bucket: rate.NewLimiter(linesPerSecond, linesPerSecond)}
		s.kinds[kind] = a
	}
	if a.bucket.Allow() {
		return true
	}
	if a.leftOut++; a.leftOut == 1 {
		time.AfterFunc(summaryAfter, func() { s.flush(kind, a) })
	}
	return false
}

func (s *samples) flush(kind sample, a *allowance) {
	s.mu.Lock()
	leftOut := a.leftOut
	a.leftOut = 0
	s.mu.Unlock()
	s.summary(kind, leftOut)
}

package telemetry

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	// maxQueued lines wait for a log that is slow to take them.
	maxQueued = 1024
	// maxLasting is the bound for lines that cannot be had again, as those of
	// sessions: about 10 MB.
	maxLasting = 16 << 10
	// flushTime bounds the wait for such a log at the end.
	flushTime = time.Second
)

// queue writes lines in the background. A log that takes none, a full pipe for
// example, holds up no check: lines beyond a bound are dropped and counted.
type queue struct {
	to io.Writer
	// dropped gets the count when lines are taken again.
	dropped func(lines int)

	mu      sync.Mutex
	lines   [][]byte
	lost    int
	writing chan struct{} // closed when the lines are written; nil if none wait
}

// Write takes a line while fewer than maxQueued wait.
func (q *queue) Write(line []byte) (int, error) { return q.add(line, maxQueued) }

// lasting is a queue for lines that cannot be had again.
type lasting struct{ *queue }

// Write takes a line while fewer than maxLasting wait.
func (l lasting) Write(line []byte) (int, error) { return l.add(line, maxLasting) }

// add never waits and never fails. It keeps a copy of line.
func (q *queue) add(line []byte, most int) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.lines) >= most {
		q.lost++
		return len(line), nil
	}
	q.lines = append(q.lines, bytes.Clone(line))
	if q.writing == nil {
		q.writing = make(chan struct{})
		go q.write(q.writing)
	}
	return len(line), nil
}

// write ends when no line is left, so that an idle queue has no goroutine.
func (q *queue) write(done chan struct{}) {
	defer close(done)
	for {
		q.mu.Lock()
		lines, lost := q.lines, q.lost
		q.lines, q.lost = nil, 0
		if len(lines) == 0 && lost == 0 {
			q.writing = nil
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		for _, line := range lines {
			q.to.Write(line) //nolint:errcheck // there is no other place to tell it
		}
		if lost > 0 {
			q.dropped(lost)
		}
	}
}

// flush waits until the lines are written, or for flushTime.
func (q *queue) flush() {
	q.mu.Lock()
	writing := q.writing
	q.mu.Unlock()
	if writing == nil {
		return
	}
	select {
	case <-writing:
	case <-time.After(flushTime):
	}
}

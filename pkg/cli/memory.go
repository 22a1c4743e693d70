package cli

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// mostGarbage is how much the heap may grow before it is collected, in percent
	// of what lives. What lives is small beside the garbage of checks, so that Go's
	// own 100 would have it collected many times a second.
	mostGarbage = 400
	// roomForGarbage bounds that in bytes, and leastGarbage from below: many sessions are
	// no reason to take more than their own memory. There is no pointer in one, so that
	// a collection costs hardly more with a million than with none, and garbage grows by
	// checks and not by sessions.
	roomForGarbage = 64 << 20
	leastGarbage   = 20
	// heapLooks is the time between two looks at what lives.
	heapLooks = time.Second
)

// limitMemory keeps the heap below nine tenths of the memory that a container has,
// unless the environment has a GOMEMLIMIT. It is about the whole process.
func limitMemory() {
	// Where no bound can be read there is none, as before.
	memlimit.Set() //nolint:errcheck // see above
}

// collectLess has the heap collected less often than Go would, until ctx ends. A
// GOGC in the environment stays in force.
func collectLess(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	before := debug.SetGCPercent(mostGarbage)
	defer debug.SetGCPercent(before)
	percent := mostGarbage
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	look := time.NewTicker(heapLooks)
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		metrics.Read(live)
		// Setting it stops the program for a moment.
		if want := garbageFor(live[0].Value.Uint64()); want < percent*9/10 || want > percent*11/10 {
			percent = want
			debug.SetGCPercent(percent)
		}
	}
}

// garbageFor is how much the heap may grow, in percent of the bytes that live.
func garbageFor(live uint64) int {
	percent := roomForGarbage * 100 / max(live, 1)
	return int(min(max(percent, leastGarbage), mostGarbage)) //nolint:gosec // 400 at the most
}

package session

import (
	"runtime"
	"testing"
)

// live is how many bytes of the heap are in use.
func live() uint64 {
	runtime.GC()
	runtime.GC() // What a pool holds goes with the second.
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestASessionTakesBoundedMemory is about a session with a user that is limited, whose
// texts are those of most.
func TestASessionTakesBoundedMemory(t *testing.T) {
	const sessions, most = 50_000, 360
	before := live()
	s, _ := filled(t, sessions)
	each := float64(live()-before) / sessions
	runtime.KeepAlive(s)
	if each > most {
		t.Errorf("%.0f bytes a session; %d is the most: docs/performance.md says what an operator must have", each, most)
	}
}

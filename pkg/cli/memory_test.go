package cli

import (
	"context"
	"runtime/metrics"
	"testing"
)

func TestTheHeapMayGrowByABoundedPart(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 1 << 20: 400, 16 << 20: 400, 32 << 20: 200, 64 << 20: 100, 256 << 20: 25, 1 << 30: 20} {
		if got := garbageFor(live); got != want {
			t.Errorf("with %d bytes that live by %d %%, want %d", live, got, want)
		}
	}
}

func TestTheEnvironmentSaysWhenToCollect(t *testing.T) {
	percent := func() int {
		now := []metrics.Sample{{Name: "/gc/gogc:percent"}} // To set it and back would undo what is set meanwhile.
		metrics.Read(now)
		return int(now[0].Value.Uint64())
	}
	before := percent()
	for env, want := range map[string]int{"": mostGarbage, "100": before, "off": before} {
		t.Setenv("GOGC", env)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			collectLess(ctx)
			close(ended)
		}()
		for env == "" && percent() != want {
			select {
			case <-ended:
				t.Fatal("it ended by itself")
			default:
			}
		}
		if got := percent(); got != want {
			t.Errorf("GOGC=%q: %d %%, want %d", env, got, want)
		}
		cancel()
		<-ended
		if got := percent(); got != before {
			t.Errorf("GOGC=%q: it left %d %%", env, got)
		}
	}
}

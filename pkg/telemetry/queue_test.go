package telemetry

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// stuck is a log that takes nothing until it is freed.
type stuck struct {
	free chan struct{}
	text strings.Builder
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.free
	return s.text.Write(p)
}

func TestALogThatTakesNothingHoldsUpNoCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuck{free: make(chan struct{})}
		tel, err := New(Config{Writer: w, Level: "debug"})
		if err != nil {
			t.Fatal(err)
		}
		tel.Record(viewer(), check.Decision{Allow: true}, 0)
		synctest.Wait()
		for range maxQueued + 100 {
			tel.Record(viewer(), check.Decision{Allow: true}, 0)
		}
		tel.Notify(check.Turned{Backend: "portal"})
		began := time.Now()
		tel.Flush()
		if took := time.Since(began); took != flushTime {
			t.Errorf("the end waited for %v", took)
		}
		close(w.free)
		tel.Flush()
		got := w.text.String()
		if lines := strings.Count(got, "\n"); lines != 1+maxQueued+1 || !strings.Contains(got, `"left_out":101`) {
			t.Errorf("%d lines: …%s", lines, got[max(0, len(got)-300):])
		}
	})
}

func TestLinesKeepTheirOrder(t *testing.T) {
	tel, w := started(t, Config{})
	for _, backend := range []string{"a", "b", "c"} {
		tel.Notify(check.Turned{Backend: backend, There: true, Up: true})
	}
	got := ""
	for _, line := range w.lines(t) {
		got += line["backend"].(string)
	}
	if got != "abc" {
		t.Errorf("got %s", got)
	}
}

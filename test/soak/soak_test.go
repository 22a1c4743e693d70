// Package soak has a thousand viewers play through the failures of their backend,
// while attackers send what breaks checks. altagate, nginx and Envoy are real
// processes with the shipped configs; between altagate and the backend stands a TCP
// proxy that follows a script of faults. For each answer an oracle knows what is
// right. Wrong answers are counted, and must be none; times are shown and nothing is
// asserted about them.
package soak

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/altagate/altagate/test/rig"
)

// plan is what one round does. The same seed makes the same script, viewers and
// attacks; what the machine makes of their order is its own.
type plan struct {
	seed               uint64
	viewers, attackers int
	// timeout is the backend's, and pace the mean time between a viewer's requests.
	timeout, pace time.Duration
	script        []step
}

// TestSoak runs rounds with fresh processes until the time is over. Each has the
// seed of the one before, and one more.
func TestSoak(t *testing.T) {
	chosen := os.Getenv("SOAK")
	if chosen == "" {
		t.Skip(`the environment variable SOAK is not set; "make soak" sets it`)
	}
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // Any number is a seed.
	if text := os.Getenv("SOAK_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("SOAK_SEED is %q: it must be a number that an earlier run printed", text)
		}
		seed = n
	}
	bin := build(t)
	if chosen == "short" {
		round(t, bin, shortPlan(seed))
		return
	}
	long, err := time.ParseDuration(chosen)
	if err != nil {
		t.Fatalf("SOAK is %q: it must be short, or a time such as 10m", chosen)
	}
	for end := time.Now().Add(long); time.Now().Before(end) && !t.Failed(); seed++ {
		p := longPlan(seed, time.Until(end))
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { round(t, bin, p) })
	}
}

// build builds altagate with the race detector, as the tests of test/e2e do.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "altagate")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-race", "-tags", "grpcnotrace", "-o", path, "./cmd/altagate")
	cmd.Dir = rig.Top
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building altagate: %v\n%s", err, out)
	}
	return path
}

// round plays one script from its beginning to its end, and judges the answers.
func round(t *testing.T, bin string, p plan) {
	t.Helper()
	t.Logf("SOAK_SEED=%d repeats this: %d viewers, %d attackers, backend timeout %s, faults for %s",
		p.seed, p.viewers, p.attackers, p.timeout, length(p.script))
	w := startWorld(t, bin, p)
	answers, slow := w.play(t)
	used := usage(t, w.altagate)
	w.stop(t)
	v := judge(evidence{
		answers: answers, checks: w.logged(t), aways: aways(t, w.altagate.Log(t)), phases: w.faults.timeline(),
		refusals: w.portal.refusals(), timeout: p.timeout, slow: slow,
	})
	v.report(t.Output())
	fmt.Fprintln(t.Output(), used)
	for _, kind := range wrongs() {
		if n := v.wrong[kind]; n > 0 {
			t.Errorf("%s: %d times, such as\n%s", kind, n, v.shown(kind))
		}
	}
	v.enough(t)
}

package bench

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/altagate/altagate/test/rig"
)

// cpuTime is the processor time that a program has used; none for no program.
// The kernel counts it in nanoseconds there, for each thread, where the usual
// /proc/PID/stat counts hundredths of a second.
func cpuTime(t *testing.T, p *rig.Process) time.Duration {
	t.Helper()
	if p == nil {
		return 0
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.PID()))
	if err != nil || len(threads) == 0 {
		t.Fatalf("the kernel does not say how much processor time process %d has used (%v)", p.PID(), err)
	}
	var sum time.Duration
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // The thread has ended meanwhile.
		}
		if err != nil {
			t.Fatal(err)
		}
		running, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(running, 10, 64)
		if err != nil {
			t.Fatalf("%s holds %q: %v", file, text, err)
		}
		sum += time.Duration(n)
	}
	return sum
}

// report prints the table of an edge.
func report(w io.Writer, edge string, k kind, p plan, rounds []round) {
	fmt.Fprintf(w, "a check through %s that %s: median (min..max) of %d rounds of %d s, %d connections, %d CPUs\n",
		edge, k.name, p.rounds, p.seconds, connections, runtime.NumCPU())
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\taltagate\tno work\taltagate / no work")
	for _, row := range []struct {
		name   string
		digits int
		value  func(sample) float64
	}{
		{"requests/s", 0, func(s sample) float64 { return s.rate }},
		{"p99, ms", 2, func(s sample) float64 { return s.p99ms }},
		{"CPU of the asked server, µs a check", 1, func(s sample) float64 { return s.cpu }},
		{"the same, with altagate's backend", 1, func(s sample) float64 { return s.cpu + s.backendCPU }},
	} {
		var altagate, noWork, ratio []float64
		for _, r := range rounds {
			a, n := row.value(r.altagate), row.value(r.noWork)
			altagate, noWork, ratio = append(altagate, a), append(noWork, n), append(ratio, a/n)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", row.name, spread(altagate, row.digits), spread(noWork, row.digits), spread(ratio, 2))
	}
	table.Flush()
}

// spread writes the median of some values, and between what they lie.
func spread(values []float64, digits int) string {
	s := slices.Sorted(slices.Values(values))
	median := (s[(len(s)-1)/2] + s[len(s)/2]) / 2
	return fmt.Sprintf("%.*f (%.*f..%.*f)", digits, median, digits, s[0], digits, s[len(s)-1])
}

package bench

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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

// result is a comparison with its rounds.
type result struct {
	comparison comparison
	rounds     []round
	// half are rounds at half of the load, where they were measured.
	half []round
}

// row is a measure.
type row struct {
	name   string
	digits int
	value  func(sample) float64
}

func rows() []row {
	return []row{
		{"requests/s", 0, func(s sample) float64 { return s.rate }},
		{"p99, ms", 2, func(s sample) float64 { return s.p99ms }},
		{"CPU of the asked server, µs a check", 1, func(s sample) float64 { return s.cpu }},
		{"the same, with altagate's backend", 1, func(s sample) float64 { return s.cpu + s.backendCPU }},
	}
}

// halfRows are those of a fixed rate.
func halfRows() []row {
	return []row{
		{"p50, ms", 2, func(s sample) float64 { return s.p50ms }},
		{"p90, ms", 2, func(s sample) float64 { return s.p90ms }},
		{"p99, ms", 2, func(s sample) float64 { return s.p99ms }},
		{"CPU of the asked server, µs a check", 1, func(s sample) float64 { return s.cpu }},
	}
}

// spreads are the two sides' values of a row, and what altagate has for one of the
// rival's. Where the rival has none, as a server of many processes has no CPU, it
// is false.
func spreads(rounds []round, of row) (altagate, rival, ratio string, ok bool) {
	var a, b, ratios []float64
	for _, one := range rounds {
		x, y := of.value(one.altagate), of.value(one.rival)
		if y == 0 {
			return "none", "none", "none", false
		}
		a, b, ratios = append(a, x), append(b, y), append(ratios, x/y)
	}
	return spread(a, of.digits), spread(b, of.digits), spread(ratios, 2), true
}

// print prints the table of a comparison.
func (r result) print(w io.Writer, p plan) {
	fmt.Fprintf(w, "%s: median (min..max) of %d rounds of %d s, %d connections, %d CPUs\n",
		r.comparison.title(), p.rounds, p.seconds, connections, runtime.NumCPU())
	r.table(w, r.rounds, rows())
	if r.half != nil {
		fmt.Fprintf(w, "at half of the load, %.0f requests/s:\n", r.half[0].altagate.rate)
		r.table(w, r.half, halfRows())
	}
}

func (r result) table(w io.Writer, rounds []round, rows []row) {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(table, "\taltagate\t%s\taltagate / %[1]s\n", r.comparison.against)
	for _, row := range rows {
		if altagate, rival, ratio, ok := spreads(rounds, row); ok {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", row.name, altagate, rival, ratio)
		}
	}
	table.Flush()
}

// spread writes the median of some values, and between what they lie.
func spread(values []float64, digits int) string {
	return fmt.Sprintf("%.*f (%.*f..%.*f)", digits, median(values), digits, slices.Min(values), digits, slices.Max(values))
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// page is where a full run writes what it found.
const page = "docs/benchmarks.md"

// write writes the page.
func (b *bench) write(t *testing.T) {
	t.Helper()
	var out strings.Builder
	fmt.Fprintf(&out, `# Benchmarks

Written by `+"`make bench`"+` on %s: %d CPUs (%s), %s, Linux %s, %s,
Envoy %s. What loads, the proxy, altagate and its backend share the CPUs, so that requests
a second say little by themselves: read the ratios, and the processor time.

Each row compares altagate with another server behind the same proxy, with the shipped
configs, %d connections and one worker of the proxy: median (least..most) of %d rounds of
%d s, in which the two take turns. "No work" is a server of the same library, with its
defaults, that answers at once: what cannot be had for less. "Backend itself" is nginx asking
the backend without altagate, for each request or, "cached", by proxy_cache, or Envoy asking
it over HTTP, as no backend speaks gRPC.
"Joins a session" is a request of one of 100 viewers whose session lives; "opens a
session" is one of a new viewer, which altagate asks the backend about. "none" is what
cannot be had: the processor time of a server of many processes, and percentiles of h2load.

| what | requests/s | beside | ratio | CPU µs a check | beside | ratio | p99 ratio |
|---|---|---|---|---|---|---|---|
`, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), processor(t), runtime.Version(), version(t, "uname", "-r"),
		version(t, "nginx", "-v"), envoyVersion(t), connections, b.plan.rounds, b.plan.seconds)
	for _, r := range b.done {
		rate, rivalRate, rates, _ := spreads(r.rounds, rows()[0])
		cpu, rivalCPU, cpus, _ := spreads(r.rounds, rows()[2])
		_, _, p99s, _ := spreads(r.rounds, rows()[1])
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.comparison.title(), rate, rivalRate, rates, cpu, rivalCPU, cpus, p99s)
	}
	b.writeHalf(&out)
	b.writeGrown(&out)
	if err := os.WriteFile(filepath.Join(rig.Top, page), []byte(out.String()), 0o644); err != nil { //nolint:gosec // a page for all
		t.Fatal(err)
	}
}

// writeHalf writes the table of the runs at half of the load.
func (b *bench) writeHalf(out *strings.Builder) {
	out.WriteString(`
At half of the load that the slower of the two can answer: each asker asks at times of his own,
whether the last answer came in time or not, and an answer's time counts from when its question
was due.

| what | requests/s | p50, ms | beside | p90, ms | beside | p99, ms | beside | CPU µs a check | beside |
|---|---|---|---|---|---|---|---|---|---|
`)
	for _, r := range b.done {
		if r.half == nil {
			continue
		}
		fmt.Fprintf(out, "| %s | %.0f |", r.comparison.title(), r.half[0].altagate.rate)
		for _, row := range halfRows() {
			altagate, rival, _, _ := spreads(r.half, row)
			fmt.Fprintf(out, " %s | %s |", altagate, rival)
		}
		out.WriteString("\n")
	}
}

// processor is the CPU's name.
func processor(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "model name")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimLeft(line, "\t :")
}

// version is the first line that a program prints about itself.
func version(t *testing.T, name string, args ...string) string {
	t.Helper()
	_, printed := rig.Run(t, rig.Program(t, name, "/usr/sbin/"+name), args...)
	line, _, _ := strings.Cut(strings.TrimSpace(printed), "\n")
	return strings.TrimPrefix(line, "nginx version: ")
}

// envoyVersion is the version alone of what Envoy prints about itself.
func envoyVersion(t *testing.T) string {
	t.Helper()
	_, printed := rig.Run(t, rig.Program(t, os.Getenv("ALTAGATE_TEST_ENVOY"), rig.Top+"/.deps/venv/bin/envoy", "envoy"), "--version")
	found := regexp.MustCompile(`/(\d+\.\d+\.\d+)/`).FindStringSubmatch(printed)
	if found == nil {
		t.Fatalf("Envoy says %q", printed)
	}
	return found[1]
}

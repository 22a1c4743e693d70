// Package bench measures what a check costs: requests through nginx and Envoy with
// the shipped configs, and without a proxy, once asking altagate and once asking a
// rival: a server that answers at once without work (nowork), or the backend itself.
// Both sides have the same origin, the same load and a proxy with one worker. Short
// rounds of both sides take turns, so that whatever else the machine does meets
// both. Nothing is asserted about speed.
package bench

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// connections is how many viewers' connections are kept busy.
const connections = 16

// plan is how long a run is. A short one leaves most comparisons out.
type plan struct {
	rounds, seconds int
	short           bool
}

func TestBench(t *testing.T) {
	plans := map[string]plan{"full": {5, 3, false}, "short": {3, 1, true}}
	chosen := os.Getenv("BENCH")
	if chosen == "" {
		t.Skip(`the environment variable BENCH is not set; "make bench" sets it`)
	}
	p, ok := plans[chosen]
	if !ok {
		t.Fatalf("BENCH is %q: it must be full or short", chosen)
	}
	b := bench{plan: p, bin: build(t)}
	b.origin = startOrigin(t)
	for _, c := range comparisons() {
		if p.short && !c.short {
			continue
		}
		t.Run(c.title(), func(t *testing.T) { b.compare(t, c) })
	}
	if p.short {
		return
	}
	t.Run("growth", b.sizes)
	// With -run some may be left out.
	if !t.Failed() && len(b.done) == len(comparisons()) {
		b.write(t)
	}
}

// bench is a run of all comparisons.
type bench struct {
	plan   plan
	bin    string // the directory of altagate and its tools
	origin string
	// done are the comparisons that have ended, with their rounds.
	done []result
	// grown is what a joined check costs with many sessions and routes.
	grown []size
	// ends is what a check waits for where many sessions end at once.
	ends string
}

// kind is what altagate does with each check.
type kind struct {
	name string
	// viewers is how many there are; 0 is one for each request.
	viewers int
}

func joins() kind { return kind{"joins a session", 100} }

// opens is a kind in which each request is one of a new viewer.
func opens() kind { return kind{"opens a session", 0} }

// compare takes turns between the two sides, and reports.
func (b *bench) compare(t *testing.T, c comparison) {
	t.Helper()
	rival, tested := c.rival(t, b, c), b.altagate(t, c)
	rival.paced, tested.paced = filepath.Join(b.bin, "paced"), filepath.Join(b.bin, "paced")
	k := c.kind
	c.edge.load(t, rival, k, "warm-up", 1)
	c.edge.load(t, tested, k, "warm-up", 1)
	var rounds []round
	for i := range b.plan.rounds {
		name := "round" + strconv.Itoa(i+1)
		if k.viewers > 0 {
			name = "viewers" // The same in each round, so that their sessions are there.
		}
		rounds = append(rounds, round{
			altagate: c.edge.load(t, tested, k, name, b.plan.seconds),
			rival:    c.edge.load(t, rival, k, name, b.plan.seconds),
		})
	}
	var half []round
	if c.half && !b.plan.short {
		half = b.halfLoad(t, c, tested, rival)
	}
	if k.viewers == 0 {
		tested.allChecked(t, tested.requests)
	} else if asked, counts := tested.answered(t); counts && asked > tested.requests/2 {
		t.Errorf("%d of %d requests were asked about: they did not join sessions", asked, tested.requests)
	}
	if c.against == noWorkServer {
		rival.allChecked(t, rival.requests)
	}
	if t.Failed() {
		return
	}
	r := result{comparison: c, rounds: rounds, half: half}
	b.done = append(b.done, r)
	r.print(t.Output(), b.plan)
}

// halfLoad takes turns between the two sides, at half of the rate at which the slower of
// them answers these very askers: there an answer waits for other work, and not for a
// processor. The load before it may come in batches that cost less.
func (b *bench) halfLoad(t *testing.T, c comparison, tested, rival *side) (half []round) {
	t.Helper()
	q := c.edge.question(t)
	rate := tested.atRate(t, q, c.kind, "paced", 0, b.plan.seconds).rate
	rate = min(rate, rival.atRate(t, q, c.kind, "paced", 0, b.plan.seconds).rate)
	for range b.plan.rounds {
		half = append(half, round{
			altagate: tested.atRate(t, q, c.kind, "paced", rate/2, b.plan.seconds),
			rival:    rival.atRate(t, q, c.kind, "paced", rate/2, b.plan.seconds),
		})
	}
	return half
}

// build builds altagate as it is released, and what is measured with, and gives their
// directory.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-trimpath", "-ldflags", "-s -w",
		"-o", dir, "./cmd/altagate", "./test/bench/nowork", "./test/bench/paced")
	cmd.Dir = rig.Top
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building altagate and its tools: %v\n%s", err, out)
	}
	return dir
}

// side is a proxy and the server that it asks.
type side struct {
	// address is where viewers ask the proxy.
	address string
	// asked is the server whose work is measured; nil if it is a backend that is
	// not one process.
	asked *rig.Process
	// backend is what altagate asks; nil where there is none that is one process.
	backend *rig.Process
	// counter counts what it answered, and nobody asks anything behind it; nil if
	// there is none.
	counter *rig.Process
	// requests is how many viewers' requests were answered.
	requests int
	// paced is the program that asks at a fixed rate.
	paced string
}

// sample is what one round of one side gave. Processor times are in
// microseconds for each request.
type sample struct {
	rate float64
	// p50ms and p90ms are known where the rate was fixed.
	p50ms, p90ms, p99ms float64
	cpu, backendCPU     float64
}

// round is one sample of each side, taken one after the other.
type round struct{ altagate, rival sample }

// allChecked ends the side, and fails the test if fewer checks reached the last
// server than viewers' requests were answered: then something else answered.
func (s *side) allChecked(t *testing.T, requests int) {
	t.Helper()
	if answered, counts := s.answered(t); counts && answered < requests {
		t.Errorf("%d requests had an answer, but only %d a check of their own", requests, answered)
	}
}

// answered ends the side's last server, and gives how many checks reached it, if it
// counts them.
func (s *side) answered(t *testing.T) (n int, counts bool) {
	t.Helper()
	last := s.counter
	if last == nil {
		return 0, false
	}
	last.Stop(t)
	found := regexp.MustCompile(`(?m)^answered (\d+)$`).FindStringSubmatch(last.Log(t))
	if found == nil {
		t.Fatalf("nowork did not say how many it answered:\n%s", last.Log(t))
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n, true
}

// allows waits until the proxy lets a viewer in.
func (s *side) allows(t *testing.T) {
	t.Helper()
	rig.Until(t, "an answer 200 from "+s.address, func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.address+"/live/index.m3u8?token=first", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "tv.example.com"
		return status(req) == http.StatusOK
	})
}

// status is the status of the answer, and 0 if there is none.
func status(req *http.Request) int {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// startOrigin starts what both proxies protect: the cheapest answer there is.
func startOrigin(t *testing.T) string {
	t.Helper()
	dir, address := rig.TempDir(t), rig.FreeAddress(t)
	conf := rig.Write(t, filepath.Join(dir, "origin.conf"), "server { listen "+address+"; access_log off; return 200; }\n")
	rig.Nginx(t, dir, conf, address)
	return address
}

// Package bench measures what a check costs: requests through nginx and Envoy
// with the shipped configs, once asking altagate and once asking a server that
// answers at once without work (nowork). Both sides have the same origin, the
// same load and a proxy with one worker; altagate asks a backend, which does no
// work either. Short rounds of both sides take turns, so that whatever else the
// machine does meets both. Nothing is asserted about speed.
package bench

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// connections is how many viewers' connections wrk keeps busy.
const connections = 16

// plan is how long a run is.
type plan struct{ rounds, seconds int }

func TestBench(t *testing.T) {
	plans := map[string]plan{"full": {7, 3}, "short": {3, 1}}
	chosen := os.Getenv("BENCH")
	if chosen == "" {
		t.Skip(`the environment variable BENCH is not set; "make bench" sets it`)
	}
	p, ok := plans[chosen]
	if !ok {
		t.Fatalf("BENCH is %q: it must be full or short", chosen)
	}
	wrk := rig.Program(t, "wrk")
	bin := build(t)
	for _, e := range edges() {
		t.Run(e.name, func(t *testing.T) {
			origin := startOrigin(t)
			rival := e.withNoWork(t, bin, origin)
			for _, c := range cases() {
				compare(t, wrk, p, e, c, rival, e.withAltagate(t, bin, origin, c))
			}
			rival.allChecked(t, rival.requests)
		})
	}
}

// kind is what altagate does with each check.
type kind struct {
	name string
	// join is the route's.
	join string
	// viewers is how many there are; 0 is one for each request.
	viewers int
}

func cases() []kind {
	return []kind{
		{"joins a session", "[token, client]", 100},
		{"asks the backend", "[]", 0},
	}
}

// compare takes turns between the two sides, and reports.
func compare(t *testing.T, wrk string, p plan, e edge, k kind, rival, tested *side) {
	t.Helper()
	var rounds []round
	rival.run(t, wrk, k, "warm-up", 1)
	tested.run(t, wrk, k, "warm-up", 1)
	for i := range p.rounds {
		name := fmt.Sprintf("round%d", i+1)
		if k.viewers > 0 {
			name = "viewers" // The same in each round, so that their sessions are there.
		}
		rounds = append(rounds, round{
			altagate: tested.run(t, wrk, k, name, p.seconds),
			noWork:   rival.run(t, wrk, k, name, p.seconds),
		})
	}
	if k.viewers == 0 {
		tested.allChecked(t, tested.requests)
	} else if asked := tested.answered(t); asked > tested.requests/2 {
		t.Errorf("%d of %d requests were asked about: they did not join sessions", asked, tested.requests)
	}
	if !t.Failed() {
		report(t.Output(), e.name, k, p, rounds)
	}
}

// build builds altagate as it is released, and nowork, and gives their directory.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-trimpath", "-ldflags", "-s -w",
		"-o", dir, "./cmd/altagate", "./test/bench/nowork")
	cmd.Dir = rig.Top
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building altagate and nowork: %v\n%s", err, out)
	}
	return dir
}

// side is a proxy and the server that it asks.
type side struct {
	// address is where viewers ask the proxy.
	address string
	// asked is the server whose work is measured.
	asked *rig.Process
	// backend is what altagate asks, and nil where there is none.
	backend *rig.Process
	// requests is how many viewers' requests were answered.
	requests int
}

// sample is what one round of one side gave. Processor times are in
// microseconds for each request.
type sample struct {
	rate, p99ms     float64
	cpu, backendCPU float64
}

// round is one sample of each side, taken one after the other.
type round struct{ altagate, noWork sample }

// run puts load on the proxy for some seconds. A request that is not answered
// well fails the test.
func (s *side) run(t *testing.T, wrk string, k kind, name string, seconds int) sample {
	t.Helper()
	asked, backend := cpuTime(t, s.asked), cpuTime(t, s.backend)
	args := []string{
		"-t", "1", "-c", strconv.Itoa(connections), "-d", strconv.Itoa(seconds) + "s",
		"-s", "testdata/viewer.lua", "http://" + s.address, "--", name,
	}
	if k.viewers > 0 {
		args = append(args, strconv.Itoa(k.viewers))
	}
	code, printed := rig.Run(t, wrk, args...)
	asked, backend = cpuTime(t, s.asked)-asked, cpuTime(t, s.backend)-backend
	line := regexp.MustCompile(`(?m)^result .*$`).FindString(printed)
	var requests, took, p99, refused, broken int
	_, err := fmt.Sscanf(line, "result %d %d %d %d %d", &requests, &took, &p99, &refused, &broken)
	if code != 0 || err != nil {
		t.Fatalf("wrk ended with code %d and printed\n%s", code, printed)
	}
	if requests == 0 || refused != 0 || broken != 0 {
		t.Fatalf("of %d requests %d were answered by a status of 400 or above; %d sockets failed", requests, refused, broken)
	}
	s.requests += requests
	return sample{
		rate:       float64(requests) / float64(took) * 1e6,
		p99ms:      float64(p99) / 1000,
		cpu:        float64(asked.Microseconds()) / float64(requests),
		backendCPU: float64(backend.Microseconds()) / float64(requests),
	}
}

// allChecked ends the side, and fails the test if fewer checks reached the last
// server than viewers' requests were answered: then something else answered.
func (s *side) allChecked(t *testing.T, requests int) {
	t.Helper()
	if answered := s.answered(t); answered < requests {
		t.Errorf("%d requests had an answer, but only %d a check of their own", requests, answered)
	}
}

// answered ends the side's last server, and gives how many checks reached it.
func (s *side) answered(t *testing.T) int {
	t.Helper()
	last := s.asked
	if s.backend != nil {
		last = s.backend
	}
	last.Stop(t)
	found := regexp.MustCompile(`(?m)^answered (\d+)$`).FindStringSubmatch(last.Log(t))
	if found == nil {
		t.Fatalf("nowork did not say how many it answered:\n%s", last.Log(t))
	}
	answered, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return answered
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

package bench

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// load puts load on a side for some seconds. A request that is not answered well
// fails the test.
type load func(t *testing.T, s *side, k kind, name string, seconds int) sample

// throughProxy has viewers ask a proxy, by wrk.
func throughProxy(t *testing.T, s *side, k kind, name string, seconds int) sample {
	t.Helper()
	return byWrk(t, s, k, "viewer.lua", name, seconds)
}

// directly has a proxy's checks put over HTTP, by wrk.
func directly(t *testing.T, s *side, k kind, name string, seconds int) sample {
	t.Helper()
	return byWrk(t, s, k, "check.lua", name, seconds)
}

func byWrk(t *testing.T, s *side, k kind, script, name string, seconds int) sample {
	t.Helper()
	args := []string{
		"-t", "1", "-c", strconv.Itoa(connections), "-d", strconv.Itoa(seconds) + "s", "--timeout", "20s",
		"-s", "testdata/" + script, "http://" + s.address, "--", name,
	}
	if k.viewers > 0 {
		args = append(args, strconv.Itoa(k.viewers))
	}
	return s.measured(t, func() (requests int, rate, p99ms float64) {
		code, printed := rig.Run(t, rig.Program(t, "wrk"), args...)
		line := regexp.MustCompile(`(?m)^result .*$`).FindString(printed)
		var took, p99, refused, broken int
		_, err := fmt.Sscanf(line, "result %d %d %d %d %d", &requests, &took, &p99, &refused, &broken)
		if code != 0 || err != nil {
			t.Fatalf("wrk ended with code %d and printed\n%s", code, printed)
		}
		if requests == 0 || refused != 0 || broken != 0 {
			t.Fatalf("of %d requests %d were answered by a status of 400 or above; %d sockets failed", requests, refused, broken)
		}
		return requests, float64(requests) / float64(took) * 1e6, float64(p99) / 1000
	})
}

// directlyOverGRPC has one check put over gRPC again and again, by h2load: as many
// at once as wrk has connections, on four.
func directlyOverGRPC(t *testing.T, s *side, k kind, name string, seconds int) sample {
	t.Helper()
	if k.viewers == 0 {
		return s.atRate(t, checkOverGRPC(t), k, name, 0, seconds) // h2load has one question only.
	}
	args := []string{
		"-t", "1", "-c", "4", "-m", strconv.Itoa(connections / 4), "-D", strconv.Itoa(seconds),
		"-d", checkFile(t), "-H", "content-type: application/grpc", "-H", "te: trailers", "-H", "grpc-timeout: 1S",
		"http://" + s.address + "/envoy.service.auth.v3.Authorization/Check",
	}
	return s.measured(t, func() (requests int, rate, p99ms float64) {
		code, printed := rig.Run(t, rig.Program(t, "h2load"), args...)
		totals := regexp.MustCompile(`, (\d+) succeeded, (\d+) failed`).FindStringSubmatch(printed)
		rates := regexp.MustCompile(`([\d.]+) req/s`).FindStringSubmatch(printed)
		if code != 0 || totals == nil || rates == nil || totals[2] != "0" {
			t.Fatalf("h2load ended with code %d and printed\n%s", code, printed)
		}
		requests, err := strconv.Atoi(totals[1])
		if err != nil {
			t.Fatal(err)
		}
		if rate, err = strconv.ParseFloat(rates[1], 64); err != nil {
			t.Fatal(err)
		}
		return requests, rate, 0
	})
}

// measured adds what the servers of a side used meanwhile.
func (s *side) measured(t *testing.T, run func() (requests int, rate, p99ms float64)) sample {
	t.Helper()
	asked, backend := cpuTime(t, s.asked), cpuTime(t, s.backend)
	requests, rate, p99 := run()
	asked, backend = cpuTime(t, s.asked)-asked, cpuTime(t, s.backend)-backend
	s.requests += requests
	each := float64(requests)
	return sample{rate: rate, p99ms: p99, cpu: float64(asked.Microseconds()) / each, backendCPU: float64(backend.Microseconds()) / each}
}

// question is what is asked by paced: a file with VIEWER in it.
type question struct {
	file string
	// grpc is set if the file holds a CheckRequest.
	grpc bool
}

func viewersQuestion(*testing.T) question { return question{file: "testdata/viewer.head"} }
func checkQuestion(*testing.T) question   { return question{file: "testdata/check.head"} }

func checkOverGRPC(t *testing.T) question {
	t.Helper()
	return question{rig.Write(t, filepath.Join(t.TempDir(), "check.bin"), string(checkMessage(t, "VIEWER"))), true}
}

// atRate has a question asked so many times a second, however long the answers take; 0
// means as often as it goes.
func (s *side) atRate(t *testing.T, q question, k kind, name string, rate float64, seconds int) sample {
	t.Helper()
	args := []string{
		"-address", s.address, "-request", q.file, "-grpc=" + strconv.FormatBool(q.grpc), "-name", name, "-viewers", strconv.Itoa(k.viewers),
		"-askers", strconv.Itoa(connections), "-rate", strconv.FormatFloat(rate, 'f', 0, 64), "-for", strconv.Itoa(seconds) + "s",
	}
	var p50, p90 float64
	one := s.measured(t, func() (requests int, achieved, p99ms float64) {
		code, printed := rig.Run(t, s.paced, args...)
		var took, at50, at90, at99, denials int
		_, err := fmt.Sscanf(printed, "result %d %d %d %d %d %d", &requests, &took, &at50, &at90, &at99, &denials)
		if code != 0 || err != nil || denials > 0 {
			t.Fatalf("paced ended with code %d and printed\n%s", code, printed)
		}
		p50, p90 = float64(at50)/1000, float64(at90)/1000
		return requests, float64(requests) / float64(took) * 1e6, float64(at99) / 1000
	})
	one.p50ms, one.p90ms = p50, p90
	return one
}

// checkFile is a file with one check as Envoy's shipped config sends it, framed for
// gRPC.
func checkFile(t *testing.T) string {
	t.Helper()
	return rig.Write(t, filepath.Join(t.TempDir(), "check.bin"), string(framed(t)))
}

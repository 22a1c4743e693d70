package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/test/rig"
)

// TestWhatABackendDoesDecides asks through each kind of proxy, under both
// policies, with a backend that answers as no backend should.
func TestWhatABackendDoesDecides(t *testing.T) {
	const denied, allowed = "deny backend", "allow backend"
	garbage := says("\x16\x03\x01garbage\r\n\r\n")
	cases := []struct {
		name            string
		question, probe act // nil: the connection is refused
		// deny and allow are the decision and the reason under each policy.
		deny, allow string
	}{
		{"answers 204", status(204), status(200), denied, denied},
		{"answers 302", status(302), status(200), denied, denied},
		{"answers 404", status(404), status(200), denied, denied},
		{"answers 500", status(500), status(200), denied, denied},
		{"answers 500 to the probe too", status(500), status(500), denied, denied},
		{"allows with 10 MB of body", big(200), status(200), allowed, allowed},
		{"denies with 10 MB of body", big(403), status(200), denied, denied},
		{"hangs up on questions, and is there", reset, status(200), "deny unanswered", "deny unanswered"},
		{"answers questions with garbage, and is there", garbage, status(200), "deny unanswered", "deny unanswered"},
		{"hangs on questions, and is there", hung, status(200), "deny unanswered", "deny unanswered"},
		{"refuses", nil, nil, "deny default", "allow default"},
		{"hangs up", reset, reset, "deny default", "allow default"},
		{"answers garbage", garbage, garbage, "deny default", "allow default"},
	}
	for _, e := range tcpEdges() {
		for _, policy := range []string{"deny", "allow"} {
			t.Run(e.file+" "+policy, func(t *testing.T) {
				t.Parallel()
				for _, c := range cases {
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						want := c.deny
						if policy == "allow" {
							want = c.allow
						}
						backendDoes(t, e, policy, c.question, c.probe, want)
					})
				}
			})
		}
	}
}

func backendDoes(t *testing.T, e edge, policy string, question, probe act, want string) {
	url := "http://" + rig.FreeAddress(t) + "/"
	if question != nil {
		url = startFake(t, question, probe).url()
	}
	a := serve(t, e.unix, "--backend", url, "--on-unavailable", policy)
	o := startOrigin(t)
	v := viewer{edge: e.start(t, e, a, o.address)}
	decision, reason, _ := strings.Cut(want, " ")
	wantStatus := map[string]int{"allow": 200, "deny": 403}[decision]
	// The second asks when altagate has made up its mind.
	for i := range 2 {
		got := v.get(t, fmt.Sprintf("/live/index.m3u8?token=12%d", i))
		if reached := len(o.take()) == 1; got.status != wantStatus || reached != (decision == "allow") {
			t.Errorf("status %d, want %d; the origin was reached: %t", got.status, wantStatus, reached)
		}
	}
	if n := a.decided(t, decision, reason); n != 2 {
		_, metrics := a.ask(t, "/metrics")
		t.Errorf("%v checks ended in %q, want 2:\n%s", n, want, grep(metrics, "altagate_checks_total"))
	}
}

func grep(text, word string) string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

// TestASlowBackendAndTheDeadlineOfEnvoy takes Envoy's own default of 200 ms in
// place of the shipped timeout.
func TestASlowBackendAndTheDeadlineOfEnvoy(t *testing.T) {
	f := startFake(t, slowly(time.Second, status(200)), status(200))
	a := serve(t, false, "--backend", f.url())
	o := startOrigin(t)
	e := edges[3]
	v := viewer{edge: e.start(t, e, a, o.address, rig.Swap{"timeout: 5s", "timeout: 0.2s"})}
	if got := v.get(t, "/live/index.m3u8?token=123"); got.status != 503 {
		t.Errorf("status %d, want 503", got.status)
	}
	if n := a.decided(t, "deny", "late"); n != 1 {
		t.Errorf("%v checks were late, want 1", n)
	}
	if len(o.take()) > 0 {
		t.Error("the origin was reached")
	}
	f.set(status(200), status(200))
	rig.Until(t, "a try that is allowed", func() bool { return v.get(t, "/live/index.m3u8?token=123").status == 200 })
}

// TestTheShippedTimeoutsOutlastASlowBackend has a backend that needs most of
// its 2 s: more than one second, at which a retry's own timeout would strike.
func TestTheShippedTimeoutsOutlastASlowBackend(t *testing.T) {
	for _, e := range tcpEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			f := startFake(t, slowly(1500*time.Millisecond, status(200)), status(200))
			a := serve(t, e.unix, "--backend", f.url())
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}
			if got := v.get(t, "/live/index.m3u8?token=123"); got.status != http.StatusOK {
				t.Errorf("status %d, want 200", got.status)
			}
			if f.counted() != 1 {
				t.Errorf("the backend was asked %d times, want once", f.counted())
			}
		})
	}
}

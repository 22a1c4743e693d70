package soak

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// world is all that runs in one round.
type world struct {
	plan     plan
	portal   *portal
	faults   *faultProxy
	altagate *rig.Process
	edges    []edge
}

// edge is a proxy that viewers ask.
type edge struct {
	name, address string
	*rig.Process
	// log gives its access log.
	log func(t testing.TB) string
}

func startWorld(t *testing.T, bin string, p plan) *world {
	t.Helper()
	w := &world{plan: p, portal: startPortal(t)}
	w.faults = startFaultProxy(t, w.portal.address)
	http, grpc, admin := rig.FreeAddress(t), rig.FreeAddress(t), rig.FreeAddress(t)
	config := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), fmt.Sprintf(`
backends: {portal: {url: http://%s/auth, timeout: %s}}
routes:
  - {name: deny, match: {paths: [/deny/]}, backends: [portal], on_unavailable: deny}
  - {name: allow, match: {paths: [/allow/]}, backends: [portal], on_unavailable: allow}
`, w.faults.address, p.timeout))
	w.altagate = rig.Start(t, "altagate", bin, "serve", "--config", config, "--http", http, "--grpc", grpc, "--admin", admin, "--log-format", "json")
	w.altagate.Listening(t, "tcp", admin)
	rig.Until(t, "altagate to be ready", func() bool { return ready(t, admin) })
	origin := startOrigin(t)
	w.edges = []edge{startNginx(t, http, origin), startEnvoy(t, grpc, origin)}
	return w
}

func ready(t *testing.T, admin string) bool {
	t.Helper()
	resp, err := http.Get("http://" + admin + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// startOrigin starts what both proxies protect.
func startOrigin(t *testing.T) string {
	t.Helper()
	dir, address := rig.TempDir(t), rig.FreeAddress(t)
	conf := rig.Write(t, filepath.Join(dir, "origin.conf"),
		"server { listen "+address+"; access_log off; keepalive_timeout 1h; keepalive_requests 100000000; return 200; }\n")
	rig.Nginx(t, dir, conf, address)
	return address
}

func startNginx(t *testing.T, asked, origin string) edge {
	t.Helper()
	dir, address := rig.TempDir(t), rig.FreeAddress(t)
	conf := rig.Shipped(t, "nginx/altagate.conf", dir,
		rig.Swap{"listen 8081", "listen " + address},
		rig.Swap{"127.0.0.1:9180", asked},
		rig.Swap{"127.0.0.1:8000", origin},
		rig.Swap{"/var/log/nginx/", dir + "/"})
	return edge{"nginx", address, rig.Nginx(t, dir, conf, address), func(t testing.TB) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, "altagate.log"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}}
}

func startEnvoy(t *testing.T, asked, origin string) edge {
	t.Helper()
	address := rig.FreeAddress(t)
	conf := rig.Shipped(t, "envoy/grpc.yaml", rig.TempDir(t),
		rig.Swap{"{address: 0.0.0.0, port_value: 8082}", rig.EnvoyAddress(address)},
		rig.Swap{"{address: 127.0.0.1, port_value: 9181}", rig.EnvoyAddress(asked)},
		rig.Swap{"{address: 127.0.0.1, port_value: 8000}", rig.EnvoyAddress(origin)})
	envoy := rig.Envoy(t, conf, address)
	return edge{"envoy", address, envoy, envoy.Log}
}

// play lets viewers and attackers ask while the script of faults goes on, and gives
// the answers, those of one viewer in their order, and when the machine was too busy.
func (w *world) play(t *testing.T) (all []answer, slow []span) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var (
		everybody sync.WaitGroup
		viewers   []*viewer
		attackers []*attacker
	)
	everybody.Go(func() { slow = w.portal.pulse(ctx, w.plan.timeout) })
	for n := range w.plan.viewers {
		v := newViewer(w, n)
		viewers = append(viewers, v)
		everybody.Go(func() { v.watch(ctx) })
	}
	for n := range w.plan.attackers {
		a := newAttacker(w, n)
		attackers = append(attackers, a)
		if n%4 == 0 {
			everybody.Go(func() { a.ride(ctx) })
		} else {
			everybody.Go(func() { a.strike(ctx) })
		}
	}
	w.faults.follow(t, w.plan.script)
	stop()
	everybody.Wait()
	for _, v := range viewers {
		all = append(all, v.got...)
	}
	for _, a := range attackers {
		all = append(all, a.got...)
	}
	return all, slow
}

// stop ends the processes, so that their logs are complete, and fails the test where
// altagate did not end well, or has something in its log that must not be there.
func (w *world) stop(t *testing.T) {
	t.Helper()
	for _, e := range w.edges {
		e.Stop(t)
	}
	w.altagate.Stop(t)
	if err := w.altagate.Err(); err != nil {
		t.Errorf("altagate ended with %v", err)
	}
	log := w.altagate.Log(t)
	for _, bad := range []string{"DATA RACE", "panic", paid, mustHang, "too slow to take all lines"} {
		if at := strings.Index(log, bad); at >= 0 {
			t.Errorf("altagate's log has %q:\n%s", bad, log[max(0, at-500):min(len(log), at+2500)])
		}
	}
}

// usage tells what altagate holds at the end.
func usage(t *testing.T, p *rig.Process) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return "what altagate holds is not known here: " + err.Error()
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	if err != nil {
		return "what altagate holds is not known here: " + err.Error()
	}
	var memory string
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			memory = strings.TrimSpace(rest)
		}
	}
	return fmt.Sprintf("altagate at the end, with the race detector: %s resident, %d descriptors", memory, len(open))
}

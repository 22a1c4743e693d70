package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// edge is a proxy with a shipped config, in front of an origin.
type edge struct {
	file string
	// unix is set where the config talks to altagate over a Unix socket.
	unix bool
	// closed is what a viewer gets while altagate is away.
	closed int
	start  func(t *testing.T, e edge, a *altagate, origin string, swaps ...rig.Swap) *proxy
}

// edges are all the configs that are shipped.
var edges = []edge{
	{"nginx/altagate.conf", false, 500, startNginx},
	{"nginx/altagate-unix.conf", true, 500, startNginx},
	{"nginx/hls-edge.conf", false, 500, startNginx},
	{"envoy/grpc.yaml", false, 503, startEnvoy},
	{"envoy/grpc-unix.yaml", true, 503, startEnvoy},
	{"envoy/http.yaml", false, 503, startEnvoy},
	{"envoy/http-unix.yaml", true, 503, startEnvoy},
}

// tcpEdges are one of each kind of check.
func tcpEdges() []edge { return []edge{edges[0], edges[3], edges[5]} }

// proxy is a running edge.
type proxy struct {
	*rig.Process
	address string
	// accessLog gives the access log's text.
	accessLog func() string
	// dir has what the edge wrote.
	dir string
}

// defaultLog is what nginx wrote to the access log of its main config.
func (p *proxy) defaultLog(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "other.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// startNginx runs a file of nginx/ as if it lay in conf.d.
func startNginx(t *testing.T, e edge, a *altagate, origin string, swaps ...rig.Swap) *proxy {
	t.Helper()
	dir := rig.TempDir(t)
	p := &proxy{address: rig.FreeAddress(t), dir: dir}
	check := rig.Swap{"127.0.0.1:9180", a.http}
	if e.unix {
		check = rig.Swap{"unix:/run/altagate/http.sock", "unix:" + a.http}
	}
	switch filepath.Base(e.file) {
	case "altagate.conf":
		swaps = append(swaps, rig.Swap{"listen 8081", "listen " + p.address})
	case "altagate-unix.conf":
		swaps = append(swaps, rig.Swap{"listen 8083", "listen " + p.address})
	case "hls-edge.conf":
		swaps = append(swaps, rig.Swap{"listen 8084", "listen " + p.address}, rig.Swap{"/var/cache/", dir + "/"})
	}
	swaps = append(swaps, check, rig.Swap{"127.0.0.1:8000", origin}, rig.Swap{"/var/log/nginx/", dir + "/"})
	conf := rig.Shipped(t, e.file, dir, swaps...)
	p.Process = rig.Nginx(t, dir, conf, p.address)
	p.accessLog = func() string {
		logs, err := filepath.Glob(dir + "/altagate*.log")
		if err != nil || len(logs) != 1 {
			t.Fatalf("one access log is expected: %q %v", logs, err)
		}
		text, err := os.ReadFile(logs[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return p
}

// startEnvoy runs a file of envoy/.
func startEnvoy(t *testing.T, e edge, a *altagate, origin string, swaps ...rig.Swap) *proxy {
	t.Helper()
	p := &proxy{address: rig.FreeAddress(t)}
	swaps = append(swaps,
		rig.Swap{"{address: 0.0.0.0, port_value: 8082}", rig.EnvoyAddress(p.address)},
		rig.Swap{`:8082"`, ":" + rig.Port(p.address) + `"`},
		rig.Swap{"{address: 127.0.0.1, port_value: 8000}", rig.EnvoyAddress(origin)})
	switch filepath.Base(e.file) {
	case "grpc.yaml":
		swaps = append(swaps, rig.Swap{"{address: 127.0.0.1, port_value: 9181}", rig.EnvoyAddress(a.grpc)})
	case "http.yaml":
		swaps = append(swaps, rig.Swap{"{address: 127.0.0.1, port_value: 9180}", rig.EnvoyAddress(a.http)})
	case "grpc-unix.yaml":
		swaps = append(swaps, rig.Swap{"/run/altagate/grpc.sock", a.grpc})
	case "http-unix.yaml":
		swaps = append(swaps, rig.Swap{"/run/altagate/http.sock", a.http})
	}
	conf := rig.Shipped(t, e.file, rig.TempDir(t), swaps...)
	p.Process = rig.Envoy(t, conf, p.address)
	p.accessLog = func() string { return p.Log(t) }
	return p
}

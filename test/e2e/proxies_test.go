package e2e

import (
	"os"
	"path/filepath"
	"regexp"
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
	// raw is set where the proxy sends a path on as it came, so that its config
	// refuses one with dots or double slashes.
	raw bool
	// cached is set where the proxy repeats what altagate allows a moment longer.
	cached bool
	// noReason is set where the access log cannot have the decision's reason.
	noReason bool
	start    func(t *testing.T, e edge, a *altagate, origin string, swaps ...rig.Swap) *proxy
}

// edges are all the configs that are shipped.
var edges = []edge{
	{file: "nginx/altagate.conf", closed: 500, start: startNginx},
	{file: "nginx/altagate-unix.conf", unix: true, closed: 500, start: startNginx},
	{file: "nginx/hls-edge.conf", closed: 500, start: startNginx},
	{file: "envoy/grpc.yaml", closed: 503, start: startEnvoy},
	{file: "envoy/grpc-unix.yaml", unix: true, closed: 503, start: startEnvoy},
	{file: "envoy/http.yaml", closed: 503, start: startEnvoy},
	{file: "envoy/http-unix.yaml", unix: true, closed: 503, start: startEnvoy},
	{file: "deploy/haproxy/haproxy.cfg", closed: 503, raw: true, start: startHAProxy},
	{file: "deploy/caddy/Caddyfile", closed: 502, raw: true, noReason: true, start: startCaddy},
	{file: "deploy/traefik/altagate.yaml", closed: 500, noReason: true, start: startTraefik},
	{file: "nginx/cached.conf", cached: true, closed: 500, start: startNginx},
}

// edgeOf gives the one with a file.
func edgeOf(t *testing.T, file string) edge {
	t.Helper()
	for _, e := range edges {
		if e.file == file {
			return e
		}
	}
	t.Fatalf("no edge has the file %s", file)
	return edge{}
}

// tcpEdges are one of each kind of check.
func tcpEdges() []edge { return []edge{edges[0], edges[3], edges[5]} }

// serve starts altagate for the edge, before a backend. Where the proxy repeats allows,
// it is told to for as long as can be.
func (e edge) serve(t *testing.T, backend string) *altagate {
	t.Helper()
	if !e.cached {
		return serve(t, e.unix, "--backend", backend)
	}
	file := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), configFile(backend, e.config()))
	return serve(t, e.unix, "--config", file)
}

// config is what a route of a config file has for the edge.
func (e edge) config() string {
	if e.cached {
		return "    cache: 10s\n"
	}
	return ""
}

// proxy is a running edge.
type proxy struct {
	*rig.Process
	address string
	// accessLog gives the access log's text. It is nil where there is none.
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
	case "cached.conf":
		swaps = append(swaps, rig.Swap{"listen 8089", "listen " + p.address}, rig.Swap{"/run/", dir + "/"})
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

// startHAProxy runs the files of deploy/haproxy.
func startHAProxy(t *testing.T, e edge, a *altagate, origin string, swaps ...rig.Swap) *proxy {
	t.Helper()
	dir := rig.TempDir(t)
	p := &proxy{address: rig.FreeAddress(t), dir: dir}
	swaps = append(swaps,
		rig.Swap{"bind :8086", "bind " + p.address}, rig.Swap{"127.0.0.1:9180", a.http}, rig.Swap{"127.0.0.1:8000", origin},
		rig.Swap{"/etc/haproxy/altagate.lua", rig.Shipped(t, "deploy/haproxy/altagate.lua", dir)})
	p.Process = rig.HAProxy(t, rig.Shipped(t, e.file, dir, swaps...), p.address)
	p.accessLog = func() string { return p.Log(t) }
	return p
}

// startCaddy runs deploy/caddy/Caddyfile.
func startCaddy(t *testing.T, e edge, a *altagate, origin string, swaps ...rig.Swap) *proxy {
	t.Helper()
	dir := rig.TempDir(t)
	p := &proxy{address: rig.FreeAddress(t), dir: dir}
	swaps = append(swaps,
		rig.Swap{"admin off", "admin off\n\tdefault_bind " + rig.Host(p.address)}, rig.Swap{":8087", ":" + rig.Port(p.address)},
		rig.Swap{"127.0.0.1:9180", a.http}, rig.Swap{"127.0.0.1:8000", origin})
	p.Process = rig.Caddy(t, rig.Shipped(t, e.file, dir, swaps...), p.address)
	p.accessLog = func() string {
		// As the others write it.
		return regexp.MustCompile(`"method":"([^"]*)".*"uri":"([^"]*)"`).ReplaceAllString(p.Log(t), "$1 $2")
	}
	return p
}

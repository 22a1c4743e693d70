package bench

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// edge is how checks come.
type edge struct {
	name string
	// flag is what tells altagate, and nowork, where this edge asks, and unix is set
	// where that is a socket.
	flag string
	unix bool
	load load
	// question is what the edge is asked at a fixed rate.
	question func(t *testing.T) question
	// start starts a proxy before an origin, asking at an address, and gives the
	// address for viewers. It is nil where no proxy stands between.
	start func(t *testing.T, asked, origin string) string
}

func nginx() edge { return edge{"nginx", "--http", false, throughProxy, viewersQuestion, startNginx} }
func nginxUnix() edge {
	return edge{"nginx over a Unix socket", "--http", true, throughProxy, viewersQuestion, startNginxUnix}
}
func envoy() edge {
	return edge{"Envoy over gRPC", "--grpc", false, throughProxy, viewersQuestion, startEnvoy}
}
func nginxCached() edge {
	return edge{"nginx with checks in its cache", "--http", false, throughProxy, viewersQuestion, startNginxCached}
}
func envoyUnix() edge {
	return edge{"Envoy over gRPC on a Unix socket", "--grpc", true, throughProxy, viewersQuestion, startEnvoyUnix}
}
func envoyHTTP() edge {
	return edge{"Envoy over HTTP", "--http", false, throughProxy, viewersQuestion, startEnvoyHTTP}
}
func directHTTP() edge {
	return edge{"no proxy, over HTTP", "--http", false, directly, checkQuestion, nil}
}
func directGRPC() edge {
	return edge{"no proxy, over gRPC", "--grpc", false, directlyOverGRPC, checkOverGRPC, nil}
}

// nginxBehind and envoyBehind have a proxy believe X-Forwarded-For, as behind a balancer:
// each viewer has an address of his own, and one may hold a hundredth of all sessions.
func nginxBehind() rig.Swap {
	return rig.Swap{
		"server_name tv.example.com localhost;",
		"server_name tv.example.com localhost; set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;",
	}
}

func envoyBehind() rig.Swap {
	return rig.Swap{"use_remote_address: true\n", "use_remote_address: true\n                xff_num_trusted_hops: 1\n"}
}

func startNginx(t *testing.T, asked, origin string) string {
	t.Helper()
	return runNginx(t, origin, rig.Swap{"127.0.0.1:9180", asked})
}

func runNginx(t *testing.T, origin string, more ...rig.Swap) string {
	t.Helper()
	dir, address := rig.TempDir(t), rig.FreeAddress(t)
	swaps := append(more, nginxBehind(),
		rig.Swap{"listen 8081", "listen " + address}, rig.Swap{"127.0.0.1:8000", origin}, rig.Swap{"/var/log/nginx/", dir + "/"})
	rig.Nginx(t, dir, rig.Shipped(t, "nginx/altagate.conf", dir, swaps...), address)
	return address
}

func startNginxUnix(t *testing.T, asked, origin string) string {
	t.Helper()
	dir, address := rig.TempDir(t), rig.FreeAddress(t)
	conf := rig.Shipped(t, "nginx/altagate-unix.conf", dir, nginxBehind(),
		rig.Swap{"listen 8083", "listen " + address},
		rig.Swap{"server unix:/run/altagate/http.sock", "server " + asked},
		rig.Swap{"127.0.0.1:8000", origin},
		rig.Swap{"/var/log/nginx/", dir + "/"})
	rig.Nginx(t, dir, conf, address)
	return address
}

func startNginxCached(t *testing.T, asked, origin string) string {
	t.Helper()
	dir, address := rig.TempDir(t), rig.FreeAddress(t)
	rig.Nginx(t, dir, rig.Shipped(t, "nginx/cached.conf", dir, nginxBehind(),
		rig.Swap{"listen 8089", "listen " + address}, rig.Swap{"127.0.0.1:9180", asked}, rig.Swap{"127.0.0.1:8000", origin},
		rig.Swap{"/run/", dir + "/"}, rig.Swap{"/var/log/nginx/", dir + "/"}), address)
	return address
}

// startCachingNginx asks the backend itself, and caches its answers.
func startCachingNginx(t *testing.T, asked, origin string) string {
	t.Helper()
	return runNginx(t, origin, rig.Swap{"127.0.0.1:9180", asked},
		rig.Swap{"upstream altagate {", "proxy_cache_path " + rig.TempDir(t) + "/cache keys_zone=checks:10m;\nupstream altagate {"},
		rig.Swap{"proxy_cache off;", "proxy_cache checks;\n" +
			`proxy_cache_key "$scheme $remote_addr $host $request_uri $http_user_agent"; proxy_cache_valid 200 1m;`})
}

func startEnvoy(t *testing.T, asked, origin string) string {
	t.Helper()
	return runEnvoy(t, "envoy/grpc.yaml", origin,
		rig.Swap{"{address: 127.0.0.1, port_value: 9181}", rig.EnvoyAddress(asked)})
}

func startEnvoyUnix(t *testing.T, asked, origin string) string {
	t.Helper()
	return runEnvoy(t, "envoy/grpc-unix.yaml", origin,
		rig.Swap{"pipe: {path: /run/altagate/grpc.sock}", "pipe: {path: " + strings.TrimPrefix(asked, "unix:") + "}"})
}

func startEnvoyHTTP(t *testing.T, asked, origin string) string {
	t.Helper()
	return runEnvoy(t, "envoy/http.yaml", origin,
		rig.Swap{"{address: 127.0.0.1, port_value: 9180}", rig.EnvoyAddress(asked)})
}

func runEnvoy(t *testing.T, file, origin string, asks rig.Swap) string {
	t.Helper()
	address := rig.FreeAddress(t)
	conf := rig.Shipped(t, file, rig.TempDir(t), asks, envoyBehind(),
		rig.Swap{"{address: 0.0.0.0, port_value: 8082}", rig.EnvoyAddress(address)},
		rig.Swap{"{address: 127.0.0.1, port_value: 8000}", rig.EnvoyAddress(origin)})
	rig.Envoy(t, conf, address)
	return address
}

// where chooses where checks are to be answered.
func (e edge) where(t *testing.T) (flag, network, address string) {
	t.Helper()
	if e.unix {
		path := filepath.Join(rig.TempDir(t), "s")
		return "unix:" + path, "unix", path
	}
	address = rig.FreeAddress(t)
	return address, "tcp", address
}

// before puts the proxy of the edge before what was asked at an address, and waits
// until it lets a viewer in.
func (e edge) before(t *testing.T, s *side, asked, origin string) *side {
	t.Helper()
	if e.start == nil {
		s.address = asked
		return s
	}
	s.address = e.start(t, asked, origin)
	s.allows(t)
	return s
}

// altagate is a side that asks altagate, which asks the comparison's backend.
func (b *bench) altagate(t *testing.T, c comparison) *side {
	t.Helper()
	flag, _, _ := c.edge.where(t)
	admin := rig.FreeAddress(t)
	s := &side{}
	url := c.backend(t, b, s)
	off := map[string]string{"--http": "--grpc", "--grpc": "--http"}[c.edge.flag]
	config := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), "backends: {portal: {url: '"+url+"', "+
		"limits: {questions: 10000, per_address: 10000, rate: 1000000}}}\nsessions: {limit: 10000000}\n"+
		"routes: [{name: all, backends: [portal]"+c.route+"}]\n")
	s.asked = rig.Start(t, "altagate", "/usr/bin/env", append(c.env, filepath.Join(b.bin, "altagate"), "serve", "--config", config,
		"--admin", admin, c.edge.flag, flag, off, "")...)
	s.asked.Listening(t, "tcp", admin)
	rig.Until(t, "altagate to be ready", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+"/readyz", nil)
		return err == nil && status(req) == http.StatusOK
	})
	return c.edge.before(t, s, flag, b.origin)
}

// noWorkServer is the rival that answers without work, and backendItself the one
// that has the proxy ask the backend without altagate.
const (
	noWorkServer  = "no work"
	backendItself = "backend itself"
	cachedAnswers = "backend itself, cached"
)

func rivalNoWork(t *testing.T, b *bench, c comparison) *side {
	t.Helper()
	flag, network, address := c.edge.where(t)
	s := &side{asked: noWork(t, b, []string{c.edge.flag, flag}, network, address)}
	s.counter = s.asked
	return c.edge.before(t, s, flag, b.origin)
}

func rivalItself(t *testing.T, b *bench, c comparison) *side {
	t.Helper()
	s := &side{}
	url := c.backend(t, b, s)
	s.asked, s.backend, s.counter = s.backend, nil, nil
	e := c.edge
	switch {
	case c.against == cachedAnswers:
		e.start = startCachingNginx
	case e.flag == "--grpc":
		e.start = startEnvoyHTTP // No portal speaks gRPC.
	}
	return e.before(t, s, strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/auth"), b.origin)
}

func noWork(t *testing.T, b *bench, args []string, network, address string) *rig.Process {
	t.Helper()
	p := rig.Start(t, "nowork", filepath.Join(b.bin, "nowork"), args...)
	p.Listening(t, network, address)
	return p
}

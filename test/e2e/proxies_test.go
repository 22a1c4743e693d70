package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// edge is a proxy with a shipped config, in front of an origin.
type edge struct {
	file string
	// unix is set where the config talks to altagate over a Unix socket.
	unix bool
	// closed is what a viewer gets while altagate is away.
	closed int
	start  func(t *testing.T, e edge, a *altagate, origin string, swaps ...swap) *proxy
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
	*process
	address string
	// accessLog gives the access log's text.
	accessLog func() string
}

// startNginx runs a file of nginx/ as if it lay in conf.d.
func startNginx(t *testing.T, e edge, a *altagate, origin string, swaps ...swap) *proxy {
	t.Helper()
	dir := tempDir(t)
	p := &proxy{address: freeAddress(t)}
	check := swap{"127.0.0.1:9180", a.http}
	if e.unix {
		check = swap{"unix:/run/altagate/http.sock", "unix:" + a.http}
	}
	switch filepath.Base(e.file) {
	case "altagate.conf":
		swaps = append(swaps, swap{"listen 8081", "listen " + p.address})
	case "altagate-unix.conf":
		swaps = append(swaps, swap{"listen 8083", "listen " + p.address})
	case "hls-edge.conf":
		swaps = append(swaps, swap{"listen 8084", "listen " + p.address}, swap{"/var/cache/", dir + "/"})
	}
	swaps = append(swaps, check, swap{"127.0.0.1:8000", origin}, swap{"/var/log/nginx/", dir + "/"})
	conf := shipped(t, e.file, dir, swaps...)
	p.process = nginx(t, dir, conf, p.address)
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

// nginx runs nginx with the conf given, as Debian's nginx.conf includes it.
func nginx(t *testing.T, dir, conf, address string) *process {
	t.Helper()
	bin := program(t, "nginx", "/usr/sbin/nginx")
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	main := write(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`
%s
daemon off;
worker_processes 1;
pid %s/nginx.pid;
error_log stderr;
events { worker_connections 768; }
http {
	include /etc/nginx/mime.types;
	default_type application/octet-stream;
	access_log %s/other.log;
	%s
	include %s;
}
`, user, dir, dir, temp.String(), conf))
	p := start(t, "nginx", exec.Command(bin, "-e", "stderr", "-p", dir, "-c", main))
	p.listening(t, "tcp", address)
	return p
}

// startEnvoy runs a file of envoy/.
func startEnvoy(t *testing.T, e edge, a *altagate, origin string, swaps ...swap) *proxy {
	t.Helper()
	bin := program(t, os.Getenv("ALTAGATE_TEST_ENVOY"), top+"/.deps/venv/bin/envoy", "envoy")
	p := &proxy{address: freeAddress(t)}
	at := func(address string) string {
		return "{address: " + host(address) + ", port_value: " + port(address) + "}"
	}
	swaps = append(swaps,
		swap{"{address: 0.0.0.0, port_value: 8082}", at(p.address)},
		swap{"{address: 127.0.0.1, port_value: 8000}", at(origin)})
	switch filepath.Base(e.file) {
	case "grpc.yaml":
		swaps = append(swaps, swap{"{address: 127.0.0.1, port_value: 9181}", at(a.grpc)})
	case "http.yaml":
		swaps = append(swaps, swap{"{address: 127.0.0.1, port_value: 9180}", at(a.http)})
	case "grpc-unix.yaml":
		swaps = append(swaps, swap{"/run/altagate/grpc.sock", a.grpc})
	case "http-unix.yaml":
		swaps = append(swaps, swap{"/run/altagate/http.sock", a.http})
	}
	conf := shipped(t, e.file, tempDir(t), swaps...)
	// Several run at once here: without --use-dynamic-base-id they would clash.
	p.process = start(t, "envoy", exec.Command(bin, "-c", conf, "--concurrency", "1", "--use-dynamic-base-id",
		"--log-level", "warn", "--file-flush-interval-msec", "50"))
	p.listening(t, "tcp", p.address)
	p.accessLog = p.log.String
	return p
}

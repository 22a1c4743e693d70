package bench

import (
	"path/filepath"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// comparison is altagate beside a rival, both behind the same edge.
type comparison struct {
	edge edge
	kind kind
	// against names the rival.
	against string
	rival   func(t *testing.T, b *bench, c comparison) *side
	// backend starts what altagate, or a proxy without it, asks, and gives its URL.
	backend     backend
	backendName string
	// route are more keys of altagate's route, each with a comma in front.
	route string
	// env are variables of altagate's environment.
	env []string
	// short is set where a short run has it too, and half where half of the load is
	// measured too.
	short, half bool
}

func (c comparison) title() string {
	title := c.edge.name + ", " + c.kind.name
	if c.backendName != "" {
		title += ", " + c.backendName
	}
	for _, e := range c.env {
		title += ", " + e
	}
	return title + ", beside " + c.against
}

func comparisons() []comparison {
	var all []comparison
	for _, e := range []edge{nginx(), nginxUnix(), envoy(), envoyUnix(), envoyHTTP()} {
		short := e.name == nginx().name || e.name == envoy().name
		for _, k := range []kind{joins(), opens()} {
			all = append(all, comparison{
				edge: e, kind: k, against: noWorkServer, rival: rivalNoWork, backend: quick, short: short, half: short && k.viewers > 0,
			})
		}
	}
	for _, e := range []edge{directHTTP(), directGRPC()} {
		for _, k := range []kind{joins(), opens()} {
			all = append(all, comparison{
				edge: e, kind: k, against: noWorkServer, rival: rivalNoWork, backend: quick, half: k.viewers > 0,
			})
		}
	}
	for _, e := range []edge{nginx(), envoy()} {
		all = append(all, comparison{
			edge: e, kind: joins(), against: noWorkServer, rival: rivalNoWork, backend: quick, env: []string{"GOMAXPROCS=1"},
		})
	}
	all = append(all, comparison{edge: nginx(), kind: joins(), against: cachedAnswers, rival: rivalItself, backend: quick},
		comparison{edge: nginxCached(), kind: joins(), against: cachedAnswers, rival: rivalItself, backend: quick, route: ", cache: 5s"})
	return append(all, besideTheBackend()...)
}

const withoutWork = "a backend without work"

// besideTheBackend are the proxies that ask the backend without altagate: nginx, and
// Envoy over HTTP.
func besideTheBackend() (all []comparison) {
	for _, b := range []struct {
		name    string
		backend backend
	}{{withoutWork, quick}, {"a backend in PHP", startPHP}, {"a backend that takes 20 ms", slow}} {
		for _, e := range []edge{nginx(), envoy()} {
			for _, k := range []kind{joins(), opens()} {
				if k.viewers > 0 && b.name == withoutWork {
					continue // The slower the backend, the more a joined check saves.
				}
				all = append(all, comparison{
					edge: e, kind: k, against: backendItself, rival: rivalItself, backend: b.backend, backendName: b.name,
				})
			}
		}
	}
	// What an operator has at the best.
	php := comparison{kind: joins(), against: backendItself, rival: rivalItself, backend: startPHP, backendName: "a backend in PHP"}
	overUnix, cached := php, php
	overUnix.edge, cached.edge, cached.route = nginxUnix(), nginxCached(), ", cache: 5s"
	return append(all, overUnix, cached)
}

// backend starts a backend of a side, and gives its URL.
type backend func(t *testing.T, b *bench, s *side) (url string)

// quick does no work.
func quick(t *testing.T, b *bench, s *side) string {
	t.Helper()
	return answering(t, b, s)
}

func slow(t *testing.T, b *bench, s *side) string {
	t.Helper()
	return answering(t, b, s, "--delay", "20ms")
}

func answering(t *testing.T, b *bench, s *side, more ...string) string {
	t.Helper()
	address := rig.FreeAddress(t)
	s.backend = noWork(t, b, append([]string{"--http", address}, more...), "tcp", address)
	s.counter = s.backend
	return "http://" + address + "/auth"
}

// startPHP is the cheapest script there is, under php-fpm behind an nginx.
func startPHP(t *testing.T, _ *bench, _ *side) string {
	t.Helper()
	dir, address := rig.TempDir(t), rig.FreeAddress(t)
	socket := filepath.Join(dir, "fpm.sock")
	conf := rig.Write(t, filepath.Join(dir, "fpm.conf"), "[global]\nerror_log = /dev/stderr\ndaemonize = no\n"+
		"[www]\nuser = root\ngroup = root\nlisten = "+socket+"\npm = static\npm.max_children = 4\n")
	fpm := rig.Start(t, "php-fpm", rig.Program(t, "/usr/sbin/php-fpm*", "php-fpm"), "--nodaemonize", "--allow-to-run-as-root", "--fpm-config", conf)
	fpm.Listening(t, "unix", socket)
	script, err := filepath.Abs("testdata/allow.php")
	if err != nil {
		t.Fatal(err)
	}
	rig.Nginx(t, dir, rig.Write(t, filepath.Join(dir, "php.conf"), "upstream fpm { server unix:"+socket+"; }\n"+
		"server { listen "+address+"; access_log off; location / { include /etc/nginx/fastcgi_params; "+
		"fastcgi_param SCRIPT_FILENAME "+script+"; fastcgi_pass fpm; } }\n"), address)
	return "http://" + address + "/auth"
}

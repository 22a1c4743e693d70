package e2e

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// fakeGate answers nginx as altagate does, with ids that a test knows: a viewer
// whose User-Agent is "id X" gets X, others get none, and "token=deny" is denied.
type fakeGate struct {
	server *httptest.Server
	mu     sync.Mutex
	last   http.Header
}

func startFakeGate(t *testing.T) *fakeGate {
	t.Helper()
	g := &fakeGate{}
	g.server = httptest.NewServer(g)
	t.Cleanup(g.server.Close)
	return g
}

func (g *fakeGate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.last = r.Header
	g.mu.Unlock()
	w.Header().Set("Content-Length", "0")
	id, _ := strings.CutPrefix(r.UserAgent(), "id ")
	switch {
	case r.URL.Path != "/auth/nginx" || strings.Contains(r.Header.Get("X-Original-URI"), "token=deny"):
		w.WriteHeader(http.StatusForbidden)
	case id != r.UserAgent():
		w.Header().Set("X-Altagate-Id", id)
	}
}

// lastHeader is the header of the last check.
func (g *fakeGate) lastHeader() http.Header {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}

// edge runs a file of nginx/ with the fake in altagate's place.
func (g *fakeGate) edge(t *testing.T, file, origin string, swaps ...rig.Swap) *proxy {
	t.Helper()
	e := edge{file: file, start: startNginx}
	if filepath.Base(file) == "rewrite.conf" {
		e.start = startRewrite
	}
	return e.start(t, e, &altagate{http: g.server.Listener.Addr().String()}, origin, swaps...)
}

// startRewrite runs nginx/rewrite.conf with Debian's njs module.
func startRewrite(t *testing.T, e edge, a *altagate, origin string, swaps ...rig.Swap) *proxy {
	t.Helper()
	bin := rig.Program(t, "nginx", "/usr/sbin/nginx")
	module := rig.Program(t, "/usr/lib/nginx/modules/ngx_http_js_module.so")
	dir := rig.TempDir(t)
	p := &proxy{address: rig.FreeAddress(t), dir: dir}
	script := rig.Shipped(t, "nginx/altagate.js", dir)
	swaps = append(swaps,
		rig.Swap{"listen 8085", "listen " + p.address}, rig.Swap{"/etc/nginx/altagate.js", script},
		rig.Swap{"127.0.0.1:9180", a.http}, rig.Swap{"127.0.0.1:8000", origin},
		rig.Swap{"/var/cache/", dir + "/"}, rig.Swap{"/var/log/nginx/", dir + "/"})
	conf := rig.Shipped(t, e.file, dir, swaps...)
	main := rig.Write(t, filepath.Join(dir, "main.conf"), strings.NewReplacer("MODULE", module, "DIR", dir, "CONF", conf).Replace(`
load_module MODULE;
daemon off;
worker_processes 1;
pid DIR/nginx.pid;
error_log stderr;
events { worker_connections 768; }
http {
	include /etc/nginx/mime.types;
	default_type application/octet-stream;
	access_log DIR/other.log;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
	include CONF;
}
`))
	p.Process = rig.Start(t, "nginx", bin, "-e", "stderr", "-p", dir, "-c", main)
	p.Listening(t, "tcp", p.address)
	return p
}

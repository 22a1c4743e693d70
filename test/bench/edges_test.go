package bench

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// edge is a proxy that is measured.
type edge struct {
	name string
	// flag is what tells altagate, and nowork, where this proxy asks.
	flag string
	// start starts the proxy before an origin, asking at an address, and gives the
	// address for viewers.
	start func(t *testing.T, asked, origin string) string
}

func edges() []edge {
	return []edge{
		{"nginx", "--http", startNginx},
		{"envoy", "--grpc", startEnvoy},
	}
}

func startNginx(t *testing.T, asked, origin string) string {
	t.Helper()
	dir, address := rig.TempDir(t), rig.FreeAddress(t)
	conf := rig.Shipped(t, "nginx/altagate.conf", dir,
		rig.Swap{"listen 8081", "listen " + address},
		rig.Swap{"127.0.0.1:9180", asked},
		rig.Swap{"127.0.0.1:8000", origin},
		rig.Swap{"/var/log/nginx/", dir + "/"})
	rig.Nginx(t, dir, conf, address)
	return address
}

func startEnvoy(t *testing.T, asked, origin string) string {
	t.Helper()
	address := rig.FreeAddress(t)
	conf := rig.Shipped(t, "envoy/grpc.yaml", rig.TempDir(t),
		rig.Swap{"{address: 0.0.0.0, port_value: 8082}", rig.EnvoyAddress(address)},
		rig.Swap{"{address: 127.0.0.1, port_value: 9181}", rig.EnvoyAddress(asked)},
		rig.Swap{"{address: 127.0.0.1, port_value: 8000}", rig.EnvoyAddress(origin)})
	rig.Envoy(t, conf, address)
	return address
}

// withNoWork is the proxy asking a server that does no work.
func (e edge) withNoWork(t *testing.T, bin, origin string) *side {
	t.Helper()
	address := rig.FreeAddress(t)
	s := &side{asked: noWork(t, bin, e.flag, address)}
	s.address = e.start(t, address, origin)
	s.allows(t)
	return s
}

// withAltagate is the proxy asking altagate, which asks a backend that does no
// work.
func (e edge) withAltagate(t *testing.T, bin, origin string, k kind) *side {
	t.Helper()
	backend, address, admin := rig.FreeAddress(t), rig.FreeAddress(t), rig.FreeAddress(t)
	s := &side{backend: noWork(t, bin, "--http", backend)}
	off := map[string]string{"--http": "--grpc", "--grpc": "--http"}[e.flag]
	config := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), "backends: {portal: {url: http://"+backend+"/auth, "+
		"limits: {questions: 10000, per_address: 10000, rate: 1000000}}}\n"+ // All viewers have one address.
		"routes: [{name: all, backends: [portal], session: {join: "+k.join+"}}]\n")
	s.asked = rig.Start(t, "altagate", filepath.Join(bin, "altagate"), "serve", "--config", config,
		"--admin", admin, e.flag, address, off, "")
	s.asked.Listening(t, "tcp", admin)
	rig.Until(t, "altagate to be ready", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+"/readyz", nil)
		return err == nil && status(req) == http.StatusOK
	})
	s.address = e.start(t, address, origin)
	s.allows(t)
	return s
}

func noWork(t *testing.T, bin, flag, address string) *rig.Process {
	t.Helper()
	p := rig.Start(t, "nowork", filepath.Join(bin, "nowork"), flag, address)
	p.Listening(t, "tcp", address)
	return p
}

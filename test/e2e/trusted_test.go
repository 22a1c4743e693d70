package e2e

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// TestTheViewersAddressBehindAProxyThatIsTrusted stands between a viewer and Caddy, as
// a CDN does: the list of addresses is believed as far as the route's trusted goes.
func TestTheViewersAddressBehindAProxyThatIsTrusted(t *testing.T) {
	t.Parallel()
	backend := startPHP(t)
	e := edgeOf(t, "deploy/caddy/Caddyfile")
	for name, tt := range map[string]struct{ trusted, forwarded, want string }{
		"the CDN is trusted":             {"    trusted: [127.0.0.0/8]\n", "203.0.113.9", "203.0.113.9"},
		"what stands before its address": {"    trusted: [127.0.0.0/8]\n", "192.0.2.66, 203.0.113.9", "203.0.113.9"},
		"two of them are trusted":        {"    trusted: [127.0.0.0/8, 203.0.113.0/24]\n", "192.0.2.66, 203.0.113.9", "192.0.2.66"},
		"it is not trusted":              {"", "203.0.113.9", "127.0.0.1"},
		"junk":                           {"    trusted: [127.0.0.0/8]\n", "localhost", ""},
		"trusted as a whole":             {"    trusted: [127.0.0.0/8]\n", "127.0.0.9", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), configFile(backend.url, tt.trusted))
			a := serve(t, false, "--config", file)
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address, rig.Swap{"uri /auth/caddy", "uri /auth/caddy\n\t\t\ttrusted_proxies 127.0.0.0/8"})}
			agent := "behind: " + name
			got := v.send(t, request{target: "/x?token=123", header: http.Header{"X-Forwarded-For": {tt.forwarded}, "User-Agent": {agent}}})
			if tt.want == "" {
				if got.status != 403 || a.decided(t, "deny", "bad-check") != 1 {
					t.Errorf("status %d, want a bad-check", got.status)
				}
				return
			}
			if told := backend.told(t, agent)["X-Real-Ip"]; got.status != 200 || told != tt.want {
				t.Errorf("status %d, the backend was told %s, want %s", got.status, told, tt.want)
			}
		})
	}
}

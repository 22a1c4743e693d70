package cli

import (
	"strings"
	"testing"
)

func TestServeTellsOfItsBackendsWithoutTheirSecrets(t *testing.T) {
	p := portal(t).URL
	s := serving(t, "--backend", strings.Replace(p, "//", "//user:hunter2@", 1)+"/secret?key=hunter2", "--on-unavailable", "allow")
	for _, path := range []string{"/api/v1/backends", "/api/v1/backends/backend"} {
		body := get(t, "http://"+s.admin+path, 200)
		if !strings.Contains(body, `"address":"`+p+`"`) || !strings.Contains(body, `"routes":[{"name":"default","on_unavailable":"allow","grace":"10m0s"}]`) {
			t.Errorf("%s: %s", path, body)
		}
		if strings.Contains(body, "hunter2") || strings.Contains(body, "secret") {
			t.Errorf("%s tells a secret: %s", path, body)
		}
	}
}

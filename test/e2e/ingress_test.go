package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// startIngress runs what ingress-nginx makes of its annotations, in real nginx.
func startIngress(t *testing.T, _ edge, a *altagate, origin string, _ ...rig.Swap) *proxy {
	t.Helper()
	dir := rig.TempDir(t)
	p := &proxy{address: rig.FreeAddress(t), dir: dir}
	conf := rig.Shipped(t, "test/e2e/testdata/ingress-nginx.conf", dir,
		rig.Swap{"ADDRESS", p.address}, rig.Swap{"ALTAGATE", a.http}, rig.Swap{"ORIGIN", origin}, rig.Swap{"DIR", dir})
	p.Process = rig.Nginx(t, dir, conf, p.address)
	return p
}

// TestIngressNginxLetsInWhomTheBackendAllows asks as its template does.
func TestIngressNginxLetsInWhomTheBackendAllows(t *testing.T) {
	t.Parallel()
	backend := startPHP(t)
	a := serve(t, false, "--backend", backend.url)
	o := startOrigin(t)
	e := edge{closed: 500, start: startIngress}
	v := viewer{edge: e.start(t, e, a, o.address)}
	t.Run("token 123 is allowed, and nothing else is", func(t *testing.T) { tokens(t, v, o) })
	t.Run("what a viewer says in headers changes nothing", func(t *testing.T) {
		forgedCheck(t, v, o, backend)
		forgedNames(t, o)
	})
	t.Run("a path in two readings is refused", func(t *testing.T) {
		o.take()
		for _, target := range []string{"/free%2f..%2flive/x", "/a/%2e%2e/x", "/a/..;/x", "/a%5c..%5cx", "/a//../x", "/a/..//x", "/a%0ax", "/a#/../x"} {
			if got := v.get(t, target+"?token=123"); got.status != 403 || len(o.take()) > 0 {
				t.Errorf("%s: status %d, want 403", target, got.status)
			}
		}
	})
	t.Run("what altagate's HTTP library refuses is closed", func(t *testing.T) {
		o.take()
		for _, header := range []string{"User-Agent: a\x01b", "X-Other: a\x01b", "X-Other: \x7f"} {
			got := raw(t, v, "GET /x?token=123 HTTP/1.1\r\nHost: tv.example.com\r\n"+header+"\r\n\r\n")
			if got != 500 || len(o.take()) > 0 {
				t.Errorf("%q: status %d, want 500", header, got)
			}
		}
	})
	t.Run("other methods are checked like GET", func(t *testing.T) { methods(t, e, v, o) })
	t.Run("an unknown host is refused without a check", func(t *testing.T) { unknownHost(t, v, o, a) })
	t.Run("a Host that holds a path is no path", func(t *testing.T) {
		o.take()
		for _, host := range []string{"tv.example.com?x=", "tv.example.com#", "a@tv.example.com", "tv.example.com:80?/x"} {
			got := raw(t, v, "GET /x?token=123 HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
			if got == 200 || len(o.take()) > 0 {
				t.Errorf("Host: %s: status %d, want a refusal", host, got)
			}
		}
	})
	t.Run("without altagate nobody is let in", func(t *testing.T) { altagateAway(t, e, v, o, a) })
}

// TestTheIngressAndItsConfAreOfOneMind: the conf is what becomes of the annotations.
func TestTheIngressAndItsConfAreOfOneMind(t *testing.T) {
	read := func(file string) string {
		text, err := os.ReadFile(filepath.Join(rig.Top, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	ingress, conf := read("deploy/ingress-nginx/ingress.yaml"), read("test/e2e/testdata/ingress-nginx.conf")
	if !strings.Contains(ingress, "/auth/ingress-nginx/vod\n") {
		t.Error("the annotation auth-url asks for no check of altagate's with a named route")
	}
	listed := regexp.MustCompile(`auth-response-headers: (.*)`).FindStringSubmatch(ingress)
	if listed == nil {
		t.Fatal("there is no annotation auth-response-headers")
	}
	var set []string
	for _, m := range regexp.MustCompile(`proxy_set_header (\S+) \$authHeader`).FindAllStringSubmatch(conf, -1) {
		set = append(set, m[1])
	}
	if names := strings.Split(listed[1], ","); !slices.Equal(names, set) {
		t.Errorf("the annotation lists %q, and the conf sets %q", names, set)
	}
}

// forgedNames fails if the origin got a viewer's own header under altagate's names.
func forgedNames(t *testing.T, o *origin) {
	t.Helper()
	header := o.lastHeader()
	for _, name := range []string{
		"X-Session-Id", "X-Session-Name", "X-User-Id", "X-Altagate-Decision", "X-Altagate-Reason", "X-Altagate-Id",
		"X_Session_Id", "X.Session.Id", "X-Session_Id", "X_Altagate_Decision",
	} {
		if reached := header[http.CanonicalHeaderKey(name)]; slices.Contains(reached, "forged") {
			t.Errorf("the origin got the viewer's own %s", name)
		}
	}
}

// asForged is what the backend must have been told about the forger.
func asForged(v viewer) map[string]string {
	return map[string]string{
		"X-Real-Ip": "127.0.0.1", "X-Real-Path": "/x", "X-Real-Ua": "forger at /x",
		"X-Real-Origin": fmt.Sprintf("http://tv.example.com:%s", rig.Port(v.edge.address)),
	}
}

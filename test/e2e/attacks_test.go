package e2e

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// TestNoMistakeIsADefault has a route that lets newcomers in while its backend is away,
// and a backend that is: what a proxy or a viewer says in a way that cannot be read is
// denied all the same, for it is no outage.
func TestNoMistakeIsADefault(t *testing.T) {
	away := "http://" + rig.FreeAddress(t) + "/auth"
	for _, e := range tcpEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			file := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), configFile(away, "    on_unavailable: allow\n"))
			a := serve(t, false, "--config", file)
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}
			// A viewer who fails while the backend's absence is not known yet is denied.
			rig.Until(t, "a newcomer to be let in", func() bool { return v.get(t, "/live/index.m3u8?token=1").status == 200 })
			o.take()
			targets := []string{"/a%2fb", "/a%5cb", "/a%00b", "/a%0d%0aX-Evil:1", "/a%zz", "/a%", "*", "?x", "/a#b", "/a?b#c", "/" + strings.Repeat("a", 7900) + "%2f"}
			if e.file == "nginx/altagate.conf" { // Envoy makes another path of these before it asks.
				targets = append(targets, "/a\\b", "/a/%2e%2e/b", "/a/..;/b", "/a//../b", "/../b")
			}
			for _, target := range targets {
				if got := raw(t, v, "GET "+target+" HTTP/1.1\r\nHost: tv.example.com\r\nUser-Agent: a\r\n\r\n"); got < 400 || got >= 500 {
					t.Errorf("%.60q: status %d, want a denial", target, got)
				}
			}
			for _, header := range []string{"User-Agent: a\x01b", "User-Agent: a\x7fb"} {
				if got := raw(t, v, "GET /x HTTP/1.1\r\nHost: tv.example.com\r\n"+header+"\r\n\r\n"); got < 400 || got >= 500 {
					t.Errorf("%q: status %d, want a denial", header, got)
				}
			}
			if asked := o.take(); len(asked) > 0 {
				t.Errorf("the origin was reached: %v", asked)
			}
		})
	}
	t.Run("the check itself", func(t *testing.T) {
		t.Parallel()
		file := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), configFile(away, "    on_unavailable: allow\n"))
		a := serve(t, false, "--config", file)
		rig.Until(t, "a newcomer to be let in", func() bool { return askAltagate(t, a, "1") == 200 })
		v := viewer{edge: &proxy{address: a.http}}
		whole := []string{"X-Original-URI: /x", "X-Original-Method: GET", "X-Forwarded-Proto: http", "X-Forwarded-Host: tv.example.com", "X-Real-IP: 192.0.2.7"}
		ask := func(lines []string) int {
			return raw(t, v, "GET /auth/nginx HTTP/1.1\r\nHost: a\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n")
		}
		if got := ask(whole); got != 200 {
			t.Fatalf("a whole check: status %d, want 200", got)
		}
		for i, line := range whole {
			name, _, _ := strings.Cut(line, ":")
			rest := append(append([]string{}, whole[:i]...), whole[i+1:]...)
			for what, lines := range map[string][]string{
				"missing": rest, "empty": append(rest, name+":"), "twice": append(append([]string{}, whole...), line),
				"aliased": append(append([]string{}, rest...), strings.ReplaceAll(name, "-", "_")+strings.TrimPrefix(line, name)),
			} {
				if got := ask(lines); got != 403 {
					t.Errorf("%s %s: status %d, want 403", name, what, got)
				}
			}
		}
	})
}

// TestConnectionNamesNoHeaderAway has a viewer name the headers of the check, and those
// that are removed for the origin's sake, as ones that concern the connection alone.
func TestConnectionNamesNoHeaderAway(t *testing.T) {
	const names = "X-Original-URI, X-Original-Method, X-Original-URL, X-Real-IP, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, " +
		"X-Forwarded-Uri, X-Forwarded-Method, X-Session-Id, X-User-Id, X-Altagate-Decision, Content-Length"
	for _, e := range edges {
		if e.unix {
			continue
		}
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startPHP(t)
			a := e.serve(t, backend.url)
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}
			got := raw(t, v, "GET /x?token=123 HTTP/1.1\r\nHost: tv.example.com:"+rig.Port(v.edge.address)+
				"\r\nUser-Agent: forger at /x\r\nConnection: "+names+"\r\nX-Session-Id: forged\r\nX-User-Id: forged\r\nX-Altagate-Decision: forged\r\n\r\n")
			asked := o.take()
			if got == 200 {
				told := backend.told(t, "forger at /x")
				for name, want := range asForged(v) {
					if told[name] != want {
						t.Errorf("the backend was told %s: %q, want %q", name, told[name], want)
					}
				}
				if len(asked) != 1 {
					t.Fatalf("the origin was asked %d times", len(asked))
				}
				forgedNames(t, o)
			} else if got < 400 || got >= 500 || len(asked) > 0 {
				t.Errorf("status %d, the origin was asked %d times; want a decision", got, len(asked))
			}
			// Without the token there is no way in.
			got = raw(t, v, "GET /y HTTP/1.1\r\nHost: tv.example.com\r\nConnection: "+names+"\r\n\r\n")
			if got < 400 || got >= 500 || len(o.take()) > 0 {
				t.Errorf("without the token: status %d, want a denial", got)
			}
		})
	}
}

// TestTheHostThatIsToldIsTheOneThatIsServed writes one host into the request line and
// another into the header, and ports of all kinds.
func TestTheHostThatIsToldIsTheOneThatIsServed(t *testing.T) {
	for _, e := range edges {
		if e.unix {
			continue
		}
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startPHP(t)
			a := e.serve(t, backend.url)
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}
			for i, request := range []string{
				"GET http://tv.example.com/x?token=123 HTTP/1.1\r\nHost: other.example.com",
				"GET http://other.example.com/x?token=123 HTTP/1.1\r\nHost: tv.example.com",
				"GET http://tv.example.com@other.example.com/x?token=123 HTTP/1.1\r\nHost: tv.example.com",
				"GET /x?token=123 HTTP/1.1\r\nHost: tv.example.com\r\nHost: other.example.com",
				"GET /x?token=123 HTTP/1.1\r\nHost: tv.example.com.",
				"GET /x?token=123 HTTP/1.1\r\nHost: TV.example.COM",
				"GET /x?token=123 HTTP/1.1\r\nHost: tv.example.com:1:2",
				"GET /x?token=123 HTTP/1.1\r\nHost: tv.example.com, other.example.com",
				"GET /x?token=123 HTTP/1.1\r\nHost: tv.example.com/other.example.com",
				"GET /x?token=123 HTTP/1.1\r\nHost: other.example.com#tv.example.com",
				"GET /x?token=123 HTTP/1.0",
			} {
				agent := fmt.Sprintf("host %d", i)
				status := raw(t, v, request+"\r\nUser-Agent: "+agent+"\r\nConnection: close\r\n\r\n")
				if status >= 500 {
					t.Errorf("%q: status %d", request, status)
				}
				reached := o.take()
				if status != 200 {
					if len(reached) > 0 {
						t.Errorf("%q: status %d, and the origin was reached", request, status)
					}
					continue
				}
				origin := backend.told(t, agent)["X-Real-Origin"]
				host, _, _ := strings.Cut(strings.TrimPrefix(origin, "http://"), ":")
				if host != "tv.example.com" {
					t.Errorf("%q: the backend was told %q", request, origin)
				}
			}
		})
	}
}

// TestNoViewerIsTakenForAHealthCheck asks as those who look after servers do, at the
// paths of altagate's other listeners too.
func TestNoViewerIsTakenForAHealthCheck(t *testing.T) {
	for _, e := range edges {
		if e.unix {
			continue
		}
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startFake(t, status(403), status(200))
			a := e.serve(t, backend.url())
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}
			for _, agent := range []string{"kube-probe/1.31", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Envoy/HC", "Prometheus/3.0", "altagate", ""} {
				for _, path := range []string{"/healthz", "/readyz", "/metrics", "/api/v1/sessions", "/debug/pprof/", "/ping", "/robots.txt", "/favicon.ico", "/.well-known/x"} {
					got := v.send(t, request{target: path, header: http.Header{"User-Agent": {agent}, "X-Envoy-Healthcheck": {"1"}}})
					if got.status != 403 {
						t.Errorf("%s asks for %s: status %d, want 403", agent, path, got.status)
					}
				}
			}
			if asked := o.take(); len(asked) > 0 {
				t.Errorf("the origin was reached: %v", asked)
			}
		})
	}
}

// TestADecisionIsForOneRequest sends requests that are allowed and denied one after the
// other on one connection: nothing of a decision is left for the next.
func TestADecisionIsForOneRequest(t *testing.T) {
	for _, e := range edges {
		if e.unix {
			continue
		}
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startFake(t, byToken, status(200))
			a := e.serve(t, backend.url())
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}
			client := http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
			defer client.CloseIdleConnections()
			for i := range 20 {
				token, want := "123", 200
				if i%2 == 1 {
					token, want = "1", 403
				}
				req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s/%d?token=%s", v.edge.address, i, token), nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Host = "tv.example.com:" + rig.Port(v.edge.address)
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Error(err)
				}
				resp.Body.Close()
				if reached := len(o.take()) > 0; resp.StatusCode != want || reached != (want == 200) {
					t.Errorf("request %d: status %d, want %d; the origin was reached: %t", i, resp.StatusCode, want, reached)
				}
			}
		})
	}
}

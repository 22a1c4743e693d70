package frontend_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/check"
)

// others are the proxies beside nginx and Envoy, with what each sends.
func others() map[string][]string {
	agent := "User-Agent: player/1.0"
	forwarded := []string{
		"Host: altagate", agent, "X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: TV.example.com:443",
		"X-Forwarded-Uri: /live/a.m3u8?token=1&token=2", "X-Forwarded-For: ::ffff:192.0.2.1",
	}
	return map[string][]string{
		"traefik": append([]string{"GET /auth/traefik HTTP/1.1"}, forwarded...),
		"caddy":   append([]string{"GET /auth/caddy HTTP/1.1"}, forwarded...),
		"haproxy": nginxHead("/auth/haproxy"),
		"ingress-nginx": {
			"GET /auth/ingress-nginx HTTP/1.1", "Host: altagate", agent, "X-Original-Method: GET", "X-Real-IP: ::ffff:192.0.2.1",
			"X-Original-URL: https://TV.example.com:443/live/a.m3u8?token=1&token=2",
		},
	}
}

// own are the headers that each of them reads the check from.
func own(proxy string) []string {
	switch proxy {
	case "traefik", "caddy":
		return []string{"X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri", "X-Forwarded-For"}
	case "ingress-nginx":
		return []string{"X-Original-Method", "X-Original-URL", "X-Real-IP"}
	default:
		return []string{"X-Original-URI", "X-Original-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP"}
	}
}

func TestEachProxyIsReadFromItsOwnHeadersAlone(t *testing.T) {
	foreign := []string{
		"X-Original-URI: /free", "X-Original-URL: http://free.example.com/free", "X-Original-Method: PUT", "X-Forwarded-Method: PUT",
		"X-Forwarded-Proto: http", "X-Forwarded-Host: free.example.com", "X-Forwarded-Uri: /free", "X-Forwarded-For: 203.0.113.9",
		"X-Real-IP: 203.0.113.9", "X-Forwarded-Prefix: /free", "X-Forwarded-Port: 1", "X-Forwarded-Server: h", "X-Rewrite-URL: /free",
		"Forwarded: for=203.0.113.9;host=free.example.com", "X-Envoy-Original-Path: /free", "X-Auth-Request-Redirect: /free",
		"X-HTTP-Method-Override: PUT", "True-Client-IP: 203.0.113.9", "CF-Connecting-IP: 203.0.113.9",
	}
	for name, head := range others() {
		lines := head
		for _, line := range foreign {
			header, _, _ := strings.Cut(line, ":")
			if !containsFold(own(name), header) {
				lines = append(lines[:len(lines):len(lines)], line)
			}
		}
		// An alias of a header is another header.
		for _, header := range own(name) {
			lines = append(lines, strings.ReplaceAll(header, "-", "_")+": /free", strings.ReplaceAll(header, "-", ".")+": /free")
		}
		lines = append(lines, "Connection: "+strings.Join(own(name), ", "))
		t.Run(name, func(t *testing.T) {
			for _, send := range [][]string{head, lines} {
				d := &desk{decision: check.Decision{Allow: true, Reason: check.Backend}}
				c := dial(t, serve(t, d.config()))
				c.send(send...)
				mustBeAsked(t, d, c.head(), want(name))
			}
		})
	}
}

func containsFold(all []string, one string) bool {
	for _, s := range all {
		if strings.EqualFold(s, one) {
			return true
		}
	}
	return false
}

// TestAHeaderThatIsMissingOrThereTwiceDenies takes each away, empties it and doubles it.
func TestAHeaderThatIsMissingOrThereTwiceDenies(t *testing.T) {
	for name, head := range others() {
		for _, header := range own(name) {
			var line string
			for _, l := range head {
				if strings.HasPrefix(l, header+":") {
					line = l
				}
			}
			alias := strings.ReplaceAll(header, "-", "_") + strings.TrimPrefix(line, header)
			for what, send := range map[string][]string{
				"missing": edit(head, []string{"-" + header}),
				"empty":   edit(head, []string{header + ":"}),
				"twice":   append(head[:len(head):len(head)], strings.ToLower(header)+strings.TrimPrefix(line, header)),
				"aliased": edit(head, []string{"-" + header, alias}),
			} {
				t.Run(name+" "+header+" "+what, func(t *testing.T) {
					d := &desk{decision: check.Decision{Allow: true}}
					c := dial(t, serve(t, d.config()))
					c.send(send...)
					mustBeRefused(t, d, c.head(), check.BadCheck)
				})
			}
		}
	}
}

func TestARouteCanBeNamedInThePath(t *testing.T) {
	for name, head := range others() {
		for rest, route := range map[string]string{
			"/vod": "vod", "/": "", "/a/b": "", "/%61": "", "//vod": "", "x": "", "/vod?": "", "/vod?token=1": "", "?": "",
		} {
			t.Run(name+rest, func(t *testing.T) {
				d := &desk{decision: check.Decision{Allow: true, Reason: check.Backend}}
				c := dial(t, serve(t, d.config()))
				c.send(append([]string{"GET /auth/" + name + rest + " HTTP/1.1"}, head[1:]...)...)
				answer, want := c.head(), want(name)
				switch bare, query, _ := strings.Cut(rest, "?"); {
				case name == "caddy" && (bare == "/vod" || bare == "" && query == ""):
					// Caddy appends the viewer's query where its own uri has none.
					want.Route = strings.TrimPrefix(bare, "/")
					mustBeAsked(t, d, answer, want)
				case route != "":
					want.Route = route
					mustBeAsked(t, d, answer, want)
				default:
					mustBeRefused(t, d, answer, check.BadCheck)
				}
			})
		}
	}
}

func TestTheHostOfAnIngressEndsBeforeTheTarget(t *testing.T) {
	for url, reason := range map[string]check.Reason{
		"https://tv.example.com/live/a.m3u8?token=1&token=2": "",
		"https://tv.example.com?token=1":                     check.Malformed,
		"https://free.example.com?/live/a.m3u8":              check.Malformed,
		"https://user@tv.example.com/live/a.m3u8":            check.Malformed,
		"https://tv.example.com#/live/a.m3u8":                check.Malformed,
		`https://tv.example.com\/live/a.m3u8`:                check.Malformed,
		"https://tv.example.com":                             check.BadCheck,
		"https:///live/a.m3u8":                               check.BadCheck,
		"tv.example.com/live/a.m3u8":                         check.BadCheck,
		"/live/a.m3u8":                                       check.BadCheck,
		"ftp://tv.example.com/live/a.m3u8":                   check.BadCheck,
		"https:/tv.example.com/live/a.m3u8":                  check.BadCheck,
	} {
		t.Run(url, func(t *testing.T) {
			d := &desk{decision: check.Decision{Allow: true, Reason: check.Backend}}
			c := dial(t, serve(t, d.config()))
			c.send(edit(others()["ingress-nginx"], []string{"X-Original-URL: " + url})...)
			if reason == "" {
				mustBeAsked(t, d, c.head(), want("ingress-nginx"))
			} else {
				mustBeRefused(t, d, c.head(), reason)
			}
		})
	}
}

func TestTraefikAndCaddyTellAListOfAddresses(t *testing.T) {
	for _, name := range []string{"traefik", "caddy"} {
		d := &desk{decision: check.Decision{Allow: true, Reason: check.Backend}}
		config := d.config()
		config.Trusts = func(_ *check.Request, a netip.Addr) bool { return a == addr("10.0.0.1") }
		c := dial(t, serve(t, config))
		c.send(edit(others()[name], []string{"X-Forwarded-For: 203.0.113.9, 192.0.2.1, 10.0.0.1"})...)
		mustBeAsked(t, d, c.head(), want(name))
	}
}

// TestWhatEachProxyIsTold: Traefik and Caddy show a viewer a denial as it is, so it
// has nothing in it.
func TestWhatEachProxyIsTold(t *testing.T) {
	told := check.Outcome{Verdict: check.Allowed, User: "42", SessionName: "film"}
	const (
		ok     = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
		fields = "X-Altagate-Decision: allow\r\nX-Altagate-Id: v1.a.b\r\nX-Altagate-Reason: session\r\n" +
			"X-Session-Id: abc\r\nX-Session-Name: film\r\nX-User-Id: 42\r\n\r\n"
		teapot = "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n"
		busy   = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
		deny   = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n"
		why    = "X-Altagate-Decision: deny\r\nX-Altagate-Reason: "
		who    = "X-Session-Name: film\r\nX-User-Id: 42\r\n"
	)
	allow := check.Decision{Allow: true, Reason: check.Session, Session: "abc", ID: "v1.a.b", Outcome: told}
	denied := check.Decision{Reason: check.Backend, Status: 418, Session: "abc", ID: "v1.a.b", Outcome: told}
	late := check.Decision{Reason: check.Late, Status: 503}
	odd := check.Decision{Reason: check.Backend, Status: 204}
	tests := map[string]map[string]check.Decision{
		"traefik":       {ok + fields: allow, teapot + "\r\n": denied, busy + "\r\n": late, deny + "\r\n": odd},
		"caddy":         {ok + fields: allow, teapot + "\r\n": denied, busy + "\r\n": late, deny + "\r\n": odd},
		"haproxy":       {ok + fields: allow, teapot + why + "backend\r\n" + who + "\r\n": denied, busy + why + "late\r\n\r\n": late, deny + why + "backend\r\n\r\n": odd},
		"ingress-nginx": {ok + fields: allow, deny + why + "backend\r\n" + who + "\r\n": denied, deny + why + "late\r\n\r\n": late, deny + why + "backend\r\n\r\n": odd},
	}
	for name, answers := range tests {
		for want, decision := range answers {
			d := &desk{decision: decision}
			c := dial(t, serve(t, d.config()))
			for range 2 { // The connection is kept, on a denial too.
				c.send(others()[name]...)
				if got := c.head(); got != want {
					t.Errorf("%s, %+v:\ngot  %q\nwant %q", name, decision, got, want)
				}
			}
		}
	}
}

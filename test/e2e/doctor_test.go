package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/doctor"
	"github.com/altagate/altagate/test/rig"
)

// startStrict starts an origin that has one playlist, and resolves neither dots nor
// double slashes in its path.
func startStrict(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/live/index.m3u8" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprintln(w, "#EXTM3U")
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// examined runs "altagate doctor" on an edge, and gives its exit code and what it
// found.
func examined(t *testing.T, a *altagate, p *proxy, more ...string) (int, []string, string) {
	t.Helper()
	at := func(address string) string {
		if strings.HasPrefix(address, "/") {
			return "unix:" + address
		}
		return address
	}
	code, printed := rig.Run(t, altagateBin, append([]string{
		"doctor", "--json", "--edge", "http://tv.example.com:" + rig.Port(p.address) + "/live/index.m3u8?token=123",
		"--edge-address", p.address, "--http", at(a.http), "--grpc", at(a.grpc), "--admin", a.admin,
	}, more...)...)
	var report doctor.Report
	if err := json.Unmarshal([]byte(printed), &report); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	found := []string{}
	for _, s := range report.Sections {
		for _, f := range s.Findings {
			found = append(found, f.ID)
		}
	}
	slices.Sort(found)
	return code, slices.Compact(found), printed
}

// TestDoctorFindsNothingAtTheShippedEdges looks at each from outside, and again with
// altagate stopped.
func TestDoctorFindsNothingAtTheShippedEdges(t *testing.T) {
	for _, e := range edges {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startFake(t, byToken, status(403))
			a := e.serve(t, backend.url())
			p := e.start(t, e, a, startStrict(t))
			code, found, printed := examined(t, a, p)
			if code != 0 || len(found) > 0 {
				t.Errorf("exit code %d, found %q\n%s", code, found, printed)
			}
			for _, seen := range []string{
				"a deny reaches the viewer as one", "an allow (", "the viewer's address arrives", "change nothing that altagate is told",
				"a host that nobody named is refused", "is the one that is served", "no path that was tried leads a viewer to altagate",
			} {
				if !strings.Contains(printed, seen) {
					t.Errorf("it was not seen that %q\n%s", seen, printed)
				}
			}
			if code, _, printed := examined(t, a, p, "--altagate-stopped"); code != 2 || !strings.Contains(printed, "still there") {
				t.Errorf("with altagate there: exit code %d\n%s", code, printed)
			}
			a.Stop(t)
			if code, found, printed := examined(t, a, p, "--altagate-stopped"); code != 0 || len(found) > 0 || !strings.Contains(printed, "is not served") {
				t.Errorf("without altagate: exit code %d, found %q\n%s", code, found, printed)
			}
		})
	}
}

// brokenEdge is a shipped edge with one thing broken.
type brokenEdge struct {
	name, file string
	swaps      []rig.Swap
	// found is what a doctor finds, and away what it finds with altagate stopped.
	found, away string
}

func brokenEdges() []brokenEdge {
	const (
		nginx, grpc, http = "nginx/altagate.conf", "envoy/grpc.yaml", "envoy/http.yaml"
		server            = "    server_name tv.example.com localhost;\n"
		page              = "    location = /page { auth_request off; return 200 'a page'; }\n"
		own               = "        error_page 599 /_altagate;\n        proxy_intercept_errors off;\n"
		off               = "proxy_pass_request_headers off;\n        proxy_set_header Host altagate;"
		ask               = "    auth_request /_altagate;\n"
		agent             = "        proxy_set_header User-Agent $http_user_agent;\n        proxy_set_header Cookie"
		uri               = "proxy_set_header X-Original-URI $request_uri;"
		address           = "        proxy_set_header X-Real-IP $remote_addr;\n        proxy_set_header User-Agent"
		open              = "location @open { auth_request off; proxy_pass http://altagate_origin; proxy_pass_request_headers off; }\n"
		check             = "    # The check. 200 from altagate"
		route             = "                        - match: {prefix: /}\n                          route:\n                            cluster: origin\n"
	)
	swap := func(pairs ...string) (all []rig.Swap) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, rig.Swap{pairs[i], pairs[i+1]})
		}
		return all
	}
	return []brokenEdge{
		{"E2: a maintenance page", nginx, swap(own, "", server, server+page+"error_page 500 502 504 = /page;\n"), "", "edge-open-when-away"},
		{"E3: a page for denials", nginx, swap(own, "", server, server+page+"error_page 403 = /page; proxy_intercept_errors on;\n"), "edge-denial-served", ""},
		{"C: a viewer's bytes", nginx, swap(off, "proxy_set_header Host $http_host;", "            return 403;\n", "            set $none 1;\n",
			server, server+"error_page 500 = @open;\n", check, open+check), "edge-opens-on-error", "edge-open-when-away"},
		{"a header that the proxy does not set", nginx, swap(off, "proxy_set_header Host altagate;", address, "        proxy_set_header User-Agent",
			uri, ""), "edge-bad-check edge-header-believed", ""},
		{"an address that anybody sets", nginx, swap(ask, ask+"set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For;\n"), "edge-header-believed", ""},
		{"no check", nginx, swap(ask, ""), "edge-unchecked", "edge-open-when-away"},
		{"a regular expression beside", nginx, swap(check, "    location ~ \\.m3u8$ { auth_request off; proxy_pass http://altagate_origin; }\n"+check), "edge-unchecked", "edge-open-when-away"},
		{"a check for everybody", nginx, swap("        internal;\n", ""), "edge-check-reachable", ""},
		{"any host", nginx, swap("    listen 8081 default_server;\n    server_name _;", "    listen 8081;\n    server_name none;",
			"    listen 8081;\n"+server, "    listen 8081 default_server;\n"+server), "edge-unknown-host", ""},
		{"the raw path", nginx, swap("proxy_pass http://altagate_origin/;", "proxy_pass http://altagate_origin;"), "edge-path-differs", ""},
		{"the edge's own address", nginx, swap(address, strings.Replace(address, "$remote_addr", "$server_addr", 1)), "edge-address-hidden", ""},
		{"another scheme", nginx, swap("X-Original-Method $request_method;\n        proxy_set_header X-Forwarded-Proto $scheme;", "X-Original-Method $request_method;\n        proxy_set_header X-Forwarded-Proto https;"), "edge-context-wrong", ""},
		{"the path of the check", nginx, swap(uri, "proxy_set_header X-Original-URI $uri?token=1;"), "edge-context-wrong", ""},
		{"no User-Agent", nginx, swap(agent, "        proxy_set_header Cookie"), "edge-agent-lost", ""},
		{"reasons for viewers", nginx, swap(server, server+"add_header X-Altagate-Reason $altagate_reason always;\n"), "edge-headers-shown", ""},
		{"denials as failures", nginx, swap(server, server+"error_page 403 =503 /page;\n"+page), "edge-denial-broken", ""},
		{"an altagate that is not there", nginx, swap("keepalive 64;", "keepalive 64; server 127.0.0.1:1 down;", "http://altagate/auth/nginx", "http://127.0.0.1:1/auth/nginx"), "edge-not-asked", ""},

		{"failing open", grpc, swap("failure_mode_allow: false", "failure_mode_allow: true"), "", "edge-open-when-away"},
		{"dots and slashes", grpc, swap("                normalize_path: true\n", ""), "edge-path-differs", ""},
		{"a viewer's own X-Forwarded-For", grpc, swap("                use_remote_address: true\n", ""), "edge-header-believed", ""},
		{"any host", grpc, swap("domains: [tv.example.com,", `domains: ["*",`), "edge-unknown-host", ""},
		{"a route without the check", grpc, swap(route, "                        - match: {prefix: /live/}\n                          route: {cluster: origin}\n"+
			`                          typed_per_filter_config: {envoy.filters.http.ext_authz: {"@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute, disabled: true}}`+"\n"+route),
			"edge-unchecked", "edge-open-when-away"},
		{"allows that tell", http, swap("                          dynamic_metadata_from_headers:\n", "                          allowed_client_headers_on_success: {patterns: [{prefix: x-altagate-}]}\n                          dynamic_metadata_from_headers:\n"), "edge-headers-shown", ""},
		{"no User-Agent", http, swap("                          - exact: user-agent\n", ""), "edge-agent-lost", ""},
	}
}

// TestDoctorFindsEachWayToBreakAnEdge looks at real ones.
func TestDoctorFindsEachWayToBreakAnEdge(t *testing.T) {
	for _, b := range brokenEdges() {
		t.Run(b.file+" "+b.name, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(edges, func(e edge) bool { return e.file == b.file })
			backend := startFake(t, byToken, status(403))
			a := serve(t, false, "--backend", backend.url())
			p := edges[i].start(t, edges[i], a, startStrict(t), b.swaps...)
			code, found, printed := examined(t, a, p)
			if want := strings.Fields(b.found); !slices.Equal(found, want) || code != min(len(want), 1) {
				t.Errorf("exit code %d, found %q, want %q\n%s", code, found, want, printed)
			}
			if b.away == "" {
				return
			}
			a.Stop(t)
			if code, found, printed := examined(t, a, p, "--altagate-stopped"); code != 1 || !slices.Equal(found, []string{b.away}) {
				t.Errorf("without altagate: exit code %d, found %q, want %q\n%s", code, found, b.away, printed)
			}
		})
	}
}

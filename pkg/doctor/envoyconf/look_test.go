package envoyconf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/doctor"
	"github.com/altagate/altagate/pkg/doctor/envoyconf"
	"github.com/altagate/altagate/test/rig"
)

const top = "../../.."

func facts() doctor.Facts {
	return doctor.Facts{Checks: []string{"127.0.0.1:9180", "127.0.0.1:9181"}, Admin: "127.0.0.1:9182", Timeout: 2}
}

func shipped(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "envoy", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// taken fails unless a real Envoy takes the config: no table here is to hold one
// that it would not.
func taken(t *testing.T, text string) {
	t.Helper()
	file := rig.Write(t, filepath.Join(t.TempDir(), "envoy.yaml"), text)
	envoy := rig.Program(t, os.Getenv("ALTAGATE_TEST_ENVOY"), top+"/.deps/venv/bin/envoy", "envoy")
	if code, out := rig.Run(t, envoy, "--mode", "validate", "-c", file, "-l", "error"); code != 0 {
		t.Errorf("Envoy refuses it: %s", out)
	}
}

func swapped(t *testing.T, text string, swaps ...string) string {
	t.Helper()
	for i := 0; i+1 < len(swaps); i += 2 {
		if !strings.Contains(text, swaps[i]) {
			t.Fatalf("there is no %q: bring the test and the shipped file together", swaps[i])
		}
		text = strings.ReplaceAll(text, swaps[i], swaps[i+1])
	}
	return text
}

func looked(t *testing.T, text string) *doctor.Section {
	t.Helper()
	s, err := envoyconf.Look("envoy.yaml", text, facts())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ids(s *doctor.Section) (all []string) {
	for _, f := range s.Findings {
		if !slices.Contains(all, f.ID) {
			all = append(all, f.ID)
		}
	}
	slices.Sort(all)
	return all
}

func show(s *doctor.Section) string {
	var b strings.Builder
	for _, f := range s.Findings {
		fmt.Fprintf(&b, "%s %s: %s\n", f.ID, f.Where, f.What)
	}
	return b.String()
}

func TestTheShippedConfigsAreSound(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(top, "envoy", "*.yaml"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%q %v", files, err)
	}
	for _, file := range files {
		text := shipped(t, filepath.Base(file))
		if s := looked(t, text); len(s.Findings) > 0 || len(s.Fine) < 6 || !envoyconf.Is(text) {
			t.Errorf("%s: %q\n%s", file, s.Fine, show(s))
		}
	}
}

// broken are the ways in which operators break a config, each made of a shipped
// one, and what is to be found.
func broken() []struct {
	name, file string
	swaps      []string
	want       string
} {
	const (
		grpc, http = "grpc.yaml", "http.yaml"
		mode       = "failure_mode_allow: false"
		metadata   = "                        initial_metadata:\n                          - {key: x-real-ip, value: \"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\"}\n"
		toAdd      = "                          headers_to_add:\n                            - {key: x-real-ip, value: \"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\"}\n"
		remote     = "                use_remote_address: true\n"
		route      = "                        - match: {prefix: /}\n                          route:\n                            cluster: origin\n"
		off        = `typed_per_filter_config: {envoy.filters.http.ext_authz: {"@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute, disabled: true}}`
		clusters   = "  clusters:\n"
		check      = "                  - name: envoy.filters.http.ext_authz\n"
		origin     = "                    - name: tv\n"
	)
	return []struct {
		name, file string
		swaps      []string
		want       string
	}{
		{"failing open", grpc, []string{mode, "failure_mode_allow: true"}, "envoy-failure-mode-allow"},
		{"failing open, as JSON has it", http, []string{mode, "failureModeAllow: true"}, "envoy-failure-mode-allow"},
		{"no address over gRPC at the edge", grpc, []string{metadata, ""}, ""},
		{"no address over gRPC behind a balancer", grpc, []string{metadata, "", remote, remote + "                xff_num_trusted_hops: 1\n"}, "envoy-address-hidden"},
		{"an address behind a balancer", grpc, []string{remote, remote + "                xff_num_trusted_hops: 1\n"}, ""},
		{"the balancer's address", grpc, []string{"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\"", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%\"", remote, remote + "                xff_num_trusted_hops: 1\n"}, "envoy-address-hidden"},
		{"a viewer's own X-Forwarded-For", grpc, []string{remote, ""}, "envoy-address-forged"},
		{"a viewer's own X-Forwarded-For over HTTP", http, []string{remote, ""}, "envoy-address-forged"},
		{"a viewer's own header", grpc, []string{"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\"}", "%REQ(x-real-ip)%\"}"}, "envoy-address-forged"},
		{"an address with its port", grpc, []string{"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%\"}", "%DOWNSTREAM_REMOTE_ADDRESS%\"}"}, "envoy-address-missing"},
		{"no address over HTTP", http, []string{toAdd, "                          {}\n"}, "envoy-address-missing"},
		{"a viewer's own X-Real-IP over HTTP", http, []string{toAdd, "                          {}\n", "- exact: user-agent", "- exact: user-agent\n                          - prefix: x-real"}, "envoy-address-forged"},
		{"dots", grpc, []string{"                normalize_path: true\n", ""}, "envoy-path-raw"},
		{"slashes", grpc, []string{"merge_slashes: true", "merge_slashes: false"}, "envoy-slashes-kept"},
		{"escaped slashes", http, []string{"REJECT_REQUEST", "KEEP_UNCHANGED"}, "envoy-escaped-slashes"},
		{"Envoy's own timeout", grpc, []string{"                        timeout: 5s\n", ""}, "envoy-timeout"},
		{"a timeout as long as the backend's", http, []string{"                          timeout: 6s\n", "                          timeout: 2s\n"}, "envoy-timeout"},
		{"tries that end early", grpc, []string{"max_interval: 6s", "max_interval: 1s"}, "envoy-retry"},
		{"retries in the wrong place", grpc, []string{"                        timeout: 5s\n", "                        timeout: 5s\n                        retry_policy: {num_retries: 2}\n"}, "envoy-retry"},
		{"no path prefix", http, []string{"                        path_prefix: /auth/envoy\n", ""}, "envoy-path-prefix"},
		{"no User-Agent", http, []string{"                          - exact: user-agent\n", ""}, "envoy-allowed-headers"},
		{"no scheme", http, []string{"                          - exact: x-forwarded-proto\n", ""}, "envoy-allowed-headers"},
		{"denials tell", http, []string{"                          allowed_client_headers:\n                            patterns:\n                              - exact: www-authenticate\n", ""}, "envoy-client-headers"},
		{"denials tell what is listed", http, []string{"- exact: www-authenticate", "- prefix: x-"}, "envoy-client-headers"},
		{"a viewer's own user", http, []string{"                        - remove: x-user-id\n", "", "                              - exact: x-user-id\n", ""}, "envoy-viewer-headers"},
		{"a viewer's own user, which altagate's replaces", http, []string{"                        - remove: x-user-id\n", ""}, ""},
		{"allows tell", http, []string{"                          dynamic_metadata_from_headers:\n", "                          allowed_client_headers_on_success: {patterns: [{prefix: x-altagate-}]}\n                          dynamic_metadata_from_headers:\n"}, "envoy-client-headers"},
		{"a viewer's own user over gRPC, which altagate removes", grpc, []string{"                        - remove: x-user-id\n", ""}, ""},
		{"a viewer's own path", grpc, []string{"                        - remove: x-original-url\n", ""}, "envoy-viewer-headers"},
		{"a viewer's own path, removed by the routes", grpc, []string{"                        - remove: x-original-url\n", "", "                  name: viewers\n", "                  name: viewers\n                  request_headers_to_remove: [x-original-url]\n"}, ""},
		{"underscores", grpc, []string{"DROP_HEADER", "ALLOW"}, "envoy-underscores"},
		{"a viewer's own scheme", grpc, []string{"                scheme_header_transformation: {scheme_to_overwrite: http}\n", ""}, "envoy-scheme"},
		{"any host", grpc, []string{"domains: [tv.example.com,", `domains: ["*",`}, "envoy-unknown-host"},
		{"any host, refused", grpc, []string{origin, "                    - {name: others, domains: [\"*\"], routes: [{match: {prefix: /}, direct_response: {status: 421}}]}\n" + origin}, ""},
		{"1024 checks", grpc, []string{"          - {max_connections: 1024, max_pending_requests: 16384, max_requests: 16384, max_retries: 1024}\n", "          - {max_connections: 1024}\n"}, "envoy-check-limit"},
		{"a route without the check", grpc, []string{route, "                        - match: {prefix: /free/}\n                          route: {cluster: origin}\n                          " + off + "\n" + route}, "envoy-check-off"},
		{"a host without the check", grpc, []string{origin, origin + "                      request_headers_to_remove: [x-a]\n", "                      typed_per_filter_config:\n", "                      typed_per_filter_config:\n                        envoy.filters.http.ext_authz: {\"@type\": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute, disabled: true}\n"}, "envoy-check-off"},
		{"a filter that is off", grpc, []string{check, check + "                    disabled: true\n"}, "envoy-check-off"},
		{"half of the requests", grpc, []string{"transport_api_version: V3", "transport_api_version: V3\n                      filter_enabled: {default_value: {numerator: 50}}"}, "envoy-check-off"},
		{"all of the requests", grpc, []string{"transport_api_version: V3", "transport_api_version: V3\n                      filter_enabled: {default_value: {numerator: 100}}"}, ""},
		{"a rehearsal", grpc, []string{"transport_api_version: V3", "transport_api_version: V3\n                      shadow_mode: true"}, "envoy-check-off"},
		{"a cache before", grpc, []string{check, "                  - name: cache\n                    typed_config:\n                      \"@type\": type.googleapis.com/envoy.extensions.filters.http.cache.v3.CacheConfig\n                      typed_config: {\"@type\": type.googleapis.com/envoy.extensions.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig}\n" + check}, "envoy-cache-first"},
		{"altagate for all", grpc, []string{route, "                        - match: {prefix: /a/}\n                          route: {cluster: altagate}\n" + route}, "envoy-altagate-exposed"},
		{"altagate's API for all", grpc, []string{route, "                        - match: {prefix: /a/}\n                          route: {cluster: api}\n" + route,
			clusters, clusters + "    - {name: api, type: STATIC, load_assignment: {cluster_name: api, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9182}}}}]}]}}\n"}, "envoy-altagate-exposed"},
		{"Envoy's admin page for all", grpc, []string{"static_resources:\n", "admin: {address: {socket_address: {address: 0.0.0.0, port_value: 9901}}}\nstatic_resources:\n"}, "envoy-admin-exposed"},
		{"Envoy's admin page", grpc, []string{"static_resources:\n", "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}\nstatic_resources:\n"}, ""},
	}
}

func TestEachMisconfigurationIsFoundAndNothingElse(t *testing.T) {
	found := map[string]bool{"envoy-no-check": false}
	for _, b := range broken() {
		text := swapped(t, shipped(t, b.file), b.swaps...)
		s := looked(t, text)
		want := strings.Fields(b.want)
		if got := ids(s); !slices.Equal(got, want) {
			t.Errorf("%s: found %q, want %q\n%s", b.name, got, want, show(s))
		}
		for _, f := range s.Findings {
			found[f.ID] = true
			if f.What == "" || !strings.Contains(f.Where, ".yaml:") {
				t.Errorf("%s: %+v does not say what and where", b.name, f)
			}
		}
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			taken(t, text)
		})
	}
	for _, id := range elsewhere(t) {
		found[id] = true
	}
	for _, k := range envoyconf.Kinds() {
		if !found[k.ID] {
			t.Errorf("no config of the table shows %s", k.ID)
		}
	}
}

// elsewhere finds what takes more than a swap: a config without the check, and a
// second listener without it.
func elsewhere(t *testing.T) []string {
	t.Helper()
	text := shipped(t, "grpc.yaml")
	start, end := strings.Index(text, "                  - name: envoy.filters.http.ext_authz\n"), strings.Index(text, "                  - name: envoy.filters.http.router\n")
	without := text[:start] + text[end:]
	if got := ids(looked(t, without)); !slices.Equal(got, []string{"envoy-no-check"}) {
		t.Errorf("without the filter: found %q", got)
	}
	from, to := strings.Index(text, "    - name: viewers\n"), strings.Index(text, "  clusters:\n")
	second := swapped(t, without[from:to-(end-start)], "- name: viewers", "- name: others", "port_value: 8082", "port_value: 8092")
	if got := ids(looked(t, text[:to]+second+text[to:])); !slices.Equal(got, []string{"envoy-unchecked"}) {
		t.Errorf("with a second listener: found %q", got)
	}
	return []string{"envoy-no-check", "envoy-unchecked"}
}

func TestAFindingSaysWhere(t *testing.T) {
	text := swapped(t, shipped(t, "grpc.yaml"), "failure_mode_allow: false", "failure_mode_allow: true")
	line := 1 + strings.Count(text[:strings.Index(text, "failure_mode_allow: true")], "\n")
	if s := looked(t, text); len(s.Findings) != 1 || s.Findings[0].Where != fmt.Sprintf("envoy.yaml:%d", line) {
		t.Errorf("line %d, found:\n%s", line, show(s))
	}
}

func TestWhatIsNoConfigIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		"":                          "not YAML",
		"a: [":                      "not YAML",
		"- a":                       "no mapping",
		"static_resources: {}":      "no HttpConnectionManager",
		"admin: &a {b: *a}":         "do aliases repeat aliases",
		strings.Repeat("[", 10_000): "",
		"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
			"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\nadmin: [*f,*f]": "do aliases repeat aliases",
	} {
		if _, err := envoyconf.Look("f", text, facts()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %v, want %q", text, err, says)
		}
	}
}

func TestNginxIsNoEnvoy(t *testing.T) {
	for _, text := range []string{"server { listen 80; }", "# a comment", "# configuration file /etc/nginx/nginx.conf:\nuser www-data;\nhttp { }\n", "user: x"} {
		if envoyconf.Is(text) {
			t.Errorf("%q is taken for Envoy's", text)
		}
	}
}

// FuzzLook reads anything: it ends, and does not panic.
func FuzzLook(f *testing.F) {
	for _, file := range []string{"grpc.yaml", "http.yaml"} {
		text, err := os.ReadFile(filepath.Join(top, "envoy", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(`{"@type": x.HttpConnectionManager, http_filters: [{name: a, typed_config: {"@type": e.ext_authz.v3.ExtAuthz, http_service: {}}}], route_config: *a}`)
	f.Add(`{"@type": x.HttpConnectionManager, "http_filters": [&a {typed_config: &b {"@type": e.ext_authz.v3.ExtAuthz, filter_enabled: {}}}, *a, *b], "rds": [1]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := envoyconf.Look("f", text, facts())
		if (s == nil) == (err == nil) {
			t.Errorf("%v %v", s, err)
		}
	})
}

package nginxconf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/doctor"
	"github.com/altagate/altagate/pkg/doctor/nginxconf"
	"github.com/altagate/altagate/test/rig"
)

const top = "../../.."

func facts() doctor.Facts {
	return doctor.Facts{Checks: []string{"127.0.0.1:9180", "127.0.0.1:9181", "unix:/run/altagate/http.sock"}, Admin: "127.0.0.1:9182", Timeout: 2}
}

// dumped is the output of a real "nginx -T" with a file in conf.d, so that no table
// here holds a config which nginx would not take.
func dumped(t *testing.T, conf string) string {
	t.Helper()
	dir := rig.TempDir(t)
	conf = strings.NewReplacer("/var/log/nginx/", dir+"/", "/var/cache/", dir+"/", "/run/altagate-checks", dir+"/checks", "/etc/nginx/altagate.js", top+"/nginx/altagate.js").Replace(conf)
	rig.Write(t, filepath.Join(dir, "altagate.conf"), conf)
	main := rig.Write(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(
		"pid %[1]s/nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n\tinclude /etc/nginx/mime.types;\n\taccess_log off;\n\tinclude *.conf.d/none;\n\tinclude %[1]s/altagate.conf;\n}\n", dir))
	code, out := rig.Run(t, rig.Program(t, "nginx", "/usr/sbin/nginx"), "-e", "stderr", "-p", dir, "-c", main, "-T")
	if code != 0 {
		t.Fatalf("nginx refuses it: %s", out)
	}
	return out
}

func shipped(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "nginx", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// swapped replaces in a text what comes in pairs.
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
	s, err := nginxconf.Look("nginx.conf", text, facts())
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
	for _, file := range []string{"altagate.conf", "altagate-unix.conf", "hls-edge.conf", "cached.conf"} {
		if s := looked(t, dumped(t, shipped(t, file))); len(s.Findings) > 0 {
			t.Errorf("%s:\n%s", file, show(s))
		} else if len(s.Fine) < 6 {
			t.Errorf("%s: only %q were looked at", file, s.Fine)
		}
	}
	// Its module is not everywhere.
	if s := looked(t, shipped(t, "rewrite.conf")); len(s.Findings) > 0 {
		t.Errorf("rewrite.conf:\n%s", show(s))
	}
}

// broken are the ways in which operators break a config, each made of the shipped
// one, and what is to be found.
func broken() []struct {
	name  string
	swaps []string
	want  string
} {
	const (
		server  = "    server_name tv.example.com localhost;\n"
		end     = "    # The check. 200 from altagate"
		own     = "        error_page 599 /_altagate;\n        proxy_intercept_errors off;\n"
		uri     = "proxy_set_header X-Original-URI $request_uri;"
		address = "proxy_pass_request_headers off;\n        proxy_set_header Host altagate;"
		origin  = "        proxy_pass http://altagate_origin/;\n"
		ask     = "    auth_request /_altagate;\n"
		page    = "    location = /page { auth_request off; return 200 'a page'; }\n"
	)
	return []struct {
		name  string
		swaps []string
		want  string
	}{
		// Recipes of failing open, as measured.
		{"A: open while altagate is away, as chosen", []string{own, "error_page 500 502 503 504 =204 /_open; proxy_intercept_errors off;\n"}, ""},
		{"B: and what altagate answers is replaced", []string{own, "error_page 500 502 503 504 =204 /_open; proxy_intercept_errors on;\n"}, "nginx-auth-intercepted"},
		{"C: an error page with the content", []string{server, server + "error_page 500 = @open;\n",
			end, "location @open { auth_request off; proxy_pass http://altagate_origin; }\n" + end}, "nginx-fail-open"},
		{"C in the location", []string{origin, origin + "error_page 500 502 = /open/;\n",
			end, "location /open/ { internal; auth_request off; proxy_pass http://127.0.0.1:8000; }\n" + end}, "nginx-fail-open"},
		{"C with a page that asks again", []string{server, server + "error_page 500 = @open;\n",
			end, "location @open { return 503; }\n" + end}, ""},
		{"D: a backup", []string{"    server 127.0.0.1:9180;\n    keepalive 64;\n", "    server 127.0.0.1:9180;\n    server 127.0.0.1:9999 backup;\n    keepalive 64;\n"}, "nginx-auth-backup"},
		{"E: a page under its own status", []string{own, "", server, server + page + "error_page 500 502 503 504 /page;\n"}, ""},
		{"E2: a maintenance page", []string{own, "", server, server + page + "error_page 500 502 503 504 =200 /page;\n"}, "nginx-auth-error-page"},
		{"E2: a maintenance page with its own status", []string{own, "", server, server + page + "error_page 502 504 = /page;\n"}, "nginx-auth-error-page"},
		{"E2: of http", []string{own, "", "    error_page 403 = @altagate_denied;\n", "", "upstream altagate {", "error_page 502 504 = /page;\nupstream altagate {", server, server + page}, "nginx-auth-error-page"},
		{"E2: a page that denies", []string{own, "", server, server + "location = /page { return 503; }\nerror_page 502 504 = /page;\n"}, ""},
		{"E2: stopped by one of its own", []string{server, server + page + "error_page 502 504 = /page;\n"}, ""},
		{"E3: a page for denials", []string{own, "", server, server + page + "error_page 403 = /page;\nproxy_intercept_errors on;\n"}, "nginx-auth-intercepted"},
		{"E3: by nginx's own denial", []string{own, "", server, server + page + "error_page 403 = /page;\n"}, "nginx-auth-intercepted"},
		{"F: another status for denials", []string{server, server + "error_page 403 = @deny;\n", end, "location @deny { return 402; }\n" + end}, ""},
		{"F: that serves", []string{server, server + "error_page 403 = @deny;\n", end, "location @deny { auth_request off; proxy_pass http://altagate_origin; }\n" + end}, "nginx-denied-served"},

		// What is not checked.
		{"a return", []string{"    location / {\n", "    location /hello { return 200 'secret'; }\n    location / {\n"}, "nginx-answered-first"},
		{"a return in an if", []string{origin, "if ($arg_x) { return 302 http://other.example.com$request_uri; }\n" + origin}, "nginx-answered-first"},
		{"a return to https", []string{origin, "if ($arg_x) { return 301 https://$host$request_uri; }\n" + origin}, ""},
		{"a rewrite", []string{origin, "rewrite ^/a/(.*) /open/$1 last;\n" + origin,
			end, "location /open/ { internal; auth_request off; proxy_pass http://altagate_origin; }\n" + end}, "nginx-answered-first"},
		{"a regular expression beside", []string{ask, "", origin, "auth_request /_altagate;\n" + origin,
			end, `location ~ \.m3u8$ { proxy_pass http://altagate_origin; }` + "\n" + end}, "nginx-unchecked"},
		{"auth_request off", []string{end, "location /free/ { auth_request off; proxy_pass http://altagate_origin/; }\n" + end}, "nginx-unchecked"},
		{"auth_request off for something else", []string{end, "location /page/ { auth_request off; proxy_pass http://127.0.0.1:8888/; }\n" + end}, ""},
		{"another server", []string{"server {\n    listen 8081;\n", "server { listen 8089; location / { proxy_pass http://127.0.0.1:8000/; } }\nserver {\n    listen 8081;\n"}, "nginx-unchecked"},
		{"satisfy any", []string{server, server + "satisfy any; allow 10.0.0.0/8; deny all;\n"}, "nginx-satisfy-any"},
		{"no check at all", []string{ask, ""}, "nginx-no-check"},
		{"a check twice", []string{origin, "root /srv; index index.m3u8; try_files $uri $uri/ =404;\n",
			"proxy_set_header X-Real-IP $remote_addr;\n        proxy_set_header X-Forwarded-For $remote_addr;", "proxy_set_header X-Real-IP $remote_addr;"}, "nginx-checked-twice"},

		// The location that asks.
		{"not internal", []string{"        internal;\n", ""}, "nginx-auth-public"},
		{"no such location", []string{"location = /_altagate {", "location = /_other {"}, "nginx-auth-not-found"},
		{"the viewer's headers", []string{address, "proxy_set_header Host altagate;"}, "nginx-auth-headers-passed"},
		{"a header that is not set", []string{address, "proxy_set_header Host altagate;", uri, ""}, "nginx-auth-header-open nginx-auth-headers-passed"},
		{"a header that nobody sets", []string{uri, ""}, "nginx-auth-header-missing"},
		{"$uri", []string{uri, "proxy_set_header X-Original-URI $uri?$args;"}, "nginx-auth-decoded"},
		{"$uri by another name", []string{uri, "proxy_set_header X-Original-URI $saved;", ask, ask + "set $saved $uri;\n"}, "nginx-auth-decoded"},
		{"$uri in a header of one's own", []string{uri, uri + "proxy_set_header X-Mine $uri;"}, "nginx-auth-decoded"},
		{"$request_uri by another name", []string{uri, "proxy_set_header X-Original-URI $raw;", "upstream altagate {", "map $request_uri $raw { default $request_uri; }\nupstream altagate {"}, ""},
		{"a viewer's own X-Original-URI", []string{uri, "proxy_set_header X-Original-URI $http_x_original_uri;"}, "nginx-auth-header-open"},
		{"a viewer's own address", []string{"X-Original-Method $request_method;\n        proxy_set_header X-Forwarded-Proto $scheme;\n        proxy_set_header X-Forwarded-Host $host:$server_port;\n        proxy_set_header X-Real-IP $remote_addr;",
			"X-Original-Method $request_method;\n        proxy_set_header X-Forwarded-Proto $scheme;\n        proxy_set_header X-Forwarded-Host $host:$server_port;\n        proxy_set_header X-Real-IP $http_x_forwarded_for;"}, "nginx-auth-address"},
		{"an address that anybody sets", []string{ask, ask + "set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For;\n"}, "nginx-address-open"},
		{"no Content-Length", []string{`        proxy_set_header Content-Length "";` + "\n", ""}, "nginx-auth-length"},
		{"a constant cache key", []string{"        proxy_cache off;\n", "proxy_cache checks; proxy_cache_valid any 1m;\n", "upstream altagate {", "proxy_cache_path /tmp/altagate-none keys_zone=checks:1m;\nupstream altagate {"}, "nginx-auth-cached"},
		{"a cache from an outer level", []string{"        proxy_cache off;\n", "", "upstream altagate {", "proxy_cache_path /tmp/altagate-none keys_zone=checks:1m; proxy_cache checks;\nupstream altagate {"}, "nginx-auth-cached"},
		{"straight to the backend", []string{"http://altagate/auth/nginx", "http://altagate/chk?token=$arg_token"}, "nginx-auth-not-altagate"},
		{"a file answers", []string{"        proxy_pass http://altagate/auth/nginx;\n", "return 200;\n"}, "nginx-auth-not-altagate"},
		{"an address in place of an upstream", []string{"http://altagate/auth/nginx", "http://127.0.0.1:9180/auth/nginx"}, "nginx-auth-connections"},
		{"no keepalive", []string{"    keepalive 64;\n", ""}, "nginx-auth-connections"},
		{"an impatient nginx", []string{"proxy_read_timeout 6s;", "proxy_read_timeout 500ms;"}, "nginx-auth-timeout"},
		{"allow in the check", []string{"        internal;\n", "        internal; allow 10.0.0.0/8;\n"}, "nginx-auth-chained"},
		{"one header that drops the others", []string{"        proxy_set_header Host altagate;\n", "", "        " + uri + "\n", "", ask, ask + uri + "\n"}, "nginx-auth-header-missing"},

		// What the origin gets.
		{"the raw path", []string{origin, "proxy_pass http://altagate_origin;\n"}, "nginx-path-raw"},
		{"slashes", []string{ask, ask + "merge_slashes off;\n"}, "nginx-slashes-kept"},
		{"a viewer's own headers", []string{"        proxy_set_header X-User-Id \"\";\n", ""}, "nginx-viewer-headers"},
		{"any host", []string{"tv.example.com localhost", "tv.example.com _"}, "nginx-unknown-host"},
		{"the default server", []string{"listen 8081 default_server;", "listen 8082;"}, "nginx-unknown-host"},
		{"altagate for all", []string{end, "location /admin/ { auth_request off; proxy_pass http://127.0.0.1:9182/; }\n" + end}, "nginx-altagate-exposed"},
	}
}

func TestEachMisconfigurationIsFoundAndNothingElse(t *testing.T) {
	sound := shipped(t, "altagate.conf")
	found := map[string]bool{}
	for _, b := range broken() {
		t.Run(b.name, func(t *testing.T) {
			s := looked(t, dumped(t, swapped(t, sound, b.swaps...)))
			want := strings.Fields(b.want)
			slices.Sort(want)
			if got := ids(s); !slices.Equal(got, want) {
				t.Errorf("found %q, want %q\n%s", got, want, show(s))
			}
			for _, f := range s.Findings {
				found[f.ID] = true
				if f.What == "" || !strings.Contains(f.Where, ".conf:") {
					t.Errorf("%+v does not say what and where", f)
				}
			}
		})
	}
	for _, k := range nginxconf.Kinds() {
		if !found[k.ID] {
			t.Errorf("no config of the table shows %s", k.ID)
		}
	}
}

func TestAFindingSaysWhere(t *testing.T) {
	const conf = "http {\n server {\n  listen 80;\n  location / { # here\n   auth_request /a;\n   proxy_pass http://o/;\n  }\n }\n}\n"
	s := looked(t, conf)
	if len(s.Findings) == 0 || s.Findings[0].Where != "nginx.conf:5" || s.Findings[0].ID != "nginx-auth-not-found" {
		t.Errorf("found:\n%s", show(s))
	}
}

func TestWhatIsNoConfigIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		"":                  "no server block",
		"hello":             "hello is not closed",
		"http { server { }": "the block of http is not closed",
		"http { } }":        "closes nothing",
		"server { a \"b; }": "a quote is not closed",
		"# configuration file /a:\ninclude a;\n# configuration file /b:\n": "nested too deep",
		"server { x_by_lua_block { if a then }":                            "not closed",
		"; a;":                                                             "a ; is not expected",
	} {
		if _, err := nginxconf.Look("f", text, facts()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func TestIncludesThatDidNotComeAlongAreTold(t *testing.T) {
	s := looked(t, "http { include conf.d/*.conf; server { listen 80; } }")
	if len(s.Unseen) == 0 || !strings.Contains(s.Unseen[0], "conf.d/*.conf") {
		t.Errorf("not seen: %q", s.Unseen)
	}
}

// FuzzLook reads anything: it ends, and does not panic.
func FuzzLook(f *testing.F) {
	for _, file := range []string{"altagate.conf", "hls-edge.conf", "rewrite.conf"} {
		text, err := os.ReadFile(filepath.Join(top, "nginx", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("# configuration file /etc/nginx/nginx.conf:\nhttp { include *; server { location ~ ( { auth_request @a; rewrite a $b; return; if ($a) { return; } } } }")
	f.Add("server { content_by_lua_block { -- }\n s = '}' } map a $b; set $a $a; proxy_pass unix:a:b; error_page 1; listen; server_name; location { } satisfy any; allow; }")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := nginxconf.Look("f", text, facts())
		if (s == nil) == (err == nil) {
			t.Errorf("%v %v", s, err)
		}
	})
}

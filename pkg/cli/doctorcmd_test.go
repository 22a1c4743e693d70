package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/doctor"
	"github.com/altagate/altagate/pkg/doctor/edge"
	"github.com/altagate/altagate/pkg/doctor/envoyconf"
	"github.com/altagate/altagate/pkg/doctor/live"
	"github.com/altagate/altagate/pkg/doctor/nginxconf"
)

// examined runs doctor and gives its exit code and what it found.
func examined(t *testing.T, args ...string) (int, []string, doctor.Report) {
	t.Helper()
	code, stdout, stderr := ran(t, append([]string{"doctor", "--json"}, args...)...)
	var report doctor.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || stderr != "" {
		t.Fatalf("%v %s\n%s", err, stderr, stdout)
	}
	found := []string{}
	for _, s := range report.Sections {
		for _, f := range s.Findings {
			found = append(found, f.ID)
		}
	}
	if len(found) != report.Findings {
		t.Errorf("%d findings are counted, and there are %q", report.Findings, found)
	}
	slices.Sort(found)
	return code, slices.Compact(found), report
}

// TestDoctorFindsWhatIsWrongWithAConfigAndItsBackends has one fault in each row.
func TestDoctorFindsWhatIsWrongWithAConfigAndItsBackends(t *testing.T) {
	portal := portal(t).URL
	answers := func(status int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		t.Cleanup(s.Close)
		return s.URL
	}
	slow := answering(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(1200 * time.Millisecond):
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusForbidden)
	}).URL
	dir := t.TempDir()
	open := filepath.Join(dir, "key")
	if err := os.WriteFile(open, []byte(strings.Repeat("k", 40)), 0o644); err != nil {
		t.Fatal(err)
	}
	const route = ", match: {hosts: [tv.example.com], paths: [/live/]}"
	for _, test := range []struct {
		name, config string
		code         int
		found        string
	}{
		{"nothing", oneRoute(portal, route), 0, ""},
		{"a mistake", oneRoute(portal, route+", grase: 1m"), 1, "config-mistake"},
		{"a file that is not there", oneRoute(portal, route) + "keys: [file:" + dir + "/none]\n", 1, "config-file"},
		{"no paths", oneRoute(portal, ""), 1, "config-note"},
		{"everybody may ask", oneRoute(portal, route) + "callers: [0.0.0.0/0]\n", 1, "callers-everybody"},
		{"metrics for all", oneRoute(portal, route) + "listen: {admin: '0.0.0.0:9182'}\n", 1, "admin-exposed"},
		{"a key for all", oneRoute(portal, route) + "keys: [file:" + open + "]\n", 1, "secret-readable"},
		{"an accidental 200", oneRoute(answers(200), route), 1, "backend-allows-all"},
		{"another success is a denial", oneRoute(answers(204), route), 0, ""},
		{"a gateway without its portal", oneRoute(answers(502), route), 1, "backend-fails"},
		{"nobody there", oneRoute("http://"+nobody(t), route), 1, "backend-unreached"},
		{"slow", strings.Replace(oneRoute(slow, route), "'}", "', timeout: 2s}", 1), 1, "backend-slow"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, found, report := examined(t, "--config", file(t, test.config), "--admin", "")
			if code != test.code || !slices.Equal(found, strings.Fields(test.found)) {
				t.Errorf("exit code %d, found %q; want %d and %q\n%+v", code, found, test.code, test.found, report.Sections[0])
			}
		})
	}
}

// TestDoctorShowsNoSecretOfTheConfig gives the backend's URL and headers secrets.
func TestDoctorShowsNoSecretOfTheConfig(t *testing.T) {
	config := "backends:\n  portal: {url: 'http://user:s3cret@" + nobody(t) + "/auth?key=s3cret', headers: {X-Api-Key: s3cret}}\nroutes: [{name: all, backends: [portal]}]\n"
	code, stdout, stderr := ran(t, "doctor", "--config", file(t, config), "--admin", "")
	if code != 1 || strings.Contains(stdout+stderr, "s3cret") || !strings.Contains(stdout, "backend-unreached") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

func TestDoctorLooksAtARunningAltagate(t *testing.T) {
	backend := portal(t).URL
	a := serving(t, "--backend", backend)
	at := []string{"--http", a.http, "--grpc", "", "--admin", "http://" + a.admin + "/"}
	code, found, report := examined(t, at...)
	if code != 0 || len(found) > 0 {
		t.Errorf("a sound one: exit code %d, found %q", code, found)
	}
	if fine := report.Sections[1].Fine; !slices.Contains(fine, "it is ready") || !slices.Contains(fine, `backend "backend" is there`) {
		t.Errorf("seen: %q", fine)
	}
	code, found, _ = examined(t, "--http", nobody(t), "--grpc", nobody(t), "--admin", a.admin)
	if code != 1 || !slices.Equal(found, []string{"listener-away"}) {
		t.Errorf("other listeners: exit code %d, found %q", code, found)
	}
	a.stop(t)
	code, found, report = examined(t, at...)
	if code != 2 || len(found) > 0 || report.Sections[1].Failed == "" {
		t.Errorf("stopped: exit code %d, found %q", code, found)
	}
	if code, found, _ = examined(t, "--admin", strings.TrimPrefix(backend, "http://")); code != 2 {
		t.Errorf("something else: exit code %d, found %q", code, found)
	}
}

func TestDoctorSendsTheAdminTokenAndShowsNone(t *testing.T) {
	const token = "s3cret-token-of-thirty-two-bytes-or-more"
	path := file(t, oneRoute(portal(t).URL, ", match: {paths: [/live/]}")+"admin_token: "+token+"\n")
	a := serving(t, "--config", path)
	code, stdout, stderr := ran(t, "doctor", "--config", path, "--http", a.http, "--grpc", "", "--admin", a.admin)
	if code != 0 || !strings.Contains(stdout, `backend "portal" is there`) || strings.Contains(stdout+stderr, token) {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}

func TestDoctorSaysThatABackendIsAway(t *testing.T) {
	a := serving(t, "--backend", "http://"+nobody(t))
	code, found, _ := examined(t, "--http", a.http, "--grpc", "", "--admin", a.admin)
	if code != 1 || !slices.Equal(found, []string{"backend-away"}) {
		t.Errorf("exit code %d, found %q", code, found)
	}
}

func TestDoctorReadsConfigsOfProxies(t *testing.T) {
	for _, test := range []struct {
		text  string
		code  int
		found string
	}{
		{"server { listen 80; location / { proxy_pass http://127.0.0.1:8000/; } }", 1, "nginx-no-check"},
		{"static_resources: {listeners: [{typed_config: {'@type': a.HttpConnectionManager}}]}", 1, "envoy-no-check"},
		{"hello", 2, ""},
		{"static_resources: {}", 2, ""},
	} {
		code, found, _ := examined(t, "--admin", "", "--proxy-config", file(t, test.text))
		if code != test.code || !slices.Equal(found, strings.Fields(test.found)) {
			t.Errorf("%s: exit code %d, found %q", test.text, code, found)
		}
	}
	if code, _, report := examined(t, "--admin", "", "--proxy-config", "/nowhere/nginx.conf"); code != 2 || !strings.Contains(report.Sections[1].Failed, "/nowhere") {
		t.Errorf("a file that is not there: exit code %d", code)
	}
}

func TestAMistakeInADoctorIsExitCode3(t *testing.T) {
	for _, args := range [][]string{
		{"--nosuch"}, {"argument"}, {"--backend", "10.0.0.5"}, {"--config", file(t, oneRoute("http://a", "")), "--backend", "http://a"},
		{"--config", file(t, oneRoute("http://a", "")), "--admin", "here"},
		{"--edge", "tv.example.com/x"}, {"--edge", "http:///x"}, {"--edge", "http://tv.example.com/a b"}, {"--edge-address", "127.0.0.1:80"},
		{"--edge", "http://tv.example.com/x", "--edge-address", "127.0.0.1"}, {"--altagate-stopped"},
	} {
		if code, _, stderr := ran(t, append([]string{"doctor"}, args...)...); code != 3 || stderr == "" {
			t.Errorf("%q: exit code %d, %s", args, code, stderr)
		}
	}
}

// TestTheDocsExplainEachFinding holds docs/doctor.md to the kinds that there are.
func TestTheDocsExplainEachFinding(t *testing.T) {
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := slices.Concat(doctorKinds(), live.Kinds(), edge.Kinds(), nginxconf.Kinds(), envoyconf.Kinds())
	seen := map[string]bool{}
	for _, k := range kinds {
		if !strings.Contains(string(page), "`"+k.ID+"`") {
			t.Errorf("docs/doctor.md does not explain %s", k.ID)
		}
		if seen[k.ID] || k.Why == "" || k.Severity != doctor.Error && k.Severity != doctor.Warning {
			t.Errorf("%+v is there twice, or says too little", k)
		}
		seen[k.ID] = true
	}
	if len(kinds) < 60 {
		t.Errorf("only %d kinds", len(kinds))
	}
}

package deploy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/pki"
	"github.com/altagate/altagate/test/rig"
)

const monitoring = rig.Top + "/deploy/prometheus/"

func TestTheAlertsComeWhenTheyShouldAndNotOtherwise(t *testing.T) {
	promtool := rig.Program(t, "promtool")
	for _, args := range [][]string{{"check", "rules", monitoring + "rules.yaml"}, {"test", "rules", monitoring + "rules_test.yaml"}} {
		if code, printed := rig.Run(t, promtool, args...); code != 0 {
			t.Errorf("promtool %v: exit code %d\n%s", args, code, printed)
		}
	}
}

// TestTheScrapeConfigIsPrometheus holds that of docs/operate.md, with the alerts beside it.
func TestTheScrapeConfigIsPrometheus(t *testing.T) {
	dir := rig.TempDir(t)
	rig.Write(t, dir+"/rules.yaml", read(t, monitoring+"rules.yaml"))
	config := rig.Write(t, dir+"/prometheus.yml", pasted(t, "docs/operate.md", 1))
	if code, printed := rig.Run(t, rig.Program(t, "promtool"), "check", "config", config); code != 0 || !strings.Contains(printed, "1 rule files found") {
		t.Errorf("promtool check config: exit code %d\n%s", code, printed)
	}
	if !strings.Contains(read(t, config), "job_name: altagate\n") {
		t.Error("the job is not the one that the alert for an altagate that is away asks for")
	}
}

// queries are those of the dashboard's panels.
func queries(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile(monitoring + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("the panel %q asks nothing", p.Title)
		}
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	if len(all) == 0 {
		t.Fatal("the dashboard asks nothing")
	}
	return all
}

func TestTheDashboardsQueriesArePromQL(t *testing.T) {
	promtool := rig.Program(t, "promtool")
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	grafana := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$job", ".*")
	for i, q := range queries(t) {
		fmt.Fprintf(&rules, "      - {record: 'panel:%d', expr: %q}\n", i, grafana.Replace(q))
	}
	file := rig.Write(t, filepath.Join(t.TempDir(), "rules.yaml"), rules.String())
	if code, printed := rig.Run(t, promtool, "check", "rules", file); code != 0 {
		t.Errorf("exit code %d\n%s", code, printed)
	}
}

// scraped gives the names and labels of all series of a real altagate: "name" and
// "name{label".
func scraped(t *testing.T) map[string]bool {
	t.Helper()
	dir, authority := rig.TempDir(t), pki.New(t, "one")
	pair := authority.Issue(t, pki.Leaf{IPs: []string{"127.0.0.1"}})
	pki.Put(t, dir, "tls.crt", pair.Cert)
	pki.Put(t, dir, "tls.key", pair.Key)
	pki.Put(t, dir, "ca.pem", authority.PEM)
	address := rig.FreeAddress(t)
	config := rig.Write(t, dir+"/altagate.yaml", "listen: {http: 'unix:"+dir+"/http.sock', grpc: '', admin: '"+address+"'}\n"+
		"state: "+dir+"/state.db\n"+
		"backends: {portal: {url: https://127.0.0.1:1/, ca_file: "+dir+"/ca.pem, client_cert: "+dir+"/tls.crt, client_key: "+dir+"/tls.key}}\n"+
		"routes: [{name: live, match: {paths: [/]}, backends: [portal]}]\n")
	p := rig.Start(t, "altagate", altagateBin, "serve", "--config", config)
	p.Listening(t, "tcp", address)
	rig.Until(t, "the backend to be found away", func() bool { return strings.Contains(p.Log(t), "backend is away") })
	reply, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		name, labels, _ := strings.Cut(strings.Fields(line)[0], "{")
		all[name] = true
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(labels, -1) {
			all[name+"{"+label[1]] = true
		}
	}
	return all
}

func TestAlertsAndDashboardAskForWhatAltagateHas(t *testing.T) {
	rules, err := os.ReadFile(monitoring + "rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	has, asked := scraped(t), 0
	metric := regexp.MustCompile(`\b((?:altagate|process)_\w+)(?:\{([^}]*)\})?`)
	for _, text := range append(queries(t), string(rules)) {
		for _, found := range metric.FindAllStringSubmatch(text, -1) {
			asked++
			if !has[found[1]] {
				t.Errorf("altagate has no %s", found[1])
			}
			for _, label := range regexp.MustCompile(`(\w+)=`).FindAllStringSubmatch(found[2], -1) {
				// These two are Prometheus' own.
				if label[1] != "instance" && label[1] != "job" && !has[found[1]+"{"+label[1]] {
					t.Errorf("%s has no label %s", found[1], label[1])
				}
			}
		}
	}
	if asked < 20 {
		t.Errorf("only %d metrics are asked for", asked)
	}
}

package gate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/policy"
	"github.com/altagate/altagate/pkg/route"
	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/test/pki"
	"github.com/altagate/altagate/test/rig"
)

// TestWhateverParsesCanBePutInForce holds the rules of config and backend to
// each other: only config knows line and column.
func TestWhateverParsesCanBePutInForce(t *testing.T) {
	files, err := filepath.Glob("../config/testdata/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples (%v)", err)
	}
	samples := map[string][]byte{"the example": config.Example()}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		samples[filepath.Base(file)] = data
	}
	authority := pki.New(t, "one")
	pair := authority.Issue(t, pki.Leaf{})
	t.Chdir(t.TempDir())
	pki.Put(t, ".", "ca.pem", authority.PEM)
	pki.Put(t, ".", "client.crt", pair.Cert)
	pki.Put(t, ".", "client.key", pair.Key)
	countries := rig.Countries(t, map[string]string{"192.0.2.0/24": "DE"})
	for name, data := range samples {
		cfg, err := config.Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if cfg.CountryFile != "" {
			cfg.CountryFile = countries
		}
		for i, k := range cfg.Keys {
			if k.File != "" {
				cfg.Keys[i] = config.Key{Text: strings.Repeat(string(rune('k'+i)), 40)} // Files of keys are not here.
			}
		}
		for _, r := range cfg.Routes {
			for i, k := range r.SecureToken.Secrets {
				if k.File != "" {
					r.SecureToken.Secrets[i] = config.Key{Text: "from a file"}
				}
			}
		}
		c, err := compile(cfg, nil, func(check.Event) {})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		closeExcept(c.backends, nil)
	}
}

func TestAPanicIsADenialThatTheLogShows(t *testing.T) {
	broken := &line{
		name: "all", policy: policy.Policy{AllowUnavailable: true, DenyStatus: 403}, asking: begun(),
		backends: []*backend.Backend{nil}, rules: &session.Rules{},
	}
	g := &Gate{notify: func(check.Event) {}, sessions: noSessions(t)}
	broken.slowest = &source{}
	g.current.Store(&compiled{routes: route.New([]route.Rule[*line]{{Name: "all", Value: broken}})})
	// Without a deadline nobody looks at the timeout of slowest.
	d := g.Check(t.Context(), &check.Request{Path: "/a", Query: "token=s3cret"})
	if d.Allow || d.Reason != check.Unanswered || d.Status != 403 || d.Route != "all" || d.Outcome.Err == nil {
		t.Fatalf("got %+v", d)
	}
	text := d.Outcome.Err.Error()
	if !strings.HasPrefix(text, "panic in github.com/altagate/altagate/pkg/backend.") || !strings.Contains(text, "nil pointer") {
		t.Errorf("the log shows %q", text)
	}
}

func TestACallIsBoundedByTheTimeoutOfTheSlowestBackend(t *testing.T) {
	cfg, err := config.Parse([]byte("backends: {a: {url: http://127.0.0.1:1, timeout: 1s}, b: {url: http://127.0.0.1:1, timeout: 4s}}\n" +
		"routes: [{name: all, backends: [b, a]}]"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := compile(cfg, nil, func(check.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	defer closeExcept(c.backends, nil)
	found, ok := c.routes.Find("all", "", "")
	if !ok {
		t.Fatal("no route")
	}
	if want := 2*4*time.Second + verdictTime; found.asking.limit != want || found.slowest.Name() != "b" {
		t.Errorf("limit %v by %s, want %v by b", found.asking.limit, found.slowest.Name(), want)
	}
}

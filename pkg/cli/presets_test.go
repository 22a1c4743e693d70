package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/altagate/altagate/pkg/preset"
)

// TestWhatThePagesOfThePresetsSayCanBePasted takes each line that starts altagate.
func TestWhatThePagesOfThePresetsSayCanBePasted(t *testing.T) {
	for _, name := range preset.Names() {
		page, err := os.ReadFile(filepath.Join("../../docs/presets", name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		lines := regexp.MustCompile(`(?m)^altagate serve (.*)$`).FindAllStringSubmatch(string(page), -1)
		if len(lines) == 0 {
			t.Errorf("%s has none", name)
		}
		for _, line := range lines {
			var s settings
			s.sourceFlags(&cobra.Command{})
			if err := s.flags.Parse(strings.Fields(line[1])); err != nil {
				t.Errorf("%s: %v", line[0], err)
				continue
			}
			if cfg, err := s.load(); err != nil || cfg.Backends[0].Preset != name {
				t.Errorf("%s: %+v, %v", line[0], cfg, err)
			}
		}
	}
}

func TestAPresetsFlagBringsItsDefaults(t *testing.T) {
	for _, test := range []struct {
		args     []string
		url      string
		statuses int
		wrong    string
	}{
		{[]string{"--preset", "iptvportal"}, "https://go.iptvportal.cloud/auth/arescrypt/", 0, ""},
		{[]string{"--preset", "iptvportal", "--backend", "https://portal.example.com/"}, "https://portal.example.com/", 0, ""},
		{[]string{"--preset", "flussonic", "--backend", "http://a/"}, "http://a/", 1, ""},
		{[]string{"--preset", "smarty"}, "", 0, "--preset smarty has no address of its own: give --backend URL"},
		{[]string{"--preset", "Smarty", "--backend", "http://a/"}, "", 0, `--preset: "Smarty" is none of: custom, `},
		{[]string{"--preset", "", "--backend", "http://a/"}, "", 0, `--preset: "" is none of: custom, `},
	} {
		var s settings
		s.sourceFlags(&cobra.Command{})
		if err := s.flags.Parse(test.args); err != nil {
			t.Fatal(err)
		}
		cfg, err := s.load()
		switch {
		case test.wrong != "":
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%q: %v, want %q", test.args, err, test.wrong)
			}
		case err != nil:
			t.Errorf("%q: %v", test.args, err)
		case cfg.Backends[0].URLs[0].String() != test.url || len(cfg.Backends[0].UnavailableStatuses) != test.statuses:
			t.Errorf("%q: %+v", test.args, cfg.Backends[0])
		}
	}
}

func TestCheckExplainsAReplyInThePortalsTerms(t *testing.T) {
	portal := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"error":2}`)) }).URL
	code, stdout, stderr := ran(t, "check", watch+"123", "--preset", "smarty", "--backend", portal)
	for _, want := range []string{
		"\nmeaning   error 2: the token was made for other content than the name that was sent\n",
		"\ndecision  deny: the backend answered 200, but the body has error 2\n",
	} {
		if code != 1 || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, no %q in\n%s%s", code, want, stdout, stderr)
		}
	}
}

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoutesThatDenyNobodyAreWarnedOf(t *testing.T) {
	const advice = " mode observe: EVERYBODY is allowed there, and the log tells who would have been denied"
	for _, test := range []struct{ name, modes, want string }{
		{"one", "mode: observe}, {name: two, backends: [a], match: {paths: [/two/]}", "route one has" + advice},
		{"both", "mode: observe}, {name: two, backends: [a], match: {paths: [/two/]}, mode: observe", "routes one, two have" + advice},
		{"none", "mode: enforce", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse([]byte("backends: {a: {url: http://b}}\nroutes: [{name: one, backends: [a], match: {paths: [/]}, " + test.modes + "}]\n"))
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			if diff := cmp.Diff(want, c.Warnings()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestAStatusThatDeniesIsWarnedOfWhereItIsToMeanAway: the probe would get it too, and
// the gate stand open or closed for good.
func TestAStatusThatDeniesIsWarnedOfWhereItIsToMeanAway(t *testing.T) {
	for statuses, want := range map[string]int{"[502, 503, 504]": 0, "[403]": 1, "[302, 404, 502]": 2} {
		c, err := Parse([]byte("backends: {a: {url: http://b, unavailable_statuses: " + statuses + "}}\n" +
			"routes: [{name: one, backends: [a], match: {paths: [/]}}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Warnings(); len(got) != want || want > 0 && !strings.HasPrefix(got[0], "backend a has "+statuses[1:4]+" in unavailable_statuses") {
			t.Errorf("%s: warned of %q, want %d warnings", statuses, got, want)
		}
	}
}

// TestASecretThatCouldBeGuessedIsWarnedOf takes it from the config and from a file.
func TestASecretThatCouldBeGuessedIsWarnedOf(t *testing.T) {
	file := func(secret string) string {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	const short, long = "0123456789abcde", "0123456789abcdef"
	for _, test := range []struct {
		name, secrets string
		warned        bool
	}{
		{"short", short, true},
		{"long", long, false},
		{"short in a file", file(short + "\n"), true},
		{"long in a file", file(long + "\n"), false},
		{"a long one before a short one", long + ", " + file(short), true},
		{"a file that is not there", "file:/nonexistent/token", false},
	} {
		c, err := Parse([]byte("backends: {a: {url: http://b}}\nroutes: [{name: one, backends: [a], match: {paths: [/]}, " +
			"secure_token: {kind: alta, secrets: [" + test.secrets + "]}}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Warnings(); (len(got) > 0) != test.warned {
			t.Errorf("%s: warned of %q", test.name, got)
		}
	}
}

package arch

import (
	"strings"
	"testing"
)

// planted are files with one fault each, and files without that look alike.
func planted() []struct{ rule, path, text, finding string } {
	long := strings.Repeat("\t_ = 1\n", 60)
	return []struct{ rule, path, text, finding string }{
		{"imports of ours", "pkg/check/a.go", `import "github.com/altagate/altagate/pkg/target"`, "pkg/check may not import pkg/target"},
		{"imports of ours", "pkg/gate/a.go", `import _ "github.com/altagate/altagate/pkg/telemetry"`, "pkg/gate may not import pkg/telemetry"},
		{"imports of ours", "pkg/new/a.go", ``, "nothing is said about what pkg/new may import"},
		{"imports of ours", "pkg/policy/a.go", `import "github.com/altagate/altagate/pkg/check"`, ""},
		{"imports of ours", "pkg/policy/a_test.go", `import "github.com/altagate/altagate/pkg/cli"`, ""},
		{"foreign imports", "pkg/gate/a.go", `import "github.com/rs/zerolog"`, "pkg/gate is not an owner of github.com/rs/zerolog"},
		{"foreign imports", "pkg/server/a.go", `import "google.golang.org/grpc"`, "is not an owner"},
		{"foreign imports", "pkg/cli/a.go", `import "example.com/new"`, "is not an owner"},
		{"foreign imports", "pkg/cli/a.go", `import "github.com/rs/zerolog"`, ""},
		{"foreign imports", "pkg/check/a.go", `import "net/http"`, ""},
		{"no init", "pkg/check/a.go", `func init() {}`, "there is an init function"},
		{"no init", "pkg/check/a.go", "type T int\nfunc (T) init() {}", ""},
		{"package variables", "pkg/check/a.go", `var count int`, "count can change"},
		{"package variables", "pkg/check/a.go", `var name = "x"`, "name can change"},
		{"package variables", "pkg/check/a.go", `var mu = sync.Mutex{}`, "mu can change"},
		{"package variables", "pkg/check/a.go", `var total = prometheus.NewCounter()`, "total can change"},
		{"package variables", "pkg/check/a.go", "var t = map[string]int{}\nfunc f() { t[`a`] = 1 }", "t is written to"},
		{"package variables", "pkg/check/a.go", "var t = []int{1}\nfunc f() { t[0]++ }", "t is written to"},
		{"package variables", "pkg/check/a.go", "var t = map[int]int{}\nfunc f() { delete(t, 1) }", "t is written to"},
		{"package variables", "pkg/check/a.go", "var t = T{}\nfunc f() { g(&t) }", "t is written to"},
		{"package variables", "pkg/check/a.go", "var ErrA = errors.New(`a`)\nfunc f() { ErrA = nil }", "ErrA is written to"},
		{"package variables", "pkg/check/a.go", "var t = map[string]int{`a`: 1}\nfunc f() int { return t[`a`] }", ""},
		{"package variables", "pkg/check/a.go", "//go:embed x\nvar x []byte", ""},
		{"package variables", "pkg/check/a.go", "var _ error = T{}", ""},
		{"no sleeping tests", "pkg/check/a_test.go", "func f() { time.Sleep(1) }", "a test sleeps"},
		{"no sleeping tests", "pkg/check/a_test.go", "func f() { synctest.Test(t, func() { time.Sleep(1) }) }", ""},
		{"no sleeping tests", "pkg/check/a.go", "func f() { time.Sleep(1) }", ""},
		{"short files", "pkg/check/a_test.go", strings.Repeat("\n", 400), "401 lines"},
		{"short files", "pkg/check/a_test.go", strings.Repeat("\n", 399), ""},
		{"short functions", "pkg/check/a.go", "func f() {\n" + long + "}", "f has 62 lines"},
		{"short functions", "pkg/check/a.go", "func f() {\n" + strings.Repeat("\t_ = 1\n", 58) + "}", ""},
		{"short functions", "pkg/check/a_test.go", "func f() {\n" + long + "}", ""},
	}
}

func TestAPlantedFaultIsFoundAndNothingElse(t *testing.T) {
	tried := map[string]bool{}
	for _, p := range planted() {
		s, err := parsed(p.path, "package a\n"+p.text)
		if err != nil {
			t.Fatalf("%s: %v", p.text, err)
		}
		found := strings.Join(rules()[p.rule]([]source{s}), "\n")
		if p.finding == "" && found != "" || !strings.Contains(found, p.finding) {
			t.Errorf("%s: in %.60q found %q, want %q", p.rule, p.text, found, p.finding)
		}
		tried[p.rule] = tried[p.rule] || p.finding != ""
	}
	for name := range rules() {
		if !tried[name] {
			t.Errorf("no fault is planted for %q", name)
		}
	}
}

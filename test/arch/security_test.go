package arch

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheThreatModelNamesWhatThereIs reads SECURITY.md: each row names a test, and
// each test and each file that it names exists.
func TestTheThreatModelNamesWhatThereIs(t *testing.T) {
	top := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(top, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := tree(t, top)
	findings, rows := unshown("SECURITY.md", string(text), tests(all))
	for _, finding := range slices.Concat(findings, unknownNames(string(text), fuzzTargets(all), func(file string) bool {
		_, err := os.Stat(filepath.Join(top, filepath.FromSlash(file)))
		return err == nil
	})) {
		t.Error(finding)
	}
	if rows < 30 {
		t.Errorf("only %d rows were found", rows)
	}
}

func TestAThreatModelThatNamesNothingIsFound(t *testing.T) {
	const text = "`pkg/a.go`, `pkg/gone.go`, `FuzzA`, `FuzzGone`, `listen.http`"
	findings := unknownNames(text, map[string]bool{"FuzzA": true}, func(file string) bool { return file == "pkg/a.go" })
	want := "SECURITY.md names FuzzGone, which does not exist\nSECURITY.md names pkg/gone.go, which does not exist"
	if got := strings.Join(findings, "\n"); got != want {
		t.Errorf("found %s", got)
	}
}

// fuzzTargets are the names of all.
func fuzzTargets(all []source) map[string]bool {
	names := map[string]bool{}
	for _, s := range all {
		for _, d := range s.tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.isTest() && strings.HasPrefix(f.Name.Name, "Fuzz") {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

// unknownNames finds fuzz targets and files that do not exist.
func unknownNames(text string, targets map[string]bool, isFile func(string) bool) (findings []string) {
	for _, name := range regexp.MustCompile("`(Fuzz[A-Z][A-Za-z0-9]*)`").FindAllStringSubmatch(text, -1) {
		if !targets[name[1]] {
			findings = append(findings, "SECURITY.md names "+name[1]+", which does not exist")
		}
	}
	for _, file := range regexp.MustCompile("`((?:pkg|nginx|envoy|deploy)/[^` ]+)`").FindAllStringSubmatch(text, -1) {
		if !isFile(file[1]) {
			findings = append(findings, "SECURITY.md names "+file[1]+", which does not exist")
		}
	}
	return findings
}

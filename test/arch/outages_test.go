package arch

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWhatIsDescribedIsShownByATest reads the tables of the docs about failures and
// attacks: each row names tests, and each of them exists.
func TestWhatIsDescribedIsShownByATest(t *testing.T) {
	top := filepath.Join("..", "..")
	exists := tests(tree(t, top))
	for file, least := range map[string]int{"docs/outages.md": 20, "docs/attacks.md": 30} {
		text, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		findings, rows := unshown(file, string(text), exists)
		for _, finding := range findings {
			t.Error(finding)
		}
		if rows < least {
			t.Errorf("only %d rows were found in %s", rows, file)
		}
	}
}

func TestARowWithoutATestIsFound(t *testing.T) {
	const table = "| it | tests |\n|---|---|\n| is slow | `TestSlow` |\n| is gone | `TestSlow`, `TestGone` |\n| is late | |\n"
	findings, rows := unshown("docs/outages.md", table, map[string]bool{"TestSlow": true})
	want := "docs/outages.md names TestGone, which does not exist\ndocs/outages.md: no test shows the row | is late | |"
	if got := strings.Join(findings, "\n"); got != want || rows != 3 {
		t.Errorf("%d rows, %s", rows, got)
	}
}

// tests are the names of all tests.
func tests(all []source) map[string]bool {
	names := map[string]bool{}
	for _, s := range all {
		if !s.isTest() {
			continue
		}
		for _, d := range s.tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

// unshown finds rows of tables that name no test, and tests that do not exist.
func unshown(file, text string, exists map[string]bool) (findings []string, rows int) {
	named := regexp.MustCompile("`(Test[A-Z0-9][A-Za-z0-9]*)`")
	inTable := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
			continue
		case strings.HasPrefix(line, "|---"):
			inTable = true
			continue
		case !inTable:
			continue
		}
		rows++
		names := named.FindAllStringSubmatch(line, -1)
		if len(names) == 0 {
			findings = append(findings, file+": no test shows the row "+line)
		}
		for _, name := range names {
			if !exists[name[1]] {
				findings = append(findings, file+" names "+name[1]+", which does not exist")
			}
		}
	}
	return findings, rows
}

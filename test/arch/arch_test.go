// Package arch keeps the shape of the code as ARCHITECTURE.md draws it. It
// reads the files itself: a list that the go command made would come from a
// child process, whose reading the test cache does not see.
package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// source is one Go file.
type source struct {
	// path is below the top, with slashes: "pkg/gate/gate.go".
	path  string
	fset  *token.FileSet
	tree  *ast.File
	lines int
}

func (s source) dir() string  { return path.Dir(s.path) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// at is where a finding is, for whoever reads it.
func (s source) at(n ast.Node) string { return s.fset.Position(n.Pos()).String() }

func parsed(name, text string) (source, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{path: name, fset: fset, tree: tree, lines: strings.Count(text, "\n")}, err
}

// rules are all that is checked. Each gives its findings.
func rules() map[string]func([]source) []string {
	return map[string]func([]source) []string{
		"imports of ours":   importsOfOurs,
		"foreign imports":   foreignImports,
		"no init":           initFunctions,
		"package variables": packageVariables,
		"no sleeping tests": sleepingTests,
		"short files":       longFiles,
		"short functions":   longFunctions,
	}
}

func TestTheTreeKeepsItsRules(t *testing.T) {
	all := tree(t, filepath.Join("..", ".."))
	for name, rule := range rules() {
		for _, finding := range rule(all) {
			t.Errorf("%s: %s", name, finding)
		}
	}
}

// tree reads every Go file below top, save generated ones and what is not part
// of the module.
func tree(t *testing.T, top string) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(top, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if file != top && (strings.HasPrefix(name, ".") || name == "testdata" || isModule(file)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(top, file)
		if err != nil {
			return err
		}
		s, err := parsed(filepath.ToSlash(below), string(text))
		if err == nil && !ast.IsGenerated(s.tree) {
			all = append(all, s)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d files found below %s", len(all), top)
	}
	return all
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

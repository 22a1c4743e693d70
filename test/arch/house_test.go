package arch

import (
	"fmt"
	"go/ast"
	"strings"
)

const (
	maxFileLines     = 400
	maxFunctionLines = 60
)

func longFiles(all []source) (findings []string) {
	for _, s := range all {
		if s.lines > maxFileLines {
			findings = append(findings, fmt.Sprintf("%s has %d lines; %d is the most", s.path, s.lines, maxFileLines))
		}
	}
	return findings
}

// longFunctions leaves tests out: a table of cases may be long.
func longFunctions(all []source) (findings []string) {
	for _, s := range all {
		if s.isTest() {
			continue
		}
		for _, d := range s.tree.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			if lines > maxFunctionLines {
				findings = append(findings, fmt.Sprintf("%s: %s has %d lines; %d is the most", s.at(f), f.Name.Name, lines, maxFunctionLines))
			}
		}
	}
	return findings
}

func initFunctions(all []source) (findings []string) {
	for _, s := range all {
		for _, d := range s.tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				findings = append(findings, s.at(f)+": there is an init function")
			}
		}
	}
	return findings
}

// sleepingTests finds tests that wait for time to pass. In a bubble of
// testing/synctest time passes at once, so there sleeping is fine.
func sleepingTests(all []source) (findings []string) {
	for _, s := range all {
		if !s.isTest() {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch name(call.Fun) {
			case "synctest.Test":
				return false
			case "time.Sleep":
				findings = append(findings, s.at(call)+": a test sleeps: wait for the event, or use testing/synctest")
			}
			return true
		})
	}
	return findings
}

// name is "package.Name" of such an expression, else empty.
func name(e ast.Expr) string {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + sel.Sel.Name
}

// packageVariables finds variables of a package that could change. What is fine
// cannot: an error to compare with, an embedded file, a pattern or a table
// nobody writes to, "var _ Interface = ...", and in a main package a string
// that the linker sets.
func packageVariables(all []source) (findings []string) {
	for _, s := range all {
		if s.isTest() {
			continue
		}
		for _, d := range s.tree.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok.String() != "var" {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				if !constant(s, g, v) {
					findings = append(findings, fmt.Sprintf("%s: package variable %s can change", s.at(v), v.Names[0].Name))
				}
				findings = append(findings, writes(all, s.dir(), v)...)
			}
		}
	}
	return findings
}

// constant says whether a declaration is of a kind that is never changed.
func constant(s source, g *ast.GenDecl, v *ast.ValueSpec) bool {
	if v.Names[0].Name == "_" || embedded(g.Doc) || embedded(v.Doc) {
		return true
	}
	if len(v.Values) == 0 {
		kind, ok := v.Type.(*ast.Ident)
		return ok && kind.Name == "string" && s.tree.Name.Name == "main"
	}
	for _, value := range v.Values {
		if !constantValue(value) {
			return false
		}
	}
	return true
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && strings.HasPrefix(doc.List[len(doc.List)-1].Text, "//go:embed ")
}

func constantValue(value ast.Expr) bool {
	switch value := value.(type) {
	case *ast.CallExpr:
		switch name(value.Fun) {
		case "errors.New", "fmt.Errorf", "regexp.MustCompile", "strings.NewReplacer", "netip.MustParsePrefix", "netip.MustParseAddr":
			return true
		}
		return false
	case *ast.CompositeLit:
		kind := name(value.Type)
		return !strings.HasPrefix(kind, "sync.") && !strings.HasPrefix(kind, "atomic.")
	default:
		return false
	}
}

// writes finds where a package writes to its variable, or takes its address. A
// local variable of the same name is taken for it: that would mislead a reader
// as well.
func writes(all []source, dir string, v *ast.ValueSpec) (findings []string) {
	for _, s := range all {
		if s.dir() != dir || s.isTest() {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			for _, target := range written(n) {
				for _, variable := range v.Names {
					if variable.Name == target && target != "_" {
						findings = append(findings, fmt.Sprintf("%s: package variable %s is written to", s.at(n), target))
					}
				}
			}
			return true
		})
	}
	return findings
}

// written are the names at the root of what a node writes to: of x[i].f, x.
func written(n ast.Node) (names []string) {
	var targets []ast.Expr
	switch n := n.(type) {
	case *ast.AssignStmt:
		targets = n.Lhs
	case *ast.IncDecStmt:
		targets = []ast.Expr{n.X}
	case *ast.UnaryExpr:
		if n.Op.String() == "&" {
			targets = []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear") && len(n.Args) > 0 {
			targets = n.Args[:1]
		}
	}
	for _, target := range targets {
		if id := root(target); id != nil {
			names = append(names, id.Name)
		}
	}
	return names
}

func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// Release describes released binaries: it writes, into their directory, what is in
// them (a CycloneDX SBOM), under which licences (THIRD_PARTY.txt) and their checksums
// (SHA256SUMS). "make release" runs it. What it writes depends on the binaries and
// the modules' sources alone.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

func main() {
	if err := describe(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func describe(args []string) error {
	if len(args) != 2 {
		return errors.New("give the version and the directory of the binaries")
	}
	version, dir := args[0], args[1]
	binaries, err := filepath.Glob(filepath.Join(dir, "altagate-*-*"))
	if err != nil || len(binaries) == 0 {
		return fmt.Errorf("finding binaries in %s: none is there", dir)
	}
	slices.Sort(binaries)
	for _, path := range binaries {
		if err := isWhatItsNameSays(path); err != nil {
			return err
		}
	}
	modules, err := linked(binaries)
	if err != nil {
		return err
	}
	sbom, err := bill(version, modules)
	if err != nil {
		return err
	}
	terms, err := licences(modules)
	if err != nil {
		return err
	}
	sums, err := checksums(binaries)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"altagate.cdx.json": sbom, "THIRD_PARTY.txt": terms, "SHA256SUMS": sums} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil { //nolint:gosec // It is to be published.
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// linked are the modules in any of the binaries, in the order of their paths.
func linked(binaries []string) ([]*debug.Module, error) {
	var all []*debug.Module
	for _, path := range binaries {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading what is in %s: %w", path, err)
		}
		for _, m := range info.Deps {
			if m.Replace != nil {
				return nil, fmt.Errorf("%s in %s is replaced: what is released must be what go.mod says", m.Path, path)
			}
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b *debug.Module) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(all, func(a, b *debug.Module) bool { return a.Path == b.Path }), nil
}

// component is one of CycloneDX.
type component struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
}

func bill(version string, modules []*debug.Module) ([]byte, error) {
	type metadata struct {
		Component component `json:"component"`
	}
	doc := struct {
		Format     string      `json:"bomFormat"`
		Spec       string      `json:"specVersion"`
		Version    int         `json:"version"`
		Metadata   metadata    `json:"metadata"`
		Components []component `json:"components"`
	}{"CycloneDX", "1.6", 1, metadata{component{"application", "altagate", version, "pkg:golang/github.com/altagate/altagate@" + version}}, nil}
	for _, m := range modules {
		doc.Components = append(doc.Components, component{"library", m.Path, m.Version, "pkg:golang/" + m.Path + "@" + m.Version})
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the SBOM: %w", err)
	}
	return append(text, '\n'), nil
}

// licences gives the licences and notices that the modules come with. One without
// any is an error: it could not be handed on.
func licences(modules []*debug.Module) ([]byte, error) {
	text := []byte("altagate contains these modules, under these terms.\n")
	for _, m := range modules {
		out, err := exec.Command("go", "mod", "download", "-json", m.Path+"@"+m.Version).Output() //nolint:gosec,noctx // The names are those in the binary.
		if err != nil {
			return nil, fmt.Errorf("finding the source of %s: %w", m.Path, err)
		}
		var source struct{ Dir string }
		if err := json.Unmarshal(out, &source); err != nil {
			return nil, fmt.Errorf("finding the source of %s: %w", m.Path, err)
		}
		terms, err := termsIn(source.Dir)
		if err != nil {
			return nil, err
		}
		if len(terms) == 0 {
			return nil, fmt.Errorf("%s has no licence: it cannot be handed on", m.Path)
		}
		text = fmt.Appendf(text, "\n%s\n%s %s\n\n%s", strings.Repeat("=", 79), m.Path, m.Version, terms)
	}
	return text, nil
}

func termsIn(dir string) (terms []byte, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("looking for licences: %w", err)
	}
	for _, f := range files {
		name := strings.ToUpper(f.Name())
		if f.IsDir() || !strings.HasPrefix(name, "LICEN") && !strings.HasPrefix(name, "COPYING") && !strings.HasPrefix(name, "NOTICE") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading a licence: %w", err)
		}
		terms = append(append(terms, content...), '\n')
	}
	return terms, nil
}

func checksums(binaries []string) (sums []byte, err error) {
	for _, path := range binaries {
		content, err := os.ReadFile(path) //nolint:gosec // It is one that this was asked to describe.
		if err != nil {
			return nil, fmt.Errorf("reading a binary: %w", err)
		}
		sums = fmt.Appendf(sums, "%x  %s\n", sha256.Sum256(content), filepath.Base(path))
	}
	return sums, nil
}

package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build builds altagate as make release does, in a directory.
func build(t *testing.T, source, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "altagate-linux-amd64")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version=v0 -X main.commit=0", "-o", path, "./cmd/altagate")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return path
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTwoBuildsInDifferentDirectoriesAreEqual(t *testing.T) {
	elsewhere := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "cmd", "pkg", "proto"} {
		from, to := filepath.Join("../..", name), filepath.Join(elsewhere, name)
		info, err := os.Stat(from)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			err = os.CopyFS(to, os.DirFS(from))
		} else {
			err = os.WriteFile(to, content(t, from), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	here, there := build(t, "../..", t.TempDir()), build(t, elsewhere, t.TempDir())
	if !bytes.Equal(content(t, here), content(t, there)) {
		t.Error("they differ")
	}
}

func TestWhatIsReleasedIsDescribed(t *testing.T) {
	dir := t.TempDir()
	path := build(t, "../..", dir)
	if err := describe([]string{"v0", dir}); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sbom, terms := string(content(t, dir+"/altagate.cdx.json")), string(content(t, dir+"/THIRD_PARTY.txt"))
	for _, m := range info.Deps {
		if !strings.Contains(sbom, fmt.Sprintf("%q", "pkg:golang/"+m.Path+"@"+m.Version)) {
			t.Errorf("the SBOM does not name %s", m.Path)
		}
		if !strings.Contains(terms, "\n"+m.Path+" "+m.Version+"\n") {
			t.Errorf("the licences have none of %s", m.Path)
		}
	}
	if len(info.Deps) < 10 {
		t.Errorf("only %d modules", len(info.Deps))
	}
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if err := os.Rename(path, filepath.Join(dir, "altagate-linux-arm64")); err != nil {
		t.Fatal(err)
	}
	if err := describe([]string{"v0", dir}); err == nil || !strings.Contains(err.Error(), `is "altagate-linux-amd64" by its header`) {
		t.Errorf("a binary under another's name: %v", err)
	}
}

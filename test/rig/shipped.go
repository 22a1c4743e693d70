package rig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Top is the repository's top directory, as seen from a package below test.
const Top = "../.."

// Swap is one thing of a shipped file that a test replaces, and what by: a port,
// an address or a path of this machine, and never more than that.
type Swap [2]string

// Shipped copies a shipped file to a directory with the swaps made, and gives
// the copy's path. A swap whose text the file does not have fails the test.
func Shipped(t testing.TB, file, dir string, swaps ...Swap) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(Top, file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, s := range swaps {
		old, replacement := s[0], s[1]
		if !strings.Contains(text, old) {
			t.Fatalf("%s has no %q: bring the test's swaps and the file together", file, old)
		}
		text = strings.ReplaceAll(text, old, replacement)
	}
	return Write(t, filepath.Join(dir, filepath.Base(file)), text)
}

// Write writes a file, and gives its path.
func Write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // Workers of another user read it.
		t.Fatal(err)
	}
	return path
}

// TempDir is like t.TempDir, with a path that is short enough for Unix sockets
// and that workers of another user can enter.
func TempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "altagate") //nolint:usetesting // Says the comment above.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // Workers of another user enter it.
		t.Fatal(err)
	}
	return dir
}

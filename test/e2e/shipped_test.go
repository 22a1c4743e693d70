package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// swap is one thing of a shipped file that a test replaces: a port, an address
// or a path of this machine, and never more than that.
type swap struct{ old, new string }

// shipped copies a shipped file to a directory with the swaps made, and gives
// the copy's path. A swap whose text the file does not have fails the test.
func shipped(t *testing.T, file, dir string, swaps ...swap) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(top, file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, s := range swaps {
		if !strings.Contains(text, s.old) {
			t.Fatalf("%s has no %q: bring the test's swaps and the file together", file, s.old)
		}
		text = strings.ReplaceAll(text, s.old, s.new)
	}
	return write(t, filepath.Join(dir, filepath.Base(file)), text)
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// tempDir is like t.TempDir, with a path that is short enough for Unix sockets
// and that workers of another user can enter.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e") //nolint:usetesting // t.TempDir is longer than a socket path may be.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

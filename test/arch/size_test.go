package arch

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// maxBinary is the most bytes that the binary may have as it is released. One
// careless import can cost a third more: whatever calls methods by name, as
// text/template does, keeps every method of every type.
const maxBinary = 16 << 20

func TestTheBinaryStaysSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "altagate")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/altagate")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building altagate: %v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxBinary {
		t.Errorf("%d bytes; %d is the most", info.Size(), maxBinary)
	}
}

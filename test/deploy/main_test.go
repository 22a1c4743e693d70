// Package deploy checks the files of deploy/ by the tools that they are for:
// promtool, dpkg, lintian, systemd, nginx and Envoy. "make deps" installs what is
// missing. Without a tool its tests are skipped, and fail where CI is set to true.
package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// altagateBin is altagate as it is released.
var altagateBin string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "altagate-deploy")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	altagateBin = filepath.Join(dir, "altagate")
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-trimpath", "-ldflags", "-s -w", "-o", altagateBin, "./cmd/altagate")
	build.Dir = rig.Top
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building altagate: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// Package e2e runs the shipped configs on the real programs: altagate, nginx,
// Envoy and PHP, each a process of its own on a free port, with ffmpeg and hls.js
// in Chromium as players. "make e2e" installs
// what is missing. Without a program its tests are skipped, and fail where CI is
// set to true.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// altagateBin is the altagate under test, built with the race detector.
var altagateBin string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	// These tests wait for other programs' timeouts more than they work.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "altagate-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	altagateBin = filepath.Join(dir, "altagate")
	build := exec.Command("go", "build", "-race", "-tags", "grpcnotrace", "-o", altagateBin, "./cmd/altagate")
	build.Dir = rig.Top
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building altagate: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

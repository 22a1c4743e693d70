package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/test/rig"
)

// TestFilesForUnixSocketsSayTheSame compares each with the file for TCP that it
// goes with, comments and names apart.
func TestFilesForUnixSocketsSayTheSame(t *testing.T) {
	rename := strings.NewReplacer(
		"altagate_unix", "altagate", "altagate-unix", "altagate", "8083", "8081",
		"unix:/run/altagate/http.sock", "127.0.0.1:9180", "http://altagate:", "http://127.0.0.1:9180",
		"pipe: {path: /run/altagate/grpc.sock}", "socket_address: {address: 127.0.0.1, port_value: 9181}",
		"pipe: {path: /run/altagate/http.sock}", "socket_address: {address: 127.0.0.1, port_value: 9180}",
		"uri: http://altagate", "uri: http://127.0.0.1:9180",
	)
	for _, file := range []string{"nginx/altagate.conf", "envoy/grpc.yaml", "envoy/http.yaml"} {
		ext := filepath.Ext(file)
		tcp, unix := directives(t, file), directives(t, strings.TrimSuffix(file, ext)+"-unix"+ext)
		if diff := cmp.Diff(tcp, strings.Split(rename.Replace(strings.Join(unix, "\n")), "\n")); diff != "" {
			t.Errorf("%s and its sibling (-tcp +unix):\n%s", file, diff)
		}
	}
}

// directives are the lines of a shipped file that are no comments.
func directives(t *testing.T, file string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rig.Top, file))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

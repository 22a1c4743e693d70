package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// TestTheFileThatRepeatsChecksSaysTheSameBesides compares it with the file that it was
// made of: the two differ by lines about the cache.
func TestTheFileThatRepeatsChecksSaysTheSameBesides(t *testing.T) {
	rename := strings.NewReplacer("altagate_cached_", "altagate_", "altagate_cached", "altagate", "altagate-cached", "altagate", "8089", "8081")
	about := regexp.MustCompile(`cache|altagate_checks|altagate_zone|^"~\^\.\{2000\}" off;$|^map \$msec|^"~\^\(\\d\{9\}\)" \$1;$|^}$|^inactive=10s |^proxy_ignore_headers|^proxy_buffering on;$`)
	logs := func(line string) bool { return strings.HasPrefix(line, "'") || line == "proxy_cache off;" }
	plain := slices.DeleteFunc(directives(t, "nginx/altagate.conf"), logs)
	for _, line := range slices.DeleteFunc(directives(t, "nginx/cached.conf"), logs) {
		switch line = rename.Replace(line); {
		case len(plain) > 0 && line == plain[0]:
			plain = plain[1:]
		case !about.MatchString(line):
			t.Fatalf("nginx/cached.conf has %q, and nginx/altagate.conf goes on with %q", line, plain[:min(1, len(plain))])
		}
	}
	if len(plain) > 0 {
		t.Errorf("nginx/cached.conf has no %q", plain)
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

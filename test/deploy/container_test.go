package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// TestTheImageIsBuiltAndRuns builds deploy/Dockerfile without pulling anything, and
// runs what is in it.
func TestTheImageIsBuiltAndRuns(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: buildah needs root, or ids of its own, to build in a chroot")
	}
	buildah, dir := rig.Program(t, "buildah"), rig.TempDir(t)
	for name, path := range map[string]string{
		"altagate-linux-amd64": altagateBin, "LICENSE": rig.Top + "/LICENSE", "THIRD_PARTY.txt": rig.Top + "/LICENSE",
		"ca-certificates.crt": rig.Top + "/LICENSE",
	} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		t.Helper()
		store := []string{"--root", dir + "/.store", "--runroot", dir + "/.run", "--storage-driver", "vfs"}
		code, printed := rig.Run(t, buildah, append(store, args...)...)
		if code != 0 {
			t.Fatalf("buildah %v: exit code %d\n%s", args, code, printed)
		}
		return printed
	}
	run("bud", "--isolation", "chroot", "--network", "host", "-f", rig.Top+"/deploy/Dockerfile", "-t", "altagate", dir)
	run("from", "--name", "one", "--pull-never", "localhost/altagate")
	if printed := run("run", "--isolation", "chroot", "one", "--", "/altagate", "version"); !strings.HasPrefix(printed, "altagate ") {
		t.Errorf("it prints %q", printed)
	}
	if user := run("inspect", "--type", "container", "--format", "{{.OCIv1.Config.User}}", "one"); strings.TrimSpace(user) != "65532:65532" {
		t.Errorf("it runs as %s", user)
	}
}

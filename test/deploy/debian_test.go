package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// debian is a root directory of its own, in which dpkg installs: nothing of this
// machine is touched.
type debian struct{ root, fakeroot, dpkg string }

// run runs dpkg in the root. Maintainer scripts would run on this machine's own files,
// so what is installed is the package without them.
func (d debian) run(t *testing.T, args ...string) (code int, printed string) {
	t.Helper()
	return rig.Run(t, d.fakeroot, append([]string{
		d.dpkg, "--root=" + d.root, "--force-not-root", "--force-bad-path", "--force-depends", "--force-confold", "--log=/dev/null",
	}, args...)...)
}

func (d debian) must(t *testing.T, args ...string) {
	t.Helper()
	if code, printed := d.run(t, args...); code != 0 {
		t.Fatalf("dpkg %v: exit code %d\n%s", args, code, printed)
	}
}

// packaged builds a package, and one without its scripts.
func packaged(t *testing.T, version string) (whole, bare string) {
	t.Helper()
	rig.Program(t, "dpkg-deb")
	// What is compressed well is made slowly.
	t.Setenv("DPKG_DEB_COMPRESSOR_TYPE", "none")
	dir := rig.TempDir(t)
	if code, printed := rig.Run(t, rig.Top+"/deploy/debian/build", altagateBin, version, "amd64", dir); code != 0 {
		t.Fatalf("building: exit code %d\n%s", code, printed)
	}
	whole = filepath.Join(dir, "altagate_"+version+"_amd64.deb")
	if code, printed := rig.Run(t, "dpkg-deb", "--raw-extract", whole, dir+"/x"); code != 0 {
		t.Fatalf("extracting: %s", printed)
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		if err := os.Remove(dir + "/x/DEBIAN/" + script); err != nil {
			t.Fatal(err)
		}
	}
	bare = filepath.Join(dir, "bare.deb")
	if code, printed := rig.Run(t, "dpkg-deb", "--root-owner-group", "--build", dir+"/x", bare); code != 0 {
		t.Fatalf("building: %s", printed)
	}
	return whole, bare
}

func TestThePackageIsInstalledUpgradedAndRemovedAndKeepsItsConfig(t *testing.T) {
	d := debian{root: rig.TempDir(t), fakeroot: rig.Program(t, "fakeroot"), dpkg: rig.Program(t, "dpkg")}
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"} {
		if err := os.MkdirAll(filepath.Join(d.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	rig.Write(t, d.root+"/var/lib/dpkg/status", "")
	_, first := packaged(t, "1.0")
	_, second := packaged(t, "1.1")

	d.must(t, "--install", first)
	conf := d.root + "/etc/altagate/altagate.yaml"
	if code, printed := rig.Run(t, d.root+"/usr/bin/altagate", "config", "validate", conf); code != 0 {
		t.Errorf("the config of the package: exit code %d\n%s", code, printed)
	}
	const own = "# mine\n"
	rig.Write(t, conf, own)
	d.must(t, "--install", second)
	if read(t, conf) != own {
		t.Error("an upgrade took the operator's config")
	}
	d.must(t, "--remove", "altagate")
	if _, err := os.Stat(d.root + "/usr/bin/altagate"); err == nil {
		t.Error("the binary is there after a removal")
	}
	if read(t, conf) != own {
		t.Error("a removal took the operator's config")
	}
	d.must(t, "--purge", "altagate")
	if _, err := os.Stat(conf); err == nil {
		t.Error("the config is there after a purge")
	}
}

func TestThePackageHoldsWhatItSays(t *testing.T) {
	whole, _ := packaged(t, "1.0")
	_, list := rig.Run(t, "dpkg-deb", "--contents", whole)
	for _, line := range []string{
		"-rwxr-xr-x root/root", "./usr/bin/altagate\n", "./lib/systemd/system/altagate.service\n", "./lib/systemd/system/altagate-http.socket\n",
		"./lib/systemd/system/altagate-grpc.socket\n", "./etc/altagate/altagate.yaml\n", "./usr/share/doc/altagate/copyright\n",
	} {
		if !strings.Contains(list, line) {
			t.Errorf("it does not hold %q\n%s", line, list)
		}
	}
	dir := rig.TempDir(t)
	if code, printed := rig.Run(t, "dpkg-deb", "--raw-extract", whole, dir+"/x"); code != 0 {
		t.Fatalf("extracting: %s", printed)
	}
	if unit := read(t, dir+"/x/lib/systemd/system/altagate.service"); strings.Contains(unit, "/usr/local") || !strings.Contains(unit, "ExecStart=/usr/bin/altagate ") {
		t.Errorf("the unit starts another binary:\n%s", unit)
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		if code, printed := rig.Run(t, "/bin/sh", "-n", dir+"/x/DEBIAN/"+script); code != 0 {
			t.Errorf("%s: %s", script, printed)
		}
	}
}

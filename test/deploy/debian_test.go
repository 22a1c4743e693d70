package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// packaged builds a package of a binary and version, as "make deb" does, but quickly:
// what is compressed well is compressed slowly.
func packaged(t *testing.T, binary, version, compressor string) (deb string) {
	t.Helper()
	rig.Program(t, "dpkg-deb")
	dist := rig.TempDir(t)
	if err := os.Symlink(binary, filepath.Join(dist, "altagate-linux-"+runtime.GOARCH)); err != nil {
		t.Fatal(err)
	}
	rig.Write(t, dist+"/THIRD_PARTY.txt", "The terms of what is linked.\n")
	if code, printed := rig.Run(t, "/usr/bin/env", "DPKG_DEB_COMPRESSOR_TYPE="+compressor, "DPKG_DEB_COMPRESSOR_LEVEL=0",
		rig.Top+"/deploy/debian/build", dist, version, runtime.GOARCH); code != 0 {
		t.Fatalf("building: exit code %d\n%s", code, printed)
	}
	debs, err := filepath.Glob(dist + "/*.deb")
	if err != nil || len(debs) != 1 {
		t.Fatalf("one package is expected: %q, %v", debs, err)
	}
	return debs[0]
}

func TestThePackageUnderSystemd(t *testing.T) {
	t.Parallel()
	first, second := packaged(t, altagateBin, "v1.0", "none"), packaged(t, altagateBin, "v1.1-2-gabcdef", "none")
	m := boot(t)
	m.share(t, first, "first.deb")
	m.share(t, second, "second.deb")
	m.must(t, backend)
	m.must(t, strict)

	// The first install waits for a backend, and starts nothing.
	m.must(t, "dpkg --force-unsafe-io --install /srv/first.deb")
	m.is(t, "dpkg-query -W -f '${Version}' altagate", "1.0")
	m.is(t, "stat -c '%U:%G %a' /etc/altagate /etc/altagate/altagate.yaml", "root:altagate 750\nroot:altagate 640")
	m.is(t, enabled+"; systemctl is-active altagate.service", "disabled\ninactive")
	m.is(t, "dpkg --verify altagate", "")

	// The page's own commands start it.
	m.must(t, "sed -i s,http://10.0.0.5/auth,http://127.0.0.1:8001/auth, /etc/altagate/altagate.yaml")
	m.must(t, pasted(t, "docs/install.md", 2))
	m.is(t, asked+`123' http://127.0.0.1:9180/auth/nginx`, "200")
	m.is(t, asked+`1' http://127.0.0.1:9180/auth/nginx`, "403")

	// An upgrade leaves the config as it is, and restarts what runs.
	m.must(t, "chgrp daemon /etc/altagate/altagate.yaml; chmod 0644 /etc/altagate/altagate.yaml")
	before := m.must(t, mainPID)
	m.must(t, "dpkg --force-unsafe-io --install /srv/second.deb")
	m.is(t, "dpkg-query -W -f '${Version}' altagate", "1.1+2.gabcdef")
	m.is(t, "stat -c '%U:%G %a' /etc/altagate/altagate.yaml; grep -c 127.0.0.1:8001 /etc/altagate/altagate.yaml", "root:daemon 644\n1")
	if after := m.must(t, mainPID); after == before || after == "0" {
		t.Errorf("the process is %s after the upgrade, %s before it", after, before)
	}
	m.is(t, asked+`123' http://127.0.0.1:9180/auth/nginx`, "200")

	// One that does not take the config leaves the version before running.
	before = m.must(t, mainPID)
	m.must(t, "cp /etc/altagate/altagate.yaml /srv/good.yaml; echo 'unknown: 1' >>/etc/altagate/altagate.yaml")
	if printed := m.must(t, "dpkg --force-unsafe-io --install /srv/first.deb"); !strings.Contains(printed, `altagate.yaml:`) || !strings.Contains(printed, "still runs") {
		t.Errorf("a config with a mistake is not said:\n%s", printed)
	}
	m.is(t, mainPID, before)
	m.is(t, asked+`123' http://127.0.0.1:9180/auth/nginx`, "200")
	m.must(t, "cat /srv/good.yaml >/etc/altagate/altagate.yaml; systemctl restart altagate")

	// A removal stops all of it, sockets too, and keeps config, sessions and what was enabled.
	m.must(t, "dpkg --remove altagate")
	m.is(t, "systemctl is-active altagate-http.socket altagate-grpc.socket altagate.service | uniq; ls /usr/bin/altagate 2>&1 | grep -c No", "inactive\n1")
	m.is(t, "cmp /srv/good.yaml /etc/altagate/altagate.yaml && ls /var/lib/altagate", "state.db")
	m.must(t, "dpkg --force-unsafe-io --install /srv/second.deb")
	m.is(t, enabled, "enabled")
	m.must(t, "systemctl start altagate")
	m.is(t, asked+`123' http://127.0.0.1:9180/auth/nginx`, "200")

	// A purge takes all but the user and what was put beside the config.
	m.must(t, "echo secret >/etc/altagate/key; dpkg --purge altagate")
	m.is(t, "ls /etc/altagate; ls -d /var/lib/altagate 2>&1 | grep -c No; getent passwd altagate | cut -d: -f6,7", "key\n1\n/nonexistent:/usr/sbin/nologin")
	m.is(t, "find /etc/systemd /var/lib/systemd /usr/lib/systemd -name 'altagate*' ! -name '*.service.d'", "")
	m.is(t, "systemctl --failed --no-legend", "")
	// And so does one of a package that was removed before, and again.
	m.must(t, "rm /etc/altagate/key; dpkg --force-unsafe-io --install /srv/first.deb; dpkg --remove altagate; dpkg --purge altagate; dpkg --force-unsafe-io --install /srv/first.deb; dpkg --purge altagate")
	m.is(t, "ls -d /etc/altagate 2>&1 | grep -c No", "1")
}

func TestThePackageHoldsWhatItSaysAndLintianFindsNothing(t *testing.T) {
	t.Parallel()
	whole := packaged(t, altagateBin, "v1.0", "xz")
	_, list := rig.Run(t, "dpkg-deb", "--contents", whole)
	for _, line := range []string{
		"-rwxr-xr-x root/root", "./usr/bin/altagate\n", "./lib/systemd/system/altagate.service\n", "./lib/systemd/system/altagate-http.socket\n",
		"./lib/systemd/system/altagate-grpc.socket\n", "./etc/altagate/altagate.yaml\n", "./usr/share/doc/altagate/copyright\n",
		"./usr/share/doc/altagate/THIRD_PARTY.txt.gz\n", "./usr/share/man/man1/altagate.1.gz\n",
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
	if code, printed := rig.Run(t, altagateBin, "config", "validate", dir+"/x/etc/altagate/altagate.yaml"); code != 0 {
		t.Errorf("its config: exit code %d\n%s", code, printed)
	}
	// It is slow on a busy machine, so it is given all the time of the test.
	lintian := exec.CommandContext(t.Context(), rig.Program(t, "lintian"), "--no-cfg", "--profile", "debian", "--allow-root", "--fail-on", "error,warning", whole)
	if out, err := lintian.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// TestVersionsAreInDebiansOrder takes what git describe may give, from the oldest on.
func TestVersionsAreInDebiansOrder(t *testing.T) {
	dpkg := rig.Program(t, "dpkg")
	var before string
	for _, described := range []string{"a384b64", "v1.0.0-rc1", "v1.0.0-rc1-3-gabcdef1", "v1.0.0", "v1.0.0-3-gabcdef1", "v1.0.0-3-gabcdef1-dirty", "v1.0.1"} {
		version := strings.Split(filepath.Base(packaged(t, "/bin/true", described, "none")), "_")[1]
		if before != "" {
			if code, _ := rig.Run(t, dpkg, "--compare-versions", before, "lt", version); code != 0 {
				t.Errorf("%s, of %s, is not newer than %s", version, described, before)
			}
		}
		before = version
	}
}

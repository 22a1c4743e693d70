package deploy

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// machine is a systemd that runs as process 1 of its own namespaces, on this machine's
// system under an overlay: what is installed in it is gone at the end.
type machine struct {
	pid string
	// shared is a directory of the test, which the machine has at /srv.
	shared string
}

// boot starts a machine.
func boot(t *testing.T) machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: systemd runs in namespaces that only root makes")
	}
	for _, name := range []string{"systemctl", "nsenter", "ip", "curl", "openssl"} {
		rig.Program(t, name)
	}
	rig.Program(t, "nginx", "/usr/sbin/nginx")
	cgroup, dir := filepath.Join(cgroups(t), filepath.Base(rig.TempDir(t))), rig.TempDir(t)
	if code, printed := rig.Run(t, "testdata/canboot.sh", cgroup, dir); code != 0 {
		t.Skipf("NOT TESTED: this machine, a container perhaps, lets nobody boot another: %s", printed)
	}
	m := machine{shared: rig.TempDir(t)}
	t.Cleanup(func() { unmake(t, cgroup) })
	p := rig.Start(t, "boot.sh", "testdata/boot.sh", cgroup, dir+"/root", m.shared)
	// It ends at once and with all that runs in it.
	t.Cleanup(p.Kill)
	rig.Until(t, "systemd to have booted", func() bool {
		if p.Ended() {
			t.Fatalf("it ended: %v\n%s", p.Err(), p.Log(t))
		}
		if m.pid = child(p.PID()); m.pid == "" {
			return false
		}
		code, printed := m.run(t, "systemctl is-system-running")
		return code == 0 && strings.TrimSpace(printed) == "running"
	})
	return m
}

// cgroups is where the hierarchy of cgroups is that systemd uses.
func cgroups(t *testing.T) string {
	t.Helper()
	mounts, err := os.Open("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	defer mounts.Close()
	for s := bufio.NewScanner(mounts); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 2 && fields[2] == "cgroup2" {
			return fields[1]
		}
	}
	t.Skip("NOT TESTED: systemd needs cgroups of version 2, and none are mounted")
	return ""
}

// child is the only child of a process, "" if it has none yet.
func child(pid int) string {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(children))
}

// run runs a script in the machine.
func (m machine) run(t *testing.T, script string) (code int, printed string) {
	t.Helper()
	return rig.Run(t, "nsenter", "--target", m.pid, "--all", "/usr/bin/env", "-i", "LC_ALL=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "/bin/sh", "-c", script)
}

// must runs a script in the machine that has to succeed.
func (m machine) must(t *testing.T, script string) string {
	t.Helper()
	code, printed := m.run(t, script)
	if code != 0 {
		_, journal := m.run(t, "journalctl --no-pager -o cat | tail -n 15")
		t.Fatalf("%s\nexit code %d\n%s\nthe journal:\n%s", script, code, printed, journal)
	}
	return strings.TrimSpace(printed)
}

// is runs a script in the machine that has to print what is wanted.
func (m machine) is(t *testing.T, script, want string) {
	t.Helper()
	if _, printed := m.run(t, script); strings.TrimSpace(printed) != want {
		t.Errorf("%s\nprints %q, want %q", script, printed, want)
	}
}

// unmake removes a cgroup and those below it, when all of its processes have gone.
func unmake(t *testing.T, cgroup string) {
	t.Helper()
	rig.Until(t, "the cgroups to be empty", func() bool {
		var dirs []string
		err := filepath.WalkDir(cgroup, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0 && err == nil; i-- {
			err = os.Remove(dirs[i])
		}
		return err == nil || errors.Is(err, os.ErrNotExist)
	})
}

// share copies a file to /srv of the machine.
func (m machine) share(t *testing.T, path, name string) {
	t.Helper()
	if code, printed := rig.Run(t, "cp", "--recursive", "--dereference", path, filepath.Join(m.shared, name)); code != 0 {
		t.Fatal(printed)
	}
}

//go:build unix

package backend

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestWithoutDescriptorsABackendIsNeverAbsent runs itself in a process of its
// own, because Go keeps what it has read of the hosts file.
func TestWithoutDescriptorsABackendIsNeverAbsent(t *testing.T) {
	const mark = "ALTAGATE_TEST_WITHOUT_DESCRIPTORS"
	if os.Getenv(mark) == "" {
		again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		again.Env = append(os.Environ(), mark+"=1")
		if out, err := again.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		defer f.Close()
	}
	for _, url := range []string{"http://127.0.0.1:1/", "http://localhost:1/", "http://name.invalid/"} {
		b := start(t, Config{}, url)
		if o := b.Ask(t.Context(), viewer(), s1()); word(o) != "overload" || o.Absent {
			t.Errorf("%s: outcome is %+v", url, o)
		}
		if o := b.Trace(t.Context(), viewer(), s1()).Outcome; word(o) != "overload" || o.Absent {
			t.Errorf("%s: traced outcome is %+v", url, o)
		}
	}
}

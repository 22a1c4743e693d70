package server

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// open listens until the test ends.
func open(t *testing.T, spec string) net.Listener {
	t.Helper()
	l, err := Listen(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// refused fails unless Listen refuses spec in these words.
func refused(t *testing.T, spec, words string) {
	t.Helper()
	l, err := Listen(spec)
	if err == nil {
		l.Close()
		t.Errorf("%s is taken", spec)
		return
	}
	if !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %q does not say %q", spec, err, words)
	}
}

// deadSocket leaves what a process leaves that was killed.
func deadSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// answers fails unless somebody accepts at the listener's address.
func answers(t *testing.T, l net.Listener) {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnAddressThatCannotBeListenedOnIsExplained(t *testing.T) {
	for spec, words := range map[string]string{
		"":                   "write host:port",
		"127.0.0.1":          "write host:port",
		"::1:9180":           "[::1]:9180",
		"127.0.0.1:http":     `"http" is not a number from 0 to 65535`,
		"127.0.0.1:65536":    "65535",
		"127.0.0.1:":         "65535",
		"192.0.2.1:9180":     "is no address of this machine",
		"unix:":              "write unix:/path",
		"unix:@":             "write unix:/path",
		"unix:relative.sock": "write unix:/path",
		"unix:/no/such/a":    "the directory /no/such is not there",
		"unix:/dev/null/a":   "/dev/null is not a directory",
		"unix:/" + strings.Repeat("a", maxSocketPath): "at most 107 bytes",
	} {
		refused(t, spec, words)
	}
}

func TestAPortInUseIsAPlainSentence(t *testing.T) {
	address := open(t, "127.0.0.1:0").Addr().String()
	refused(t, address, address+" is in use (is another altagate or its demo running?): stop what listens there, or choose another address")
}

func TestAUnixSocketIsOpenToItsGroupOnlyWhateverTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077} {
		path := filepath.Join(t.TempDir(), "s")
		before := syscall.Umask(umask)
		l, err := bindUnix(path)
		syscall.Umask(before)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := modeOf(t, path), os.FileMode(socketMode&^umask); got != want {
			t.Errorf("umask %o: at the bind the mode is %o, want %o", umask, got, want)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		before = syscall.Umask(umask)
		open(t, "unix:"+path)
		syscall.Umask(before)
		if got := modeOf(t, path); got != socketMode {
			t.Errorf("umask %o: the mode is %o, want %o", umask, got, socketMode)
		}
	}
}

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestASocketThatADeadProcessLeftIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	deadSocket(t, path)
	answers(t, open(t, "unix:"+path))
}

func TestASocketThatSomebodyListensOnIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l := open(t, "unix:"+path)
	refused(t, "unix:"+path, "another altagate listens on unix:"+path)
	answers(t, l)
}

func TestAFileThatIsNoSocketIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "precious")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{"unix:" + path, "unix:" + link, "unix:" + dir} {
		refused(t, spec, "is not a socket")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "data" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestADirectoryThatMayNotBeWrittenIsExplained(t *testing.T) {
	if os.Getuid() == 0 {
		// Root may write everywhere but where no process may.
		refused(t, "unix:/proc/self/s", "the directory /proc/self is not there")
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	refused(t, "unix:"+dir+"/s", "may not create a socket in "+dir)
}

func TestASocketIsRemovedWhenItIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := open(t, "unix:"+path).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestAnAbstractSocketIsListenedOnOnce(t *testing.T) {
	spec := "unix:@altagate-test-" + filepath.Base(t.TempDir()) + t.Name()
	answers(t, open(t, spec))
	refused(t, spec, "another altagate listens on "+spec)
}

package server

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// handOver gives descriptors of the files, one after the other, and the first.
func handOver(t *testing.T, files ...*os.File) (first int) {
	t.Helper()
	free := 500
	for i, f := range files {
		fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_DUPFD, uintptr(free))
		if errno != 0 {
			t.Fatal(errno)
		}
		if i > 0 && int(fd) != free {
			t.Fatalf("descriptor %d is not free", free)
		}
		if i == 0 {
			first = int(fd)
		}
		free = int(fd) + 1
	}
	return first
}

// fileOf gives a descriptor of a listener or a connection, which the test closes.
func fileOf(t *testing.T, socket any) *os.File {
	t.Helper()
	f, err := socket.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestSocketsThatAreHandedOverAreTakenByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grpc.sock")
	tcp, unix := open(t, "127.0.0.1:0"), open(t, "unix:"+path)
	first := handOver(t, fileOf(t, unix), fileOf(t, tcp))
	got, err := inherit(first, 2, []string{"grpc", "http"}, []string{"http", "grpc", "admin"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"http": tcp.Addr().String(), "grpc": "unix:" + path, "admin": ""} {
		if address := got.Address(name); address != want {
			t.Errorf("%s: %q, want %q", name, address, want)
		}
	}
	for fd := first; fd < first+2; fd++ {
		if _, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE); err == nil {
			t.Errorf("descriptor %d is left open", fd)
		}
	}
	answers(t, got["http"])
	got.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket's file is gone with its copy: %v", err)
	}
	answers(t, tcp)
	answers(t, unix)
}

func TestWhatCannotBeTakenOverIsExplained(t *testing.T) {
	listening := fileOf(t, open(t, "127.0.0.1:0"))
	datagram, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	connected, err := net.Dial("tcp", open(t, "127.0.0.1:0").Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()
	regular, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer regular.Close()
	for _, test := range []struct {
		name   string
		files  []*os.File
		called string
		want   string
	}{
		{"the unit's name", []*os.File{listening}, "altagate.socket", `named "altagate.socket" was handed over: name it one of http, grpc, by FileDescriptorName=`},
		{"no name", []*os.File{listening}, "", `named "" was handed over: name it one of http, grpc`},
		{"a name too few", []*os.File{listening, listening}, "http", `named "" was handed over`},
		{"a name twice", []*os.File{listening, listening}, "http:http", "two sockets named http were handed over"},
		{"a datagram socket", []*os.File{fileOf(t, datagram)}, "http", "does not listen"},
		{"a connection", []*os.File{fileOf(t, connected)}, "http", "no Accept=yes"},
		{"a file", []*os.File{regular}, "http", "is no socket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			first := handOver(t, test.files...)
			got, err := inherit(first, len(test.files), strings.Split(test.called, ":"), []string{"http", "grpc"})
			if err == nil || got != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %q, want %q", got, err, test.want)
			}
			for fd := first; fd < first+len(test.files); fd++ {
				if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0); errno == 0 {
					t.Errorf("descriptor %d is left open", fd)
				}
			}
		})
	}
}

func TestSocketsOfAnotherProcessAreLeftAlone(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, test := range []struct{ name, pid, fds, want string }{
		{"nothing is said", "", "", ""},
		{"another process is meant", "1", "1", ""},
		{"no process is named", "", "1", ""},
		{"none is handed over", own, "0", ""},
		{"a number is none", own, "two", `LISTEN_FDS is "two"`},
		{"a number is below none", own, "-1", `LISTEN_FDS is "-1"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("LISTEN_PID", test.pid)
			t.Setenv("LISTEN_FDS", test.fds)
			t.Setenv("LISTEN_FDNAMES", "http")
			got, err := Inherit("http")
			if len(got) > 0 || test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, %v, want %q", got, err, test.want)
			}
			for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
				if value, is := os.LookupEnv(name); is {
					t.Errorf("%s is still there: %q", name, value)
				}
			}
		})
	}
}

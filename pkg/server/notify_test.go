package server

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// manager is systemd's end of the socket that is told.
func manager(t *testing.T, address string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// told is the next thing that the manager was told.
func told(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	text := make([]byte, 100)
	n, err := c.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[:n])
}

func notifier(t *testing.T, socket, pid, watchdog string) (Notifier, error) {
	t.Helper()
	all := map[string]string{"NOTIFY_SOCKET": socket, "WATCHDOG_PID": pid, "WATCHDOG_USEC": watchdog}
	for name, value := range all {
		t.Setenv(name, value)
	}
	n, err := NewNotifier()
	for name := range all {
		if value, is := os.LookupEnv(name); is {
			t.Errorf("%s is still there: %q", name, value)
		}
	}
	return n, err
}

func TestSystemdIsToldTheState(t *testing.T) {
	for _, address := range []string{filepath.Join(t.TempDir(), "notify"), "@altagate-test-" + filepath.Base(t.TempDir()) + t.Name()} {
		to := manager(t, address)
		n, err := notifier(t, address, "", "")
		if err != nil {
			t.Fatal(err)
		}
		for want, tell := range map[string]func() error{
			"READY=1":     func() error { return n.Ready(true) },
			"STOPPING=1":  func() error { return n.Ready(false) },
			"RELOADING=1": n.Reloading,
		} {
			if err := tell(); err != nil {
				t.Fatal(err)
			}
			if got := told(t, to); got != want {
				t.Errorf("told %q, want %q", got, want)
			}
		}
	}
}

func TestTheWatchdogGetsSignsOfLifeUntilTheEnd(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	to := manager(t, address)
	n, err := notifier(t, address, strconv.Itoa(os.Getpid()), "20000")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.LiveUntil(ctx)
	}()
	for range 3 {
		if got := told(t, to); got != "WATCHDOG=1" {
			t.Errorf("told %q", got)
		}
	}
	cancel()
	<-ended
}

func TestWhereNobodyWaitsNobodyIsTold(t *testing.T) {
	for _, test := range []struct{ name, pid, watchdog string }{
		{"no socket", "", "20000"},
		{"the watchdog of another process", "1", "20000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, err := notifier(t, "", test.pid, test.watchdog)
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Ready(true); err != nil {
				t.Error(err)
			}
			n.LiveUntil(t.Context()) // would last
		})
	}
}

func TestWhoCannotBeToldIsExplained(t *testing.T) {
	for _, test := range []struct{ name, socket, watchdog, want string }{
		{"another kind of socket", "vsock:2:1234", "", `NOTIFY_SOCKET is "vsock:2:1234"`},
		{"a watchdog without a time", "/run/x", "soon", `WATCHDOG_USEC is "soon"`},
		{"a watchdog of no time", "/run/x", "0", `WATCHDOG_USEC is "0"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := notifier(t, test.socket, "", test.watchdog); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	n, err := notifier(t, filepath.Join(t.TempDir(), "nobody"), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(true); err == nil || !strings.Contains(err.Error(), "telling systemd READY") {
		t.Errorf("got %v", err)
	}
}

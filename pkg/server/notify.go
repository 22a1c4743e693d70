package server

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifyTimeout is how long systemd may take to receive what it is told.
const notifyTimeout = time.Second

// Notifier tells systemd in which state the process is (sd_notify(3)). The zero
// value has nobody to tell.
type Notifier struct {
	socket string
	// watchdog is how long systemd waits for a sign of life; 0 if it does not.
	watchdog time.Duration
}

// NewNotifier reads from the environment whom to tell, and removes the variables.
//
// Errors are sentences for the operator.
func NewNotifier() (Notifier, error) {
	n := Notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	pid, watchdog := os.Getenv("WATCHDOG_PID"), os.Getenv("WATCHDOG_USEC")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"} {
		if err := os.Unsetenv(name); err != nil {
			return n, fmt.Errorf("removing %s from the environment: %w", name, err)
		}
	}
	if n.socket != "" && n.socket[0] != '/' && n.socket[0] != '@' {
		return n, fmt.Errorf("NOTIFY_SOCKET is %q: altagate can tell its state to a Unix socket only", n.socket)
	}
	if watchdog == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n, nil
	}
	µs, err := strconv.ParseInt(watchdog, 10, 64)
	if err != nil || µs <= 0 {
		return n, fmt.Errorf("WATCHDOG_USEC is %q: it must be a number of microseconds", watchdog)
	}
	n.watchdog = time.Duration(µs) * time.Microsecond
	return n, nil
}

// Ready says that the process takes checks, or that it has begun to stop.
func (n Notifier) Ready(is bool) error {
	if is {
		return n.tell("READY=1")
	}
	return n.tell("STOPPING=1")
}

// Reloading says that the config is read again. Ready(true) says that it was.
func (n Notifier) Reloading() error { return n.tell("RELOADING=1") }

// LiveUntil gives signs of life until ctx ends, where systemd waits for them.
func (n Notifier) LiveUntil(ctx context.Context) {
	if n.socket == "" || n.watchdog == 0 {
		return
	}
	every := time.NewTicker(n.watchdog / 2)
	defer every.Stop()
	for {
		n.tell("WATCHDOG=1") //nolint:errcheck // systemd itself misses it
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n Notifier) tell(state string) error {
	if n.socket == "" {
		return nil
	}
	dialer := net.Dialer{Timeout: notifyTimeout}
	conn, err := dialer.DialContext(context.Background(), "unixgram", n.socket)
	if err == nil {
		defer conn.Close()
		if err = conn.SetDeadline(time.Now().Add(notifyTimeout)); err == nil {
			_, err = conn.Write([]byte(state))
		}
	}
	if err != nil {
		state, _, _ = strings.Cut(state, "=")
		return fmt.Errorf("telling systemd %s: %w", state, err)
	}
	return nil
}

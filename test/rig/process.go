// Package rig starts real programs for tests: each is a process of its own on a
// free port of loopback, and ends with its test. nginx and Envoy run the shipped
// configs. "make deps" installs what is missing.
package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Patience is how long anything may take that should happen soon. It is long
// for the sake of busy machines: a test that passes never waits for it.
const Patience = 20 * time.Second

// Process is a program that runs until its test ends.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	// done is closed when the program has ended, and err is set before.
	done chan struct{}
	err  error
}

// Start runs a program, and ends it with the test. What it printed is shown if
// the test has failed.
func Start(t testing.TB, name, path string, args ...string) *Process {
	t.Helper()
	// Straight into a file: a pipe to the test would cost it time for each line
	// of an access log.
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{name: name, log: log, done: make(chan struct{})}
	p.cmd = exec.Command(path, args...) //nolint:gosec,noctx // A test names the program, and Stop ends it gracefully.
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A group of its own, so that nothing of it is left behind.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop(t)
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, tail(p.Log(t)))
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Log is what the program has printed so far.
func (p *Process) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func tail(s string) string {
	const most = 8 << 10
	if len(s) > most {
		return "...\n" + s[len(s)-most:]
	}
	return s
}

// PID is the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends the program a signal.
func (p *Process) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Errorf("signalling %s: %v", p.name, err)
	}
}

// Stop asks the program to end, and waits until it has.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	if p.Ended() {
		return
	}
	p.Signal(t, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(Patience):
		t.Errorf("%s does not end", p.name)
		p.Kill()
	}
}

// Kill ends the program and its children at once.
func (p *Process) Kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// Ended says whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Err is how the program ended, nil if well. It waits for the end.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Until waits for something to become true.
func Until(t testing.TB, what string, is func() bool) {
	t.Helper()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	over := time.After(Patience)
	for !is() {
		select {
		case <-every.C:
		case <-over:
			t.Fatalf("waited %s for %s", Patience, what)
		}
	}
}

// Listening waits until the program takes connections at an address.
func (p *Process) Listening(t testing.TB, network, address string) {
	t.Helper()
	Until(t, p.name+" to listen on "+address, func() bool {
		if p.Ended() {
			t.Fatalf("%s ended: %v\n%s", p.name, p.err, tail(p.Log(t)))
		}
		c, err := (&net.Dialer{}).DialContext(t.Context(), network, address)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

// FreeAddress gives an address on loopback that nothing listens on. It has a
// random host, so that no other program takes it before the test does.
func FreeAddress(t testing.TB) string {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(64), rand.IntN(256), 1+rand.IntN(254)) //nolint:gosec // Not a secret.
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// Host is the host of host:port.
func Host(address string) string { return address[:strings.LastIndexByte(address, ':')] }

// Port is the port of host:port.
func Port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// Run runs a program that ends by itself, and gives its exit code and output.
func Run(t testing.TB, path string, args ...string) (code int, printed string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // A test names the program.
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("running %s: %v", path, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// Program finds a program by its names, the first that is there. A test without
// its program is skipped, and fails where CI is set to true.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if found, err := filepath.Glob(name); err == nil && len(found) > 0 {
			path, err := filepath.Abs(found[len(found)-1])
			if err != nil {
				t.Fatal(err)
			}
			return path
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("none of %q is here: run \"make deps\"", names)
	}
	t.Skipf("NOT TESTED: none of %q is here; \"make deps\" installs it", names)
	return ""
}

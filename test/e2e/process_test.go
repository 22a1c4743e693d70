package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that should happen soon. It is long
// for the sake of busy machines: a test that passes never waits for it.
const patience = 20 * time.Second

// process is a program that runs until its test ends.
type process struct {
	name string
	cmd  *exec.Cmd
	log  output
	// done is closed when the program has ended, and err is set before.
	done chan struct{}
	err  error
}

// output collects what a program prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// start runs a program, and ends it with the test. What it printed is shown if
// the test has failed.
func start(t *testing.T, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	// A group of its own, so that nothing of it is left behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, tail(p.log.String()))
		}
	})
	return p
}

func tail(s string) string {
	const most = 8 << 10
	if len(s) > most {
		return "...\n" + s[len(s)-most:]
	}
	return s
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Errorf("signalling %s: %v", p.name, err)
	}
}

// stop asks the program to end, and waits until it has.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if p.ended() {
		return
	}
	p.signal(t, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Errorf("%s does not end", p.name)
		p.kill()
	}
}

// kill ends the program and its children at once.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// until waits for something to become true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	over := time.After(patience)
	for !is() {
		select {
		case <-every.C:
		case <-over:
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// listening waits until the program takes connections at an address.
func (p *process) listening(t *testing.T, network, address string) {
	t.Helper()
	until(t, p.name+" to listen on "+address, func() bool {
		if p.ended() {
			t.Fatalf("%s ended: %v\n%s", p.name, p.err, tail(p.log.String()))
		}
		c, err := net.Dial(network, address)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// freeAddress gives an address on loopback that nothing listens on. It has a
// random host, so that no other program takes it before the test does.
func freeAddress(t *testing.T) string {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(64), rand.IntN(256), 1+rand.IntN(254))
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func host(address string) string { return address[:strings.LastIndexByte(address, ':')] }

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// run runs a program that ends by itself, and gives its exit code and output.
func run(t *testing.T, path string, args ...string) (code int, printed string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("running %s: %v", path, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

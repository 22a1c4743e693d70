package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/test/rig"
)

// service is an altagate whose sockets systemd-socket-activate has opened. They
// outlive it.
type service struct {
	*altagate
	pidfile string
	// told is what systemd was told.
	told chan string
}

// activated starts one with the flags given.
func activated(t *testing.T, unix bool, flags ...string) *service {
	t.Helper()
	dir := rig.TempDir(t)
	a := &altagate{http: rig.FreeAddress(t), grpc: rig.FreeAddress(t), admin: rig.FreeAddress(t)}
	network := "tcp"
	if unix {
		network, a.http, a.grpc = "unix", filepath.Join(dir, "http.sock"), filepath.Join(dir, "grpc.sock")
	}
	s := &service{altagate: a, pidfile: filepath.Join(dir, "pid"), told: listenForStates(t, filepath.Join(dir, "notify"))}
	a.Process = rig.Start(t, "systemd-socket-activate", rig.Program(t, "systemd-socket-activate"), append([]string{
		"--listen", a.http, "--listen", a.grpc, "--fdname=http:grpc", "-E", "NOTIFY_SOCKET=" + filepath.Join(dir, "notify"),
		// The race detector would have each process sleep for a second at its end.
		"-E", "GORACE=atexit_sleep_ms=0",
		"/bin/sh", "testdata/supervisor.sh", s.pidfile,
		altagateBin, "serve", "--log-format", "json", "--admin", a.admin,
	}, flags...)...)
	// It starts altagate when somebody connects.
	s.Listening(t, network, a.http)
	s.is(t, "READY=1")
	return s
}

// listenForStates listens where altagate tells systemd its state.
func listenForStates(t *testing.T, path string) chan string {
	t.Helper()
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	told, ended := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(ended)
		state := make([]byte, 100)
		for {
			n, err := l.Read(state)
			if err != nil {
				return
			}
			told <- string(state[:n])
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return told
}

// is waits for the next thing that systemd is told, which must be this.
func (s *service) is(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-s.told:
		if got != want {
			t.Fatalf("systemd was told %q, want %q", got, want)
		}
	case <-time.After(rig.Patience):
		t.Fatalf("systemd was not told %s\n%s", want, s.Log(t))
	}
}

// signal sends altagate a signal.
func (s *service) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	text, err := os.ReadFile(s.pidfile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
}

// again ends altagate and waits until the next one is ready.
func (s *service) again(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGTERM)
	s.is(t, "STOPPING=1")
	s.is(t, "READY=1")
}

// crowd are viewers who ask without a pause until stop: players, each of whom
// watches one stream, and zappers, each of whose requests is a new viewing.
type crowd struct {
	mu sync.Mutex
	// answers counts them by their status; 0 is a connection without one.
	answers map[int]int
	zapped  atomic.Int64
	ctx     context.Context
	end     context.CancelFunc
	all     sync.WaitGroup
}

const players, zappers = 4, 4

// gather starts a crowd in front of an edge, after the players have begun.
func gather(t *testing.T, e *proxy) *crowd {
	t.Helper()
	c := &crowd{answers: map[int]int{}}
	c.ctx, c.end = context.WithCancel(t.Context())
	t.Cleanup(c.end)
	for i := range players {
		v := viewer{edge: e, from: fmt.Sprintf("127.0.0.%d", 10+i)}
		if got := v.get(t, fmt.Sprintf("/live/%d/index.m3u8?token=player-%d", i, i)); got.status != 200 {
			t.Fatalf("player %d: status %d", i, got.status)
		}
		c.all.Go(func() {
			for n := 0; c.ctx.Err() == nil; n++ {
				c.ask(v, fmt.Sprintf("/live/%d/%d.ts", i, n))
			}
		})
	}
	for range zappers {
		v := viewer{edge: e, from: "127.0.0.9"}
		c.all.Go(func() {
			for c.ctx.Err() == nil {
				c.ask(v, fmt.Sprintf("/live/zap/index.m3u8?token=zapper-%d", c.zapped.Add(1)))
			}
		})
	}
	return c
}

func (c *crowd) ask(v viewer, target string) {
	got, err := v.try(request{target: target})
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		got.status = 0
	}
	c.answers[got.status]++
}

func (c *crowd) allowed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[200]
}

// goesOn waits until more are allowed.
func (c *crowd) goesOn(t *testing.T) {
	t.Helper()
	before := c.allowed()
	rig.Until(t, "viewers to be allowed", func() bool { return c.allowed() > before+50 })
}

// leaves ends the crowd, and gives its answers by their status.
func (c *crowd) leaves() map[int]int {
	c.end()
	c.all.Wait()
	return c.answers
}

// TestARestartUnderSystemdLosesNoCheck ends altagate again and again while viewers
// ask. Each is answered, and each viewing is one question: the sessions survive.
func TestARestartUnderSystemdLosesNoCheck(t *testing.T) {
	for _, e := range []edge{edges[0], edges[1], edges[3], edges[4], edges[5]} {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startFake(t, slowly(10*time.Millisecond, status(200)), status(200))
			s := activated(t, e.unix, "--backend", backend.url(), "--state", filepath.Join(rig.TempDir(t), "sessions"))
			c := gather(t, e.start(t, e, s.altagate, startOrigin(t).address))
			const restarts = 10
			for range restarts {
				c.goesOn(t)
				s.again(t)
			}
			c.goesOn(t)
			answers := c.leaves()
			if diff := cmp.Diff(map[int]int{200: c.allowed()}, answers); diff != "" {
				t.Errorf("answers by their status (-want +got):\n%s", diff)
			}
			if got, want := backend.counted(), players+int(c.zapped.Load()); got != want {
				t.Errorf("the backend was asked %d times about %d viewings", got, want)
			}
			log := s.Log(t)
			if n := strings.Count(log, "the socket for http was handed over by systemd"); n != restarts+1 {
				t.Errorf("%d of %d starts say that a socket was handed over:\n%s", n, restarts+1, log)
			}
			t.Logf("%d checks, %d restarts", answers[200], restarts)
		})
	}
}

// TestACrashUnderSystemdLosesNoSession kills altagate. A check that it had is
// lost with it, and nobody's session is.
func TestACrashUnderSystemdLosesNoSession(t *testing.T) {
	for _, e := range tcpEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startFake(t, status(200), status(200))
			state := filepath.Join(rig.TempDir(t), "sessions")
			s := activated(t, e.unix, "--backend", backend.url(), "--state", state)
			v := viewer{edge: e.start(t, e, s.altagate, startOrigin(t).address)}
			// When the second is being written, the first is safe.
			for _, stream := range []string{"first", "second"} {
				v.get(t, "/live/"+stream+"/index.m3u8?token="+stream)
				rig.Until(t, "the session to be written", func() bool {
					text, err := os.ReadFile(state)
					return err == nil && strings.Contains(string(text), "token="+stream)
				})
			}
			s.signal(t, syscall.SIGKILL)
			s.is(t, "READY=1")
			if got := v.get(t, "/live/first/1.ts"); got.status != 200 {
				t.Errorf("status %d, want 200", got.status)
			}
			if n := backend.counted(); n != 2 {
				t.Errorf("the backend was asked %d times about 2 viewings", n)
			}
		})
	}
}

// TestARestartElsewhereDeniesForAMoment has no systemd: while nothing listens the
// proxy's own answer is a refusal, and nothing else.
func TestARestartElsewhereDeniesForAMoment(t *testing.T) {
	for _, e := range tcpEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startFake(t, slowly(10*time.Millisecond, status(200)), status(200))
			flags := []string{"--backend", backend.url(), "--state", filepath.Join(rig.TempDir(t), "sessions")}
			a := serve(t, e.unix, flags...)
			c := gather(t, e.start(t, e, a, startOrigin(t).address))
			flags = append(flags, "--http", a.http, "--grpc", a.grpc, "--admin", a.admin)
			const restarts = 3
			for range restarts {
				c.goesOn(t)
				a.Stop(t)
				a.restart(t, flags...)
			}
			c.goesOn(t)
			answers := c.leaves()
			if answers[200]+answers[e.closed] != sum(answers) {
				t.Errorf("answers by their status: %v, want 200 and %d alone", answers, e.closed)
			}
			if got, most := backend.counted(), players+int(c.zapped.Load()); got > most {
				t.Errorf("the backend was asked %d times about %d viewings", got, most)
			}
			t.Logf("answers by their status: %v, %d restarts", answers, restarts)
		})
	}
}

func sum(counts map[int]int) (all int) {
	for _, n := range counts {
		all += n
	}
	return all
}

// TestAReloadIsToldToSystemd reads the config again.
func TestAReloadIsToldToSystemd(t *testing.T) {
	t.Parallel()
	file := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), configFile("http://"+rig.FreeAddress(t)+"/", ""))
	s := activated(t, false, "--config", file)
	s.signal(t, syscall.SIGHUP)
	s.is(t, "RELOADING=1")
	s.is(t, "READY=1")
}

// TestASocketThatCannotBeUsedIsSaidPlainly hands over one that is not named.
func TestASocketThatCannotBeUsedIsSaidPlainly(t *testing.T) {
	t.Parallel()
	address := rig.FreeAddress(t)
	p := rig.Start(t, "systemd-socket-activate", rig.Program(t, "systemd-socket-activate"),
		"--listen", address, "--fdname=altagate.socket", altagateBin, "serve", "--backend", "http://127.0.0.1:1/")
	p.Listening(t, "tcp", address)
	const want = `a socket named "altagate.socket" was handed over: name it one of http, grpc, admin`
	if p.Err() == nil || !strings.Contains(p.Log(t), want) {
		t.Errorf("want %q in\n%s", want, p.Log(t))
	}
}

// TestTheUnitsAreSound has systemd read them, and say how much of the machine they
// leave open: 0 is nothing, 10 is everything.
func TestTheUnitsAreSound(t *testing.T) {
	t.Parallel()
	analyze := rig.Program(t, "systemd-analyze")
	dir := rig.TempDir(t)
	files, err := filepath.Glob(filepath.Join(rig.Top, "deploy/systemd/*.*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("three units are expected: %q, %v", files, err)
	}
	verify := []string{"verify", "--man=no"}
	for _, file := range files {
		name := filepath.Base(file)
		var swaps []rig.Swap
		if name == "altagate.service" {
			swaps = append(swaps, rig.Swap{"/usr/local/bin/altagate", altagateBin})
		}
		verify = append(verify, rig.Shipped(t, "deploy/systemd/"+name, dir, swaps...))
	}
	if code, printed := rig.Run(t, analyze, verify...); code != 0 || printed != "" {
		t.Errorf("systemd-analyze verify: exit code %d\n%s", code, printed)
	}
	code, printed := rig.Run(t, analyze, "security", "--offline=true", "--threshold=11", "--no-pager", filepath.Join(dir, "altagate.service"))
	if code != 0 {
		t.Errorf("systemd-analyze security: exit code %d\n%s", code, printed)
	}
	lines := strings.Split(strings.TrimSpace(printed), "\n")
	t.Log(lines[len(lines)-1])
}

// TestTheUnitsListenWhereTheProxiesAsk reads the addresses and names that have to
// fit together.
func TestTheUnitsListenWhereTheProxiesAsk(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ unit, proxy, name, address string }{
		{"altagate-http.socket", "nginx/altagate.conf", "http", "127.0.0.1:9180"},
		{"altagate-http.socket", "nginx/altagate-unix.conf", "http", "/run/altagate/http.sock"},
		{"altagate-grpc.socket", "envoy/grpc-unix.yaml", "grpc", "/run/altagate/grpc.sock"},
	} {
		unit, err := os.ReadFile(filepath.Join(rig.Top, "deploy/systemd", test.unit))
		proxy, errProxy := os.ReadFile(filepath.Join(rig.Top, test.proxy))
		if err := errors.Join(err, errProxy); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"ListenStream=" + test.address + "\n", "FileDescriptorName=" + test.name + "\n"} {
			if !strings.Contains(string(unit), line) {
				t.Errorf("%s has no %s", test.unit, line)
			}
		}
		if !strings.Contains(string(proxy), test.address) {
			t.Errorf("%s has no %s", test.proxy, test.address)
		}
	}
}

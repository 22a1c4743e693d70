package cli

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/server"
)

func TestTheStartLineSaysWhatAltagateDoes(t *testing.T) {
	two := func(a, b string) string {
		return "backends: {portal: {urls: ['http://user:s3cret@10.0.0.5/a%20b?key=s3cret', 'https://10.0.0.6:8443']}}\n" +
			"routes:\n  - {name: live, match: {paths: [/live/]}, backends: [portal], on_unavailable: " + a + "}\n" +
			"  - {name: vod, match: {paths: [/vod/]}, backends: [portal], on_unavailable: " + b + "}\n"
	}
	for _, test := range []struct {
		name, config string
		away         []any
		says         string
	}{
		{
			"deny", two("deny", "deny"), []any{"live: deny", "vod: deny"},
			"serving; viewers are DENIED while the backend is away (Alta's own default is allow; on_unavailable: allow chooses that)",
		},
		{
			"allow", two("allow", "allow"), []any{"live: allow", "vod: allow"},
			"serving; EVERY viewer is allowed while the backend is away (on_unavailable: allow)",
		},
		{
			"both", two("deny", "allow"), []any{"live: deny", "vod: allow"},
			"serving; EVERY viewer is allowed while the backend is away on routes vod and denied on the others (Alta's own default is allow)",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := config.Parse([]byte(test.config))
			if err != nil {
				t.Fatal(err)
			}
			log := newScreen()
			a := &sidecar{telemetry: mustLog(t, log), settings: &settings{file: "altagate.yaml"}}
			tcp, err := server.Listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer tcp.Close()
			path := "unix:" + t.TempDir() + "/grpc"
			unix, err := server.Listen(path)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close()
			a.sayWhatItDoes(cfg, "serving; ", []door{{"http", server.Service{Listener: tcp}}, {"grpc", server.Service{Listener: unix}}})
			got := log.line(t, "serving")
			delete(got, "time")
			want := map[string]any{
				"http": tcp.Addr().String(), "grpc": path, "message": test.says, "on_unavailable": test.away,
				"level": "info",
				"asks":  []any{"portal at http://10.0.0.5/a%20b", "portal at https://10.0.0.6:8443"},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if strings.Contains(log.String(), "s3cret") {
				t.Errorf("a secret is shown: %s", log)
			}
		})
	}
}

func TestTheStartLineNamesWhatTheOperatorCanWrite(t *testing.T) {
	url := "http://" + nobody(t)
	path := file(t, oneRoute(url, ", match: {paths: [/live/]}"))
	for _, test := range []struct {
		name, env string
		args      []string
		want      string
	}{
		{"a file", "", []string{"--config", path}, "; on_unavailable: allow chooses that)"},
		{"flags", "", []string{"--backend", url}, "; --on-unavailable allow chooses that)"},
		{"the environment", "deny", []string{"--backend", url}, "; ALTAGATE_ON_UNAVAILABLE=allow chooses that)"},
		{"an open gate", "allow", []string{"--backend", url}, " (ALTAGATE_ON_UNAVAILABLE=allow)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.env != "" {
				t.Setenv("ALTAGATE_ON_UNAVAILABLE", test.env)
			}
			s := serving(t, append(test.args, "--log-level", "error")...)
			line := s.log.line(t, `"serving; `)
			if message, _ := line["message"].(string); line["level"] != "info" || !strings.HasSuffix(message, test.want) {
				t.Errorf("want %q in %v", test.want, line)
			}
		})
	}
}

func TestServeDecidesAndIsSeenFromOutside(t *testing.T) {
	s := serving(t, "--backend", portal(t).URL)
	for target, want := range map[string]int{"/live/index.m3u8?token=123": 200, "/live/index.m3u8?token=s3cret": 403, "/live/%2e%2e%2f": 403} {
		if got := s.check(t, target); got != want {
			t.Errorf("%s: %d, want %d", target, got, want)
		}
	}
	get(t, "http://"+s.admin+"/healthz", 200)
	get(t, "http://"+s.admin+"/readyz", 200)
	metrics := s.scrape(t)
	for _, want := range []string{
		`altagate_checks_total{decision="allow",proxy="nginx",reason="backend",route="default"} 1`,
		`altagate_checks_total{decision="deny",proxy="nginx",reason="backend",route="default"} 1`,
		`altagate_backend_requests_total{backend="backend",outcome="deny"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	if code := s.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if log := s.log.String(); strings.Contains(log, "s3cret") || !strings.Contains(log, `"query":"token=***"`) {
		t.Errorf("the log shows a token, or no denial:\n%s", log)
	}
	if s.out.String() != "" {
		t.Errorf("printed %s", s.out)
	}
}

// slowLog takes the lines of checks only when it is released, and not at once.
type slowLog struct {
	*screen
	released chan struct{}
	begun    func()
}

func (s slowLog) Write(line []byte) (int, error) {
	if strings.Contains(string(line), `"message":"check"`) {
		s.begun()
		<-s.released
		<-time.After(20 * time.Millisecond)
	}
	return s.screen.Write(line)
}

// TestAStopAnswersWhatWasBegunAndLosesNoLine stops while a check waits for its
// backend, and while the log does not take the lines of the checks before it.
func TestAStopAnswersWhatWasBegunAndLosesNoLine(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	b := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "token=slow" {
			close(asked)
			<-answer
			return
		}
		w.WriteHeader(http.StatusForbidden)
	})
	writing := make(chan struct{})
	log := slowLog{newScreen(), make(chan struct{}), sync.OnceFunc(func() { close(writing) })}
	s := servingTo(t, log.screen, log, "--backend", b.URL)
	for _, target := range []string{"/a?token=1", "/b?token=2", "/c?token=3"} {
		if got := s.check(t, target); got != 403 {
			t.Errorf("%s: %d", target, got)
		}
	}
	<-writing
	status := make(chan int)
	go func() { status <- s.check(t, "/d?token=slow") }()
	<-asked
	s.cancel()
	refuses(t, s.http)
	close(answer)
	if got := <-status; got != 200 {
		t.Errorf("the check that was begun: %d", got)
	}
	close(log.released)
	if code := s.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if n := strings.Count(log.String(), `"message":"check"`); n != 3 || !strings.Contains(lines[len(lines)-1], `"message":"stopped"`) {
		t.Errorf("%d lines of checks, want 3 and then stopped:\n%s", n, log)
	}
}

// refuses waits until nobody listens.
func refuses(t *testing.T, address string) {
	t.Helper()
	for limit := time.Now().Add(patience); time.Now().Before(limit); {
		conn, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			conn.Close()
		}
	}
	t.Fatalf("%s still listens", address)
}

// TestAPanicIsOneLineInTheLogAndADenial serves a handler that panics as serve
// does its own.
func TestAPanicIsOneLineInTheLogAndADenial(t *testing.T) {
	cfg, err := config.Single([]string{portal(t).URL}, "")
	if err != nil {
		t.Fatal(err)
	}
	log := newScreen()
	a, err := newSidecar(cfg, &settings{}, Build{}, log)
	if err != nil {
		t.Fatal(err)
	}
	l, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	broken := a.overHTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { panic(r.RequestURI) }))
	ctx, stop := contextFor(t)
	ended := make(chan error)
	go func() { ended <- a.serve(ctx, reloads{}, []server.Service{{Listener: l, Server: broken}}) }()
	get(t, "http://"+l.Addr().String()+"/auth?token=s3cret", http.StatusForbidden)
	log.until(t, "panic", 1)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	line := log.line(t, "panic")
	message, _ := line["message"].(string)
	if line["level"] != "warn" || !strings.Contains(message, "with a string") || !strings.Contains(message, "serve_test.go:") {
		t.Errorf("got %v", line)
	}
	if strings.Contains(log.String(), "s3cret") || strings.Count(log.String(), "panic") != 1 {
		t.Errorf("got\n%s", log)
	}
}

func TestALogThatTakesNothingHoldsUpNoServer(t *testing.T) {
	trouble := newTroubles()
	for range 1000 {
		trouble.tell("http: Accept error") // would hang
	}
	if n := len(trouble); n == 0 || n == 1000 {
		t.Errorf("%d lines wait", n)
	}
}

func TestTroublesUpToTheEndAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := contextFor(t)
		trouble, log := newTroubles(), newScreen()
		trouble.tell("one")
		stop()
		logger := zerolog.New(log)
		trouble.write(ctx, &logger)
		if got, want := log.String(), `{"level":"warn","message":"one"}`+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// settingsOf are what the flags of serve make of these arguments.
func settingsOf(t *testing.T, args ...string) *settings {
	t.Helper()
	var s settings
	cmd := &cobra.Command{}
	s.sourceFlags(cmd)
	s.listenFlags(cmd, config.DefaultLogFormat)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return &s
}

func listenOn(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := server.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestAnInheritedListenerIsUsedInPlaceOfItsAddress(t *testing.T) {
	const other = "192.0.2.1:1" // is no address of this machine
	path := "unix:" + t.TempDir() + "/grpc"
	http, grpc := listenOn(t, "127.0.0.1:0"), listenOn(t, path)
	s := settingsOf(t, "--backend", portal(t).URL, "--http", other, "--grpc", "", "--admin", "127.0.0.1:0")
	s.inherited = server.Inherited{"http": http, "grpc": grpc}
	cfg, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	want := config.Listen{HTTP: http.Addr().String(), GRPC: path, Admin: "127.0.0.1:0"}
	if diff := cmp.Diff(want, cfg.Listen); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	log := newScreen()
	a, err := newSidecar(cfg, s, Build{}, log)
	if err != nil {
		t.Fatal(err)
	}
	doors, err := a.open(cfg.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(services(doors))
	a.close()
	for i, l := range []net.Listener{http, grpc} {
		if doors[i].service.Listener != l {
			t.Errorf("%s: another listener", doors[i].name)
		}
		says := "the socket for " + doors[i].name + " was handed over by systemd: listen." + doors[i].name + " is not used"
		if line := log.line(t, says); line[doors[i].name] != doors[i].address() || line["level"] != "info" {
			t.Errorf("got %v", line)
		}
	}
}

func TestAnInheritedListenerThatOthersReachNeedsCallers(t *testing.T) {
	all := server.Inherited{"grpc": listenOn(t, "0.0.0.0:0")}
	s := settingsOf(t, "--backend", portal(t).URL)
	s.inherited = all
	_, err := s.load()
	if err == nil || !strings.Contains(err.Error(), all.Address("grpc")+", where more than this machine can ask") {
		t.Errorf("got %v", err)
	}
	s = settingsOf(t, "--backend", portal(t).URL, "--callers", "10.0.0.0/8")
	s.inherited = all
	if _, err := s.load(); err != nil {
		t.Error(err)
	}
}

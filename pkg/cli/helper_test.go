package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/altagate/altagate/pkg/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience only turns a hang into a failure.
const patience = 20 * time.Second

// screen is what a command prints. It can be waited for.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed at each change, and replaced
}

func newScreen() *screen { return &screen{changed: make(chan struct{})} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// until waits until the text is there n times.
func (s *screen) until(t *testing.T, text string, n int) {
	t.Helper()
	limit := time.After(patience)
	for {
		s.mu.Lock()
		changed, all := s.changed, s.text.String()
		s.mu.Unlock()
		if strings.Count(all, text) >= n {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("waited in vain for %q in\n%s", text, all)
		}
	}
}

// line gives the first JSON line with the text.
func (s *screen) line(t *testing.T, text string) map[string]any {
	t.Helper()
	for line := range strings.Lines(s.String()) {
		if strings.Contains(line, text) {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			return fields
		}
	}
	t.Fatalf("no line has %q in\n%s", text, s)
	return nil
}

// ran runs a command to its end.
func ran(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	code = run(ctx, args, Build{}, &out, &errs)
	return code, out.String(), errs.String()
}

// running is a command that goes on until stop.
type running struct {
	out, log *screen
	cancel   context.CancelFunc
	ended    chan int
}

// start runs a command in the background.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	shown := newScreen()
	return startLogging(t, shown, shown, args...)
}

// startLogging does so with a log of its own, which ends up on shown.
func startLogging(t *testing.T, shown *screen, log io.Writer, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{out: newScreen(), log: shown, cancel: cancel, ended: make(chan int, 1)}
	go func() { r.ended <- run(ctx, args, Build{}, r.out, log) }()
	t.Cleanup(func() { r.stop(t) })
	return r
}

// stop ends the command as SIGTERM does, and gives its exit code.
func (r *running) stop(t *testing.T) int {
	t.Helper()
	r.cancel()
	select {
	case code := <-r.ended:
		r.ended <- code // for who asks again
		return code
	case <-time.After(patience):
		t.Fatal("the command does not end")
		return 0
	}
}

// sidecarAt is a running "altagate serve" and where it listens.
type sidecarAt struct {
	*running
	http, admin string
}

// serving starts "serve" on free ports and waits until it is ready.
func serving(t *testing.T, args ...string) *sidecarAt {
	t.Helper()
	shown := newScreen()
	return servingTo(t, shown, shown, args...)
}

// servingTo does so with a log of its own, which ends up on shown.
func servingTo(t *testing.T, shown *screen, log io.Writer, args ...string) *sidecarAt {
	t.Helper()
	free := []string{"serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"}
	r := startLogging(t, shown, log, append(free, args...)...)
	shown.until(t, `"serving; `, 1)
	line := shown.line(t, `"serving; `)
	return &sidecarAt{r, line["http"].(string), line["admin"].(string)}
}

// check asks about a viewer's request as nginx does, and gives the status.
func (s *sidecarAt) check(t *testing.T, target string) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+s.http+"/auth/nginx", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"X-Original-URI": target, "X-Original-Method": "GET", "X-Forwarded-Proto": "http",
		"X-Forwarded-Host": "tv.example.com", "X-Real-IP": "192.0.2.7",
	} {
		r.Header.Set(name, value)
	}
	status, _ := exchange(t, r)
	return status
}

// scrape gives the metrics.
func (s *sidecarAt) scrape(t *testing.T) string {
	t.Helper()
	return get(t, "http://"+s.admin+"/metrics", http.StatusOK)
}

// get gives the body of a reply that must have the status.
func get(t *testing.T, url string, want int) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, body := exchange(t, r)
	if status != want {
		t.Errorf("%s: status %d, want %d", url, status, want)
	}
	return body
}

func exchange(t *testing.T, r *http.Request) (status int, body string) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: patience}
	reply, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(reply.Body); err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, b.String()
}

// portal is a backend that allows token=123, and answers probes with 404.
func portal(t *testing.T) *httptest.Server {
	t.Helper()
	return answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("token") != "123" {
			w.WriteHeader(http.StatusForbidden)
		}
	})
}

func answering(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Session-Id") == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// taken is an address where somebody else listens.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// file writes a config file.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "altagate.yaml")
	write(t, path, text)
	return path
}

// write replaces a file at once, as editors do.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// oneRoute is a config with one backend and one route.
func oneRoute(url, route string) string {
	return "backends:\n  portal: {url: '" + url + "'}\nroutes:\n  - {name: all, backends: [portal]" + route + "}\n"
}

// contextFor is a context that ends with stop, or before the test does.
func contextFor(t *testing.T) (ctx context.Context, stop context.CancelFunc) {
	t.Helper()
	ctx, stop = context.WithCancel(context.Background())
	t.Cleanup(stop)
	return ctx, stop
}

func mustLog(t *testing.T, to io.Writer) *telemetry.Telemetry {
	t.Helper()
	log, err := telemetry.New(telemetry.Config{Writer: to})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/altagate/altagate/test/rig"
)

// configFile is a config with a route and its extra keys. All viewers of the tests
// have one address.
func configFile(backend string, extra string) string {
	return fmt.Sprintf("backends:\n  portal:\n    url: %s\n    limits: {rate: 1000000}\nroutes:\n  - name: all\n    backends: [portal]\n%s", backend, extra)
}

// TestReloadingLosesNoCheck has viewers ask through each kind of proxy while
// the config is read again and again, with a mistake every other time.
func TestReloadingLosesNoCheck(t *testing.T) {
	for _, e := range tcpEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startFake(t, status(200), status(200))
			file := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), configFile(backend.url(), ""))
			a := serve(t, e.unix, "--config", file)
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}

			const viewers, reloads = 4, 20
			ctx, stop := context.WithCancel(t.Context())
			var asked, lost atomic.Int64
			var all sync.WaitGroup
			for range viewers {
				all.Go(func() {
					for ctx.Err() == nil {
						// A token of its own each: none joins a session.
						got, err := v.try(request{target: fmt.Sprintf("/live/index.m3u8?token=%d", asked.Add(1))})
						if err != nil || got.status != 200 {
							lost.Add(1)
						}
					}
				})
			}
			for i := range reloads {
				result, content := "ok", configFile(backend.url(), fmt.Sprintf("    paths_%d: x\n", i))
				if i%2 == 0 {
					content = configFile(backend.url(), fmt.Sprintf("    deny_status: %d\n", 403+i))
				} else {
					result = "error"
				}
				before := a.metric(t, "altagate_config_reloads_total", `result="`+result+`"`)
				rig.Write(t, file, content)
				a.Signal(t, syscall.SIGHUP)
				rig.Until(t, "the reload to end in "+result, func() bool {
					return a.metric(t, "altagate_config_reloads_total", `result="`+result+`"`) > before
				})
			}
			stop()
			all.Wait()
			if asked.Load() < reloads || lost.Load() > 0 {
				t.Errorf("%d of %d requests were lost", lost.Load(), asked.Load())
			}
		})
	}
}

// TestAConfigMapThatChangesIsReadAgain swaps the ..data symlink as Kubernetes
// does, without a signal.
func TestAConfigMapThatChangesIsReadAgain(t *testing.T) {
	t.Parallel()
	deny, allow := startFake(t, status(403), status(200)), startFake(t, status(200), status(200))
	dir := rig.TempDir(t)
	version := func(name string, backend *fake) {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		rig.Write(t, filepath.Join(dir, name, "altagate.yaml"), configFile(backend.url(), ""))
		temporary := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(name, temporary); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version("..2026_1", deny)
	file := filepath.Join(dir, "altagate.yaml")
	if err := os.Symlink(filepath.Join("..data", "altagate.yaml"), file); err != nil {
		t.Fatal(err)
	}
	a := serve(t, false, "--config", file)
	asks := 0
	ask := func() int {
		asks++
		return askAltagate(t, a, fmt.Sprint(asks))
	}
	if got := ask(); got != 403 {
		t.Fatalf("before the change: status %d, want 403", got)
	}
	version("..2026_2", allow)
	if err := os.RemoveAll(filepath.Join(dir, "..2026_1")); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, "the new backend to be asked", func() bool { return ask() == 200 })
}

// askAltagate asks for a check as the shipped nginx configs do.
func askAltagate(t *testing.T, a *altagate, token string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+a.http+"/auth/nginx", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"X-Original-URI": "/live/index.m3u8?token=" + token, "X-Original-Method": "GET", "X-Forwarded-Proto": "http",
		"X-Forwarded-Host": "tv.example.com:80", "X-Real-IP": "192.0.2.7",
	} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestAStopAnswersWhatWasAsked ends altagate while a slow backend is asked.
func TestAStopAnswersWhatWasAsked(t *testing.T) {
	for _, e := range tcpEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startFake(t, slowly(time.Second, status(200)), status(200))
			a := serve(t, e.unix, "--backend", backend.url())
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}
			answered := make(chan answer, 1)
			go func() {
				got, err := v.try(request{target: "/live/index.m3u8?token=123"})
				if err != nil {
					t.Error(err)
				}
				answered <- got
			}()
			rig.Until(t, "the backend to be asked", func() bool { return backend.counted() == 1 })
			a.Stop(t)
			if got := <-answered; got.status != 200 {
				t.Errorf("status %d, want 200", got.status)
			}
			if a.Err() != nil {
				t.Errorf("altagate ended with %v", a.Err())
			}
		})
	}
}

// TestGRPCHealthTellsOfAStop asks as a load balancer does, and stands by while
// altagate answers its last check.
func TestGRPCHealthTellsOfAStop(t *testing.T) {
	t.Parallel()
	backend := startFake(t, slowly(time.Second, status(200)), status(200))
	a := serve(t, false, "--backend", backend.url())
	conn, err := grpc.NewClient(a.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
	defer cancel()
	health := healthpb.NewHealthClient(conn)
	now, err := health.Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil || now.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("Check: %v, %v, want SERVING", now, err)
	}
	watch, err := health.Watch(ctx, &healthpb.HealthCheckRequest{Service: "envoy.service.auth.v3.Authorization"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{
		healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING,
	} {
		got, err := watch.Recv()
		if err != nil || got.GetStatus() != want {
			t.Fatalf("Watch: %v, %v, want %v", got, err, want)
		}
		if want == healthpb.HealthCheckResponse_SERVING {
			a.Signal(t, syscall.SIGTERM)
		}
	}
}

// TestChecksShareConnections counts what many requests open between a proxy and
// altagate.
func TestChecksShareConnections(t *testing.T) {
	for _, e := range httpEdges(t) {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startFake(t, byToken, status(200))
			a := serve(t, false, "--backend", backend.url())
			between := startCounter(t, a.http)
			counted := *a
			counted.http = between.address
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, &counted, o.address)}
			before := between.opened()
			for i := range 40 {
				v.get(t, fmt.Sprintf("/live/index.m3u8?token=%d", 100+i))
			}
			if n := between.opened() - before; n > 4 {
				t.Errorf("40 checks, allows and denials, opened %d connections", n)
			}
		})
	}
}

// TestALengthThatIsPassedOnHoldsNoAnswerUp takes the line out of nginx's config that
// keeps a viewer's Content-Length from altagate. No body comes behind it.
func TestALengthThatIsPassedOnHoldsNoAnswerUp(t *testing.T) {
	t.Parallel()
	backend := startFake(t, byToken, status(200))
	a := serve(t, false, "--backend", backend.url())
	o := startOrigin(t)
	e := edgeOf(t, "nginx/altagate.conf")
	v := viewer{edge: e.start(t, e, a, o.address,
		rig.Swap{`proxy_set_header Content-Length "";`, ""}, rig.Swap{"proxy_pass_request_headers off;", ""})}
	for token, want := range map[string]int{"123": 200, "1": 403} {
		for _, size := range []int{1, 100, 200 << 10} {
			got := v.send(t, request{method: "POST", target: fmt.Sprintf("/x?n=%d&token=%s", size, token), body: strings.NewReader(strings.Repeat("x", size))})
			// An answer that waits for the body is a 500: nginx does not wait so long.
			if got.status != want {
				t.Errorf("token %s with %d bytes: status %d, want %d", token, size, got.status, want)
			}
		}
	}
}

// TestTheExampleBackendUnderFPM asks the same script under nginx and php-fpm,
// and takes php-fpm away.
func TestTheExampleBackendUnderFPM(t *testing.T) {
	t.Parallel()
	backend := startFPM(t)
	config := configFile(backend.url, "    on_unavailable: allow\n")
	config = strings.Replace(config, "routes:", "    unavailable_statuses: [502, 503, 504]\nroutes:", 1)
	file := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), config)
	a := serve(t, false, "--config", file)
	o := startOrigin(t)
	v := viewer{edge: edges[0].start(t, edges[0], a, o.address)}
	for target, want := range map[string]int{"/live/index.m3u8?token=123": 200, "/live/index.m3u8?token=1": 403} {
		if got := v.send(t, request{target: target, header: http.Header{"User-Agent": {"player"}}}); got.status != want {
			t.Errorf("%s: status %d, want %d", target, got.status, want)
		}
	}
	if told := backend.told(t, "player"); told["X-Real-Path"] != "/live/index.m3u8" || told["X-Real-Ip"] != "127.0.0.1" {
		t.Errorf("the script was told %v", told)
	}
	backend.Stop(t)
	if got := v.get(t, "/live/index.m3u8?token=1"); got.status != 200 || a.decided(t, "allow", "default") != 1 {
		t.Errorf("without php-fpm: status %d, want 200 by default", got.status)
	}
}

// TestCheckTellsWhatTheBackendDoes runs "altagate check" on the example backend.
func TestCheckTellsWhatTheBackendDoes(t *testing.T) {
	t.Parallel()
	backend := startPHP(t)
	const watch = "http://tv.example.com/live/index.m3u8?token="
	check := func(want int, says string, args ...string) {
		t.Helper()
		code, printed := rig.Run(t, altagateBin, append([]string{"check"}, args...)...)
		if code != want || !strings.Contains(strings.ToLower(printed), says) {
			t.Errorf("check %q: exit code %d, want %d and %q in\n%s", args, code, want, says, printed)
		}
	}
	check(0, "allow", watch+"123", "--backend", backend.url)
	check(1, "deny", watch+"1", "--backend", backend.url)
	check(3, "scheme", watch+"123", "--backend", strings.TrimPrefix(backend.url, "http://"))
	check(3, "url", "--backend", backend.url)
	backend.Stop(t)
	check(2, "refused", watch+"123", "--backend", backend.url)
}

// TestAPortInUseIsSaidPlainly starts a second altagate on the first one's port.
func TestAPortInUseIsSaidPlainly(t *testing.T) {
	t.Parallel()
	a := serve(t, false, "--backend", "http://"+rig.FreeAddress(t)+"/")
	code, printed := rig.Run(t, altagateBin, "serve", "--backend", "http://127.0.0.1:1/", "--http", a.http,
		"--grpc", rig.FreeAddress(t), "--admin", rig.FreeAddress(t))
	if code == 0 || !strings.Contains(printed, a.http) || !strings.Contains(printed, "in use") {
		t.Errorf("exit code %d:\n%s", code, printed)
	}
}

// TestAViewerDoesNotChooseTheScheme writes https over HTTP/2 on a listener
// without TLS.
func TestAViewerDoesNotChooseTheScheme(t *testing.T) {
	for _, e := range []edge{edges[3], edges[5]} {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startPHP(t)
			a := serve(t, e.unix, "--backend", backend.url)
			edge := e.start(t, e, a, startOrigin(t).address)
			//nolint:staticcheck // net/http's own transport takes no connection without TLS for https.
			client := http.Client{Transport: &http2.Transport{
				DialTLSContext: func(ctx context.Context, _, _ string, _ *tls.Config) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", edge.address)
				},
			}}
			defer client.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://tv.example.com/x?token=123", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("User-Agent", "liar")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if told := backend.told(t, "liar"); resp.StatusCode != 200 || told["X-Real-Origin"] != "http://tv.example.com" {
				t.Errorf("status %d, the backend was told %v", resp.StatusCode, told)
			}
		})
	}
}

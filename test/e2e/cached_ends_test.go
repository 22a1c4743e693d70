package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/altagate/altagate/test/rig"
)

// startCached runs nginx/cached.conf before an altagate with a route that has these
// lines, each indented by four.
func startCached(t *testing.T, backend *fake, route string, swaps ...rig.Swap) (viewer, *altagate, *origin) {
	t.Helper()
	file := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), configFile(backend.url(), route))
	a, e, o := serve(t, false, "--config", file), edgeOf(t, "nginx/cached.conf"), startOrigin(t)
	return viewer{edge: e.start(t, e, a, o.address, swaps...)}, a, o
}

// cachedFiles are what nginx has in its cache for checks.
func cachedFiles(t *testing.T, v viewer) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(v.edge.dir, "altagate-checks"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return nil // It may be gone already.
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestRepeatedRequestsAreFewChecks(t *testing.T) {
	t.Parallel()
	backend := startFake(t, byToken, status(200))
	v, a, o := startCached(t, backend, "    cache: 10s\n")
	const requests = 100
	for range requests {
		if got := v.get(t, "/live/index.m3u8?token=123"); got.status != 200 {
			t.Fatalf("status %d", got.status)
		}
	}
	if reached := len(o.take()); reached != requests {
		t.Errorf("the origin was asked %d times, want %d", reached, requests)
	}
	checks := a.metric(t, "altagate_checks_total")
	if checks > requests/2 || checks < 2 || backend.counted() != 1 {
		t.Errorf("%d requests were %g checks and %d questions", requests, checks, backend.counted())
	}
	if log := v.edge.accessLog(); !strings.Contains(log, "check=allow reason=session") || !strings.Contains(log, "check_cache=HIT") {
		t.Errorf("the access log does not tell who was let in by a cached check:\n%s", log)
	}
	files := cachedFiles(t, v)
	for _, file := range append(files, filepath.Join(v.edge.dir, "altagate-checks")) {
		if info, err := os.Stat(file); err == nil && info.Mode()&0o077 != 0 {
			t.Errorf("%s has the mode %v: others can read tokens in it", file, info.Mode())
		}
	}
	if len(files) == 0 {
		t.Error("nothing is in the cache")
	}
	// What is asked for once is not kept.
	for i := range 20 {
		v.get(t, fmt.Sprintf("/live/%d.ts", i))
	}
	if now := cachedFiles(t, v); len(now) > len(files) {
		t.Errorf("segments are kept: %d files, and there were %d", len(now), len(files))
	}
}

// TestNothingElseIsRepeated asks again and again for what is allowed or denied for
// another reason than a session.
func TestNothingElseIsRepeated(t *testing.T) {
	t.Parallel()
	const cache = "    cache: 2s\n"
	for _, tt := range []struct {
		name, route, decision, reason string
		request                       request
		want                          int
		question, probe               act
	}{
		{"a denial", cache, "deny", "recent-denial", request{target: "/live/a?token=1"}, 403, byToken, status(200)},
		{"an outage that lets in", cache + "    on_unavailable: allow\n", "allow", "default", request{target: "/live/index.m3u8?token=1"}, 200, reset, reset},
		{"an outage that does not", cache, "deny", "default", request{target: "/live/index.m3u8?token=1"}, 403, reset, reset},
		{"a route that observes", cache + "    mode: observe\n", "allow", "observe", request{target: "/live/a?token=1"}, 200, byToken, status(200)},
		{"a rule", cache + "    rules: [{action: allow}]\n", "allow", "rule", request{target: "/live/a"}, 200, byToken, status(200)},
		{"a POST", cache, "allow", "backend", request{method: "POST", target: "/live/a?token=123"}, 200, byToken, status(200)},
		{"a URL that nginx's buffer does not hold", cache, "allow", "session", request{target: "/live/a?token=123&token=" + strings.Repeat("1", 4000) + "&token=123"}, 200, byToken, status(200)},
		{"what cannot be read", cache, "deny", "malformed", request{target: "/live/a%2fb?token=123"}, 403, byToken, status(200)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, a, _ := startCached(t, startFake(t, tt.question, tt.probe), tt.route)
			asksEachTime(t, v, a, tt.request, tt.want, tt.decision, tt.reason)
		})
	}
	t.Run("a grace", func(t *testing.T) {
		t.Parallel()
		backend := startFake(t, says("HTTP/1.1 200 OK\r\nX-AuthDuration: 2\r\nContent-Length: 0\r\n\r\n"), status(200))
		v, a, _ := startCached(t, backend, cache)
		r := request{target: "/live/index.m3u8?token=123"}
		v.send(t, r)
		backend.set(reset, reset)
		asksEachTime(t, v, a, r, 200, "allow", "grace")
	})
}

// asksEachTime waits until a request is decided for a reason, and then finds that
// altagate is asked about each.
func asksEachTime(t *testing.T, v viewer, a *altagate, r request, want int, decision, reason string) {
	t.Helper()
	decided := func() float64 { return a.decided(t, decision, reason) }
	rig.Until(t, decision+" by "+reason, func() bool { v.send(t, r); return decided() > 0 })
	before := decided()
	const requests = 8
	for range requests {
		if got := v.send(t, r); got.status != want {
			t.Errorf("status %d, want %d", got.status, want)
		}
	}
	if n := decided() - before; n != requests {
		t.Errorf("%d requests were %g checks that ended with %s by %s:\n%s", requests, n, decision, reason, v.edge.accessLog())
	}
}

// TestAnEndTakesEffectWithinTheTimeOfTheCache has a viewer ask all the time. A request
// that begins later than the time of the cache after the end must not be served: when
// it ended is taken when that was seen, with no request under way.
func TestAnEndTakesEffectWithinTheTimeOfTheCache(t *testing.T) {
	t.Parallel()
	const cache = 2 * time.Second
	for _, tt := range []struct {
		name     string
		question act
		// end has the session end, and says whether it has.
		end  func(t *testing.T, a *altagate, backend *fake) bool
		want int
	}{
		{"by an operator", byToken, func(t *testing.T, a *altagate, _ *fake) bool {
			(&house{gate: a}).end(t, liveSessions(t, a)[0]+"?for=10m")
			return true
		}, 403},
		{"by the backend", says("HTTP/1.1 200 OK\r\nX-AuthDuration: 3\r\nContent-Length: 0\r\n\r\n"), func(t *testing.T, a *altagate, backend *fake) bool {
			backend.set(status(403), status(200))
			return len(liveSessions(t, a)) == 0
		}, 403},
		{"by altagate being away", byToken, func(t *testing.T, a *altagate, _ *fake) bool {
			a.Stop(t)
			return true
		}, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := startFake(t, tt.question, status(200))
			v, a, o := startCached(t, backend, "    cache: 2s\n")
			const target = "/live/index.m3u8?token=123"
			rig.Until(t, "an answer to be repeated", func() bool {
				before := a.metric(t, "altagate_checks_total")
				return v.get(t, target).status == 200 && a.metric(t, "altagate_checks_total") == before
			})
			var ended time.Time
			for over := false; !over; {
				start := time.Now()
				o.take()
				got := v.get(t, target)
				over = got.status == tt.want
				switch reached := len(o.take()) > 0; {
				case got.status != 200 && !over:
					t.Fatalf("status %d, want 200 and then %d", got.status, tt.want)
				case reached == over:
					t.Errorf("status %d, and the origin was reached: %t", got.status, reached)
				case !over && !ended.IsZero() && start.After(ended.Add(cache)):
					t.Fatalf("served %v after the end", start.Sub(ended))
				}
				if ended.IsZero() && tt.end(t, a, backend) {
					ended = time.Now()
				}
			}
			if ended.IsZero() {
				t.Error("denied before the end")
			}
		})
	}
}

// liveSessions are the ids of altagate's sessions.
func liveSessions(t *testing.T, a *altagate) (ids []string) {
	t.Helper()
	_, body := a.ask(t, "/api/v1/sessions")
	var list struct{ Sessions []struct{ ID string } }
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, s := range list.Sessions {
		ids = append(ids, s.ID)
	}
	return ids
}

// TestNoAnswerIsRepeatedBeyondItsTenSeconds has a config keep answers for an hour, as a
// clock that was set back would, and altagate be away.
func TestNoAnswerIsRepeatedBeyondItsTenSeconds(t *testing.T) {
	t.Parallel()
	v, a, _ := startCached(t, startFake(t, byToken, status(200)), "    cache: 10s\n", rig.Swap{"proxy_cache_valid any 0s", "proxy_cache_valid 200 1h"},
		rig.Swap{"proxy_ignore_headers Cache-Control", "proxy_ignore_headers X-Accel-Expires Cache-Control"})
	const target = "/live/index.m3u8?token=123"
	rig.Until(t, "an answer to be repeated", func() bool {
		before := a.metric(t, "altagate_checks_total")
		return v.get(t, target).status == 200 && a.metric(t, "altagate_checks_total") == before
	})
	a.Stop(t)
	rig.Until(t, "nginx to ask", func() bool { return v.get(t, target).status == 500 })
}

// TestAViewerFillsTheCacheAndNothingMore asks twice for more URLs than a small cache has
// room for: who watches is served all the while, and there are no more files than the
// zone has keys.
func TestAViewerFillsTheCacheAndNothingMore(t *testing.T) {
	t.Parallel()
	v, _, _ := startCached(t, startFake(t, byToken, status(200)), "    cache: 10s\n", rig.Swap{"keys_zone=altagate_checks:2m", "keys_zone=altagate_checks:64k"})
	v.get(t, "/live/index.m3u8?token=123")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			client := http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
			defer client.CloseIdleConnections()
			for n := range 500 {
				for range 2 {
					req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s/live/%d-%d.ts", v.edge.address, i, n), nil)
					if err != nil {
						t.Error(err)
						return
					}
					req.Host = "tv.example.com:" + rig.Port(v.edge.address)
					resp, err := client.Do(req)
					if err != nil {
						t.Errorf("%s: %v", req.URL, err)
						return
					}
					resp.Body.Close()
					if resp.StatusCode != 200 {
						t.Errorf("%s: status %d", req.URL, resp.StatusCode)
					}
				}
			}
		})
	}
	all.Wait()
	if n := len(cachedFiles(t, v)); n == 0 || n > 64<<10/128 {
		t.Errorf("%d files are in a cache whose zone has room for %d keys at most", n, 64<<10/128)
	}
	if log := v.edge.Log(t); strings.Contains(log, "[alert]") || strings.Contains(log, "[crit]") || strings.Contains(log, "[error]") {
		t.Errorf("nginx complains:\n%s", log)
	}
}

// TestACacheThatCannotBeWrittenLetsNobodyIn takes the directory away, as a full disk
// does. Who was to be let in is cut off: closed, as ever.
func TestACacheThatCannotBeWrittenLetsNobodyIn(t *testing.T) {
	t.Parallel()
	v, _, o := startCached(t, startFake(t, byToken, status(200)), "    cache: 10s\n")
	dir := filepath.Join(v.edge.dir, "altagate-checks")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	const target = "/live/index.m3u8?token=123"
	if got := v.get(t, target); got.status != 200 { // Nothing of this one is kept.
		t.Fatalf("status %d, want 200", got.status)
	}
	for range 10 {
		o.take()
		got, err := v.try(request{target: target})
		if reached := len(o.take()) > 0; reached != (err == nil && got.status == 200) {
			t.Errorf("%v, status %d, and the origin was reached: %t", err, got.status, reached)
		}
		if got := v.get(t, "/live/index.m3u8?token=1"); got.status != 403 || len(o.take()) > 0 {
			t.Errorf("another token: status %d, want 403", got.status)
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	rig.Until(t, "who may watch to be served", func() bool { got, err := v.try(request{target: target}); return err == nil && got.status == 200 })
}

// TestALongURLIsNoReasonToBeCutOff has long keys of the cache, and answers with all that
// altagate says of a session, share nginx's buffer.
func TestALongURLIsNoReasonToBeCutOff(t *testing.T) {
	t.Parallel()
	told := "X-UserId: " + strings.Repeat("u", 256) + "\r\nX-Session-Name: " + strings.Repeat("n", 256) + "\r\n"
	v, _, _ := startCached(t, startFake(t, says("HTTP/1.1 200 OK\r\n"+told+"Content-Length: 0\r\n\r\n"), status(200)), "    cache: 10s\n")
	for size := 50; size < 7500; size += 50 {
		for range 3 {
			got := v.send(t, request{target: "/live/index.m3u8?token=" + strings.Repeat("1", size), header: http.Header{"User-Agent": {strings.Repeat("a", 300)}}})
			if got.status != 200 {
				t.Fatalf("a query of %d bytes: status %d", size, got.status)
			}
		}
	}
	if log := v.edge.Log(t); strings.Contains(log, "[error]") {
		t.Errorf("nginx complains: %.500s", log)
	}
}

package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// written is a log that a test reads.
type written struct {
	tel *Telemetry
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func (w *written) String() string {
	w.tel.Flush()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// lines are the lines of a JSON log, decoded.
func (w *written) lines(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(w.String()) {
		fields := map[string]any{}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%q is no JSON: %v", line, err)
		}
		all = append(all, fields)
	}
	return all
}

func started(t testing.TB, c Config) (*Telemetry, *written) {
	t.Helper()
	w := &written{}
	c.Writer = w
	tel, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	w.tel = tel
	return tel, w
}

func viewer() *check.Request {
	return &check.Request{
		Proxy: "nginx", Method: "GET", Scheme: "https", Host: "tv.example.com", Path: "/live/index.m3u8",
		Query: "token=hunter2&quality=hd", Addr: netip.MustParseAddr("192.0.2.7"), UserAgent: "VLC/3.0.20",
	}
}

var errRefused = errors.New("connect: connection refused")

func denied() check.Decision {
	return check.Decision{Reason: check.Backend, Route: "live", Outcome: check.Outcome{
		Verdict: check.Denied, Backend: "portal", Status: 403,
	}}
}

func TestADenialIsOneLineWithoutTheToken(t *testing.T) {
	tel, w := started(t, Config{})
	tel.Record(viewer(), denied(), 1234567*time.Nanosecond)
	lines := w.lines(t)
	if len(lines) != 1 {
		t.Fatalf("want one line, got %v", lines)
	}
	got := lines[0]
	delete(got, "time")
	want := map[string]any{
		"level": "info", "message": "check", "proxy": "nginx", "route": "live", "decision": "deny", "reason": "backend",
		"method": "GET", "host": "tv.example.com", "path": "/live/index.m3u8", "query": "token=***&quality=***",
		"addr": "192.0.2.7", "user_agent": "VLC/3.0.20", "backend": "portal", "status": 403.0, "took_ms": 1.234,
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: got %v, want %v", name, got[name], want[name])
		}
	}
}

func TestWhatIsLoggedDependsOnTheDecisionAndTheLevel(t *testing.T) {
	allowed := check.Decision{Allow: true, Reason: check.Backend}
	byDefault := check.Decision{Allow: true, Reason: check.Default}
	for _, test := range []struct {
		level string
		d     check.Decision
		want  any
	}{
		{"info", allowed, nil},
		{"debug", allowed, "debug"},
		{"info", byDefault, "warn"},
		{"warn", byDefault, "warn"},
		{"error", byDefault, nil},
		{"info", denied(), "info"},
		{"warn", denied(), nil},
		{"warn", check.Deny(check.Default), "warn"},
		{"warn", check.Decision{Allow: true, Reason: check.Grace}, "warn"},
		{"info", check.Decision{Allow: true, Reason: check.Session}, nil},
		{"debug", check.Decision{Allow: true, Reason: check.Session}, "debug"},
		{"info", check.Deny(check.RecentDenial), nil},
		{"debug", check.Deny(check.RecentDenial), "debug"},
		{"info", check.Deny(check.Revoked), "info"},
		{"warn", check.Deny(check.Unanswered), "warn"},
		{"warn", check.Deny(check.BadCheck), "warn"},
		{"warn", check.Deny(check.Malformed), nil},
		{"info", check.Decision{}, "info"},
	} {
		tel, w := started(t, Config{Level: test.level})
		tel.Record(&check.Request{}, test.d, 0)
		var got any
		if lines := w.lines(t); len(lines) == 1 {
			got = lines[0]["level"]
		} else if len(lines) > 1 {
			t.Errorf("%s: %d lines", test.level, len(lines))
		}
		if got != test.want {
			t.Errorf("at %s, %s for %q: line at %v, want %v", test.level, test.d.Word(), test.d.Reason, got, test.want)
		}
	}
}

func TestTheLevelCanBeChangedWhileServing(t *testing.T) {
	tel, w := started(t, Config{Level: "error"})
	log := tel.Log()
	log.Info().Msg("not seen")
	if err := tel.SetLevel("debug"); err != nil {
		t.Fatal(err)
	}
	log.Debug().Msg("seen")
	if err := tel.SetLevel("loud"); err == nil || !strings.Contains(err.Error(), "debug, info, warn or error") {
		t.Errorf("an unknown level: %v", err)
	}
	log.Debug().Msg("still seen")
	if got := w.lines(t); len(got) != 2 || got[0]["message"] != "seen" {
		t.Errorf("got %v", got)
	}
}

func TestAnUnknownLevelOrFormatIsAnError(t *testing.T) {
	for _, c := range []Config{{Level: "loud"}, {Level: "INFO"}, {Format: "xml"}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestAFloodIsSampledForEachReasonAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel, w := started(t, Config{})
		for range 500 {
			tel.Record(viewer(), denied(), 0)
		}
		tel.Record(viewer(), check.Deny(check.NoRoute), 0)
		if got := len(w.lines(t)); got != linesPerSecond+1 {
			t.Errorf("%d lines, want %d of the flood and one of the other reason", got, linesPerSecond)
		}
		time.Sleep(summaryAfter)
		synctest.Wait()
		lines := w.lines(t)
		last := lines[len(lines)-1]
		if last["left_out"] != 490.0 || last["reason"] != "backend" || len(lines) != linesPerSecond+2 {
			t.Errorf("after the flood: %d lines, the last %v", len(lines), last)
		}
		tel.Record(viewer(), denied(), 0)
		if got := len(w.lines(t)); got != linesPerSecond+3 {
			t.Errorf("after the flood a denial is not logged: %d lines", got)
		}
	})
}

func TestABackendThatTurnsIsLoggedWithHowLongItWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel, w := started(t, Config{})
		turned := check.Turned{Backend: "portal", Address: "http://10.0.0.5:80"}
		there := turned
		there.There, there.Up = true, true
		away := turned
		away.Err = errRefused
		tel.Notify(there)
		tel.Notify(away)
		time.Sleep(90 * time.Second)
		tel.Notify(there)
		lines := w.lines(t)
		if len(lines) != 3 {
			t.Fatalf("got %v", lines)
		}
		if lines[1]["level"] != "warn" || lines[1]["error"] != errRefused.Error() || lines[1]["address"] != turned.Address {
			t.Errorf("away: %v", lines[1])
		}
		if lines[0]["away_s"] != nil || lines[2]["away_s"] != 90.0 || lines[2]["level"] != "info" {
			t.Errorf("there: %v, %v", lines[0], lines[2])
		}
	})
}

func TestAnAddressThatIsAwayBesideAnotherIsNotTheBackendBeingAway(t *testing.T) {
	tel, w := started(t, Config{})
	tel.Notify(check.Turned{Backend: "portal", Address: "http://10.0.0.5:80", Up: true})
	if !strings.Contains(w.String(), "other addresses are asked") {
		t.Errorf("got %s", w)
	}
}

func TestAShortDeadlineAndARejectedConfigAreLogged(t *testing.T) {
	tel, w := started(t, Config{})
	tel.Notify(check.ShortDeadline{Proxy: "envoy-grpc", Backend: "portal", Deadline: 200 * time.Millisecond, Timeout: 2 * time.Second})
	tel.Reloaded(errors.Join(errors.New("config.yaml:3:4: one mistake"), errors.New("config.yaml:5:1: another")))
	tel.Reloaded(nil)
	lines := w.lines(t)
	if lines[0]["level"] != "warn" || lines[0]["deadline_ms"] != 200.0 || lines[0]["timeout_ms"] != 2000.0 {
		t.Errorf("short deadline: %v", lines[0])
	}
	if lines[1]["level"] != "error" || lines[1]["error"] != "config.yaml:3:4: one mistake; config.yaml:5:1: another" {
		t.Errorf("rejected: %v", lines[1])
	}
	if lines[2]["level"] != "info" {
		t.Errorf("taken: %v", lines[2])
	}
}

func TestAnOperatorIsToldThatALimitCountsNobody(t *testing.T) {
	tel, w := started(t, Config{})
	tel.Notify(check.NamelessUsers{Backend: "portal"})
	if line := w.lines(t)[0]; line["level"] != "warn" || line["backend"] != "portal" || !strings.Contains(line["message"].(string), "X-UserId") {
		t.Errorf("got %v", line)
	}
}

func TestQuestionsThatAreTurnedAwayAreLoggedWithWhatToDo(t *testing.T) {
	tel, w := started(t, Config{})
	bound := errors.New("as many as limits.questions are under way")
	addr := netip.MustParseAddr("203.0.113.7")
	tel.Notify(check.TurnedAway{Backend: "portal", Addr: addr, Err: bound})
	tel.Notify(check.TurnedAway{Backend: "portal", Addr: addr, Err: bound, Address: true})
	lines := w.lines(t)
	for i, advice := range []string{"raise limits.questions", "limits.addresses"} {
		l := lines[i]
		message, _ := l["message"].(string)
		if l["level"] != "warn" || l["backend"] != "portal" || l["addr"] != "203.0.113.7" || l["error"] != bound.Error() ||
			!strings.Contains(message, advice) {
			t.Errorf("got %v, want advice with %q", l, advice)
		}
	}
}

func TestAnAllowCostsNoAllocation(t *testing.T) {
	tel, _ := started(t, Config{})
	r, d := viewer(), check.Decision{Allow: true, Reason: check.Backend, Route: "live"}
	tel.Record(r, d, time.Millisecond)
	if got := testing.AllocsPerRun(100, func() { tel.Record(r, d, time.Millisecond) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkRecordAllow(b *testing.B) {
	tel, _ := started(b, Config{})
	r, d := viewer(), check.Decision{Allow: true, Reason: check.Backend, Route: "live"}
	b.ReportAllocs()
	for b.Loop() {
		tel.Record(r, d, time.Millisecond)
	}
}

// scrape is what Prometheus gets, as text.
func scrape(t *testing.T, tel *Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

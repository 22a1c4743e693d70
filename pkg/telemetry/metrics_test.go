package telemetry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/altagate/altagate/pkg/check"
)

// has fails for each line that a scrape lacks.
func has(t *testing.T, scraped string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+scraped, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}

func TestAllSeriesAreThereAtZeroFromTheStart(t *testing.T) {
	tel, _ := started(t, Config{Version: "v1", Commit: "abc"})
	tel.Configured(Names{Proxies: []string{"nginx"}, Routes: []string{"live"}, Backends: []string{"portal"}})
	has(t, scrape(t, tel),
		`altagate_checks_total{decision="allow",proxy="nginx",reason="backend",route="live"} 0`,
		`altagate_checks_total{decision="allow",proxy="nginx",reason="default",route="live"} 0`,
		`altagate_checks_total{decision="deny",proxy="nginx",reason="unanswered",route="live"} 0`,
		`altagate_checks_total{decision="allow",proxy="nginx",reason="session",route="live"} 0`,
		`altagate_checks_total{decision="allow",proxy="nginx",reason="grace",route="live"} 0`,
		`altagate_checks_total{decision="deny",proxy="nginx",reason="recent-denial",route="live"} 0`,
		`altagate_checks_total{decision="deny",proxy="nginx",reason="revoked",route="live"} 0`,
		`altagate_sessions{route="live"} 0`,
		`altagate_checks_total{decision="deny",proxy="nginx",reason="malformed",route="none"} 0`,
		`altagate_check_duration_seconds_bucket{proxy="nginx",le="5e-05"} 0`,
		`altagate_check_duration_seconds_bucket{proxy="nginx",le="5"} 0`,
		`altagate_backend_requests_total{backend="portal",outcome="unavailable"} 0`,
		`altagate_backend_request_duration_seconds_count{backend="portal"} 0`,
		`altagate_backend_up{backend="portal"} 0`,
		`altagate_config_reloads_total{result="ok"} 0`,
		`altagate_config_reloads_total{result="error"} 0`,
	)
}

func TestWhatHappensIsCounted(t *testing.T) {
	tel, _ := started(t, Config{Version: "v1", Commit: "abc"})
	tel.Record(viewer(), denied(), 3*time.Millisecond)
	tel.Record(viewer(), check.Deny(check.NoRoute), time.Millisecond)
	tel.Notify(check.Asked{Backend: "portal", Verdict: check.Allowed, Took: 20 * time.Millisecond})
	tel.Notify(check.Turned{Backend: "portal", There: true, Up: true})
	tel.Notify(check.Turned{Backend: "spare"})
	tel.Reloaded(nil)
	tel.Reloaded(errRefused)
	scraped := scrape(t, tel)
	has(t, scraped,
		`altagate_checks_total{decision="deny",proxy="nginx",reason="backend",route="live"} 1`,
		`altagate_checks_total{decision="deny",proxy="nginx",reason="no-route",route="none"} 1`,
		`altagate_check_duration_seconds_bucket{proxy="nginx",le="0.0025"} 1`,
		`altagate_check_duration_seconds_count{proxy="nginx"} 2`,
		`altagate_backend_requests_total{backend="portal",outcome="allow"} 1`,
		`altagate_backend_request_duration_seconds_bucket{backend="portal",le="0.01"} 0`,
		`altagate_backend_request_duration_seconds_bucket{backend="portal",le="0.025"} 1`,
		`altagate_backend_up{backend="portal"} 1`,
		`altagate_backend_up{backend="spare"} 0`,
		`altagate_config_reloads_total{result="ok"} 1`,
		`altagate_config_reloads_total{result="error"} 1`,
	)
	for _, name := range []string{`altagate_build_info{commit="abc",go_version="go`, "\ngo_goroutines ", "\nprocess_open_fds "} {
		if !strings.Contains(scraped, name) {
			t.Errorf("no %s", name)
		}
	}
}

func TestSeriesOfRemovedNamesGoAndTheOthersKeepTheirValues(t *testing.T) {
	tel, _ := started(t, Config{})
	both := Names{Proxies: []string{"nginx"}, Routes: []string{"live", "vod"}, Backends: []string{"portal", "spare"}}
	tel.Configured(both)
	tel.Record(viewer(), denied(), 0)
	tel.Record(viewer(), check.Deny(check.NoRoute), 0)
	tel.Notify(check.Asked{Backend: "spare"})
	tel.Configured(Names{Proxies: both.Proxies, Routes: []string{"live"}, Backends: []string{"portal"}})
	scraped := scrape(t, tel)
	for _, name := range []string{`"vod"`, `"spare"`} {
		if strings.Contains(scraped, name) {
			t.Errorf("series of %s are still there", name)
		}
	}
	has(t, scraped,
		`altagate_checks_total{decision="deny",proxy="nginx",reason="backend",route="live"} 1`,
		`altagate_checks_total{decision="deny",proxy="nginx",reason="no-route",route="none"} 1`,
	)
	tel.Configured(both)
	has(t, scrape(t, tel), `altagate_backend_requests_total{backend="spare",outcome="unavailable"} 0`)
}

func TestNothingOfAViewerBecomesALabel(t *testing.T) {
	tel, _ := started(t, Config{})
	r := viewer()
	r.Method, r.Route, r.Host, r.Path, r.Query, r.UserAgent = "EVIL1", "evil2", "evil3", "/evil4", "evil5", "evil6"
	tel.Record(r, check.Deny(check.NoRoute), 0)
	if scraped := strings.ToLower(scrape(t, tel)); strings.Contains(scraped, "evil") {
		t.Error("a viewer's text is in the metrics")
	}
}

func TestNativeHistogramsAreServedToAScraperThatKnowsThem(t *testing.T) {
	tel, _ := started(t, Config{})
	tel.Record(viewer(), denied(), time.Millisecond)
	families, err := tel.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "altagate_check_duration_seconds" {
			continue
		}
		h := family.GetMetric()[0].GetHistogram()
		if len(h.GetPositiveSpan()) == 0 || len(h.GetBucket()) == 0 {
			t.Errorf("native spans %v, classic buckets %v", h.GetPositiveSpan(), h.GetBucket())
		}
		return
	}
	t.Error("no check durations")
}

func TestAForgottenCollectorIsAnErrorAtTheStart(t *testing.T) {
	c := newCollected()
	c.Go = nil
	if err := register(prometheus.NewRegistry(), c); err == nil {
		t.Error("a field without a collector is taken")
	}
}

func TestManyChecksReloadsAndScrapesAtOnceLoseNoCount(t *testing.T) {
	tel, _ := started(t, Config{})
	names := Names{Proxies: []string{"nginx"}, Routes: []string{"live"}, Backends: []string{"portal"}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				tel.Record(viewer(), denied(), 0)
				tel.Notify(check.Asked{Backend: "portal", Verdict: check.Denied})
				tel.Configured(names)
			}
			tel.Metrics().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
		})
	}
	all.Wait()
	has(t, scrape(t, tel),
		`altagate_checks_total{decision="deny",proxy="nginx",reason="backend",route="live"} 800`)
}

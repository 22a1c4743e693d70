package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

func TestADenialThatWasLetPassIsCountedAndLoggedByItsOwnReason(t *testing.T) {
	tel, log := started(t, Config{})
	tel.Configured(Names{Proxies: []string{"nginx"}, Routes: []string{"live", "rest"}, Observed: []string{"live"}})
	tel.Record(viewer(), check.Decision{
		Allow: true, Reason: check.Observe, Observed: check.Backend, Route: "live", Outcome: check.Outcome{Backend: "portal", Status: 403},
	}, time.Millisecond)
	tel.Record(viewer(), check.Decision{Allow: true, Reason: check.Observe, Observed: check.RecentDenial, Route: "live"}, time.Millisecond)
	scraped := scrape(t, tel)
	has(t, scraped,
		`altagate_checks_total{decision="allow",proxy="nginx",reason="observe",route="live"} 2`,
		`altagate_checks_total{decision="deny",proxy="nginx",reason="backend",route="live"} 0`,
		`altagate_observed_denials_total{reason="backend",route="live"} 1`,
		`altagate_observed_denials_total{reason="recent-denial",route="live"} 1`,
		`altagate_observed_denials_total{reason="late",route="live"} 0`,
	)
	lacks(t, scraped, `altagate_observed_denials_total{reason="backend",route="rest"}`)
	lines := log.lines(t)
	if len(lines) != 1 {
		t.Fatalf("%d lines, want that of the first: the other is a player in a loop", len(lines))
	}
	for field, want := range map[string]any{
		"level": "info", "decision": "allow", "reason": "observe", "would_deny": "backend", "route": "live", "backend": "portal",
	} {
		if lines[0][field] != want {
			t.Errorf("%s is %v, want %v", field, lines[0][field], want)
		}
	}
	tel.Configured(Names{Proxies: []string{"nginx"}, Routes: []string{"rest"}})
	lacks(t, scrape(t, tel), `altagate_observed_denials_total{reason="backend",route="live"}`)
}

func lacks(t *testing.T, scraped, series string) {
	t.Helper()
	if strings.Contains(scraped, series) {
		t.Errorf("there is a series %s", series)
	}
}

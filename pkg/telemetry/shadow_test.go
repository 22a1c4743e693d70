package telemetry

import (
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/check"
)

func TestWhatAShadowBackendWouldDecideIsCountedAndOnlyADisagreementLogged(t *testing.T) {
	tel, log := started(t, Config{})
	tel.Configured(Names{Routes: []string{"live"}, Backends: []string{"next"}, Shadows: map[string][]string{"live": {"next"}}})
	report := func(own, shadow check.Verdict, dropped bool) {
		r := viewer()
		r.Query = "token=s3cret"
		tel.Notify(check.Shadowed{Route: "live", Backend: "next", Request: r, Own: own, Shadow: shadow, Dropped: dropped, Status: 403, Session: "abc"})
	}
	report(check.Allowed, check.Allowed, false)
	report(check.Allowed, check.Denied, false)
	report(check.Denied, check.Unavailable, false)
	report(check.Unavailable, check.Allowed, false)
	report(check.Denied, check.Unavailable, true)
	has(t, scrape(t, tel),
		`altagate_shadow_total{backend="next",outcome="allow",route="live",shadow="allow"} 1`,
		`altagate_shadow_total{backend="next",outcome="allow",route="live",shadow="deny"} 1`,
		`altagate_shadow_total{backend="next",outcome="deny",route="live",shadow="unavailable"} 1`,
		`altagate_shadow_total{backend="next",outcome="deny",route="live",shadow="dropped"} 1`,
		`altagate_shadow_total{backend="next",outcome="unavailable",route="live",shadow="allow"} 1`,
		`altagate_shadow_total{backend="next",outcome="deny",route="live",shadow="allow"} 0`,
	)
	lines := log.lines(t)
	if len(lines) != 1 || strings.Contains(log.String(), "s3cret") {
		t.Fatalf("logged %s", log.String())
	}
	for field, want := range map[string]any{
		"route": "live", "backend": "next", "outcome": "allow", "shadow": "deny", "status": 403.0, "session": "abc", "query": "token=***",
	} {
		if lines[0][field] != want {
			t.Errorf("%s is %v, want %v", field, lines[0][field], want)
		}
	}
	tel.Configured(Names{Routes: []string{"live"}, Backends: []string{"next"}})
	lacks(t, scrape(t, tel), "altagate_shadow_total")
}

func TestThatAShadowBackendIsAwayIsNotSaidToDecide(t *testing.T) {
	tel, log := started(t, Config{})
	tel.Configured(Names{Backends: []string{"portal", "next"}, Shadows: map[string][]string{"live": {"next"}}})
	tel.Notify(check.Turned{Backend: "next", Address: "http://10.0.0.6"})
	tel.Notify(check.Turned{Backend: "portal", Address: "http://10.0.0.5"})
	lines := log.lines(t)
	if len(lines) != 2 || lines[0]["message"] != "shadow backend is away: it decides nothing" || lines[1]["message"] != "backend is away: the policy decides" {
		t.Errorf("logged %s", log.String())
	}
}

func TestAFloodOfDisagreementsIsSampled(t *testing.T) {
	tel, log := started(t, Config{})
	for range 1000 {
		tel.Notify(check.Shadowed{Route: "live", Backend: "next", Request: viewer(), Own: check.Allowed, Shadow: check.Denied})
	}
	if n := strings.Count(log.String(), "disagrees"); n < 1 || n > 200 {
		t.Errorf("%d lines", n)
	}
}

package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/altagate/altagate/pkg/check"
)

// shadowKey is what a route's own backends made of a question, and what one of its
// shadow backends did.
type shadowKey struct {
	route, backend string
	own, shadow    check.Verdict
	dropped        bool
}

// word is what the shadow made of the question, as the metric spells it.
func (k shadowKey) word() string {
	if k.dropped {
		return "dropped"
	}
	return k.shadow.String()
}

func (m *metrics) shadow(e check.Shadowed) {
	k := shadowKey{route: e.Route, backend: e.Backend, own: e.Own, shadow: e.Shadow}
	if e.Dropped {
		k.shadow, k.dropped = check.Unavailable, true
	}
	m.shadows.get(k).Inc()
}

// configuredShadows makes the series of shadows, and removes those of others.
func (m *metrics) configuredShadows(shadows map[string][]string) {
	gone := func(k shadowKey) bool { return !slices.Contains(shadows[k.route], k.backend) }
	for _, k := range m.shadows.drop(gone) {
		m.collected.Shadow.DeletePartialMatch(prometheus.Labels{"route": k.route, "backend": k.backend})
	}
	verdicts := []check.Verdict{check.Allowed, check.Denied, check.Unavailable}
	for route, backends := range shadows {
		for _, backend := range backends {
			for _, own := range verdicts {
				m.shadows.get(shadowKey{route: route, backend: backend, own: own, dropped: true})
				for _, shadow := range verdicts {
					m.shadows.get(shadowKey{route: route, backend: backend, own: own, shadow: shadow})
				}
			}
		}
	}
}

// logShadowed writes a line, or under many a sample, where a shadow backend would
// have decided otherwise. That one of the two gave no answer is no disagreement: the
// metrics count it.
func (t *Telemetry) logShadowed(e check.Shadowed) {
	if e.Own == e.Shadow || e.Own == check.Unavailable || e.Shadow == check.Unavailable ||
		!t.samples.take(sample{shadow: true, allow: e.Own == check.Allowed}) {
		return
	}
	line := t.aside.Info()
	text(line, "route", e.Route, maxText)
	text(line, "backend", e.Backend, maxText)
	line.Str("outcome", e.Own.String()).Str("shadow", e.Shadow.String()).Int("status", e.Status)
	path, query := pathAndQuery(e.Request)
	text(line, "host", e.Request.Host, maxText)
	text(line, "path", path, maxPath)
	text(line, "query", query, maxPath)
	if e.Request.Addr.IsValid() {
		line.Str("addr", e.Request.Addr.String())
	}
	text(line, "user_agent", e.Request.UserAgent, maxText)
	text(line, "session", e.Session, maxText)
	line.Msg("the shadow backend disagrees: it would have decided otherwise")
}

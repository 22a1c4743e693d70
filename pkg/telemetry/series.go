package telemetry

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/altagate/altagate/pkg/check"
)

// configured makes the series of n and removes those of other routes and backends.
// Sessions of a removed route are still counted, until the last one ended. A question to a removed backend that ends later brings its series back, until
// the next reload.
func (m *metrics) configured(n Names) {
	m.dropRoutes(n.Routes)
	m.dropBackends(n.Backends)
	m.sessions.configured(n.Routes)
	m.configuredShadows(n.Shadows)
	for _, proxy := range n.Proxies {
		m.checkTimes.get(proxy)
		for _, reason := range []check.Reason{check.NoRoute, check.BadCheck, check.Malformed} {
			m.checks.get(checkKey{proxy, noRoute, false, reason})
		}
		for _, route := range n.Routes {
			m.route(proxy, route)
		}
	}
	for _, route := range n.Observed {
		for _, proxy := range n.Proxies {
			m.checks.get(checkKey{proxy, route, true, check.Observe})
		}
		for _, reason := range denials() {
			m.observed.get(observedKey{route, reason})
		}
	}
	for _, backend := range n.Backends {
		m.backendsThere.get(backend)
		m.requestTimes.get(backend)
		for _, verdict := range []check.Verdict{check.Allowed, check.Denied, check.Unavailable} {
			m.requests.get(requestKey{backend, verdict})
		}
	}
}

func (m *metrics) route(proxy, route string) {
	for _, reason := range []check.Reason{check.Backend, check.Default, check.Session, check.Grace, check.Rule} {
		m.checks.get(checkKey{proxy, route, true, reason})
	}
	for _, reason := range denials() {
		m.checks.get(checkKey{proxy, route, false, reason})
	}
}

// denials are the reasons for which a route denies.
func denials() []check.Reason {
	return []check.Reason{
		check.Backend, check.Default, check.RecentDenial, check.Revoked, check.Unanswered, check.Late, check.Overload,
		check.Rule, check.Limit,
	}
}

func (m *metrics) dropRoutes(kept []string) {
	for _, k := range m.checks.drop(func(k checkKey) bool {
		return k.route != noRoute && !slices.Contains(kept, k.route)
	}) {
		m.collected.Checks.DeletePartialMatch(prometheus.Labels{"route": k.route})
	}
	for _, k := range m.observed.drop(func(k observedKey) bool { return !slices.Contains(kept, k.route) }) {
		m.collected.Observed.DeletePartialMatch(prometheus.Labels{"route": k.route})
	}
}

func (m *metrics) dropBackends(kept []string) {
	gone := func(backend string) bool { return !slices.Contains(kept, backend) }
	for _, k := range m.requests.drop(func(k requestKey) bool { return gone(k.backend) }) {
		m.collected.Requests.DeletePartialMatch(prometheus.Labels{"backend": k.backend})
	}
	for _, backend := range m.requestTimes.drop(gone) {
		m.collected.RequestDuration.DeleteLabelValues(backend)
	}
	for _, backend := range m.backendsThere.drop(gone) {
		m.collected.Up.DeleteLabelValues(backend)
	}
}

// handles remembers what find gave for a key. Reading takes no lock and
// allocates nothing; the map is copied when a key is new, which is rare because
// keys are made of the operator's names and of constants. The zero value with a
// find is ready.
type handles[K comparable, V any] struct {
	find  func(K) V
	mu    sync.Mutex
	known atomic.Pointer[map[K]V]
}

func (h *handles[K, V]) get(key K) V {
	if known := h.known.Load(); known != nil {
		if v, ok := (*known)[key]; ok {
			return v
		}
	}
	return h.add(key)
}

func (h *handles[K, V]) add(key K) V {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := make(map[K]V)
	if old := h.known.Load(); old != nil {
		maps.Copy(known, *old)
	}
	v, ok := known[key]
	if !ok {
		v = h.find(key)
		known[key] = v
		h.known.Store(&known)
	}
	return v
}

// drop forgets the keys that gone is true for, and gives them back.
func (h *handles[K, V]) drop(gone func(K) bool) []K {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.known.Load()
	if old == nil {
		return nil
	}
	known := maps.Clone(*old)
	var dropped []K
	for key := range *old {
		if gone(key) {
			delete(known, key)
			dropped = append(dropped, key)
		}
	}
	h.known.Store(&known)
	return dropped
}

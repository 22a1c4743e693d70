package telemetry

import (
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/altagate/altagate/pkg/check"
)

// collected is every metric that altagate has. A field is all that a new one
// needs: register walks them, so that none is forgotten.
type collected struct {
	Checks          *prometheus.CounterVec
	CheckDuration   *prometheus.HistogramVec
	Observed        *prometheus.CounterVec
	Requests        *prometheus.CounterVec
	RequestDuration *prometheus.HistogramVec
	Shadow          *prometheus.CounterVec
	Up              *prometheus.GaugeVec
	Sessions        *prometheus.GaugeVec
	ViewersHidden   prometheus.Gauge
	StateWritable   *prometheus.GaugeVec
	Reloads         *prometheus.CounterVec
	CertsNotAfter   *prometheus.GaugeVec
	CertsStale      *prometheus.GaugeVec
	CertsReloads    *prometheus.CounterVec
	SessionsLimit   prometheus.Gauge
	Build           *prometheus.GaugeVec
	Go              prometheus.Collector
	Process         prometheus.Collector
}

// noRoute is the label of a check that no route decided.
const noRoute = "none"

// metrics is the registry, and for each label set in use a handle to its
// series: looking one up in a vec hashes the labels and allocates.
type metrics struct {
	registry  *prometheus.Registry
	collected collected

	checks        handles[checkKey, prometheus.Counter]
	checkTimes    handles[string, prometheus.Observer]
	observed      handles[observedKey, prometheus.Counter]
	requests      handles[requestKey, prometheus.Counter]
	shadows       handles[shadowKey, prometheus.Counter]
	requestTimes  handles[string, prometheus.Observer]
	backendsThere handles[string, prometheus.Gauge]
	sessions      watching
	// certs are the names of the certificates that are shown.
	certs map[string]bool
}

type checkKey struct {
	proxy, route string
	allow        bool
	reason       check.Reason
}

// observedKey is a denial that a route, which only observes, let pass.
type observedKey struct {
	route  string
	reason check.Reason
}

type requestKey struct {
	backend string
	verdict check.Verdict
}

func newMetrics(version, commit string) (*metrics, error) {
	m := &metrics{registry: prometheus.NewRegistry(), collected: newCollected()}
	if err := register(m.registry, m.collected); err != nil {
		return nil, err
	}
	c := m.collected
	m.checks.find = func(k checkKey) prometheus.Counter {
		d := check.Decision{Allow: k.allow}
		return c.Checks.WithLabelValues(k.proxy, k.route, d.Word(), string(k.reason))
	}
	m.checkTimes.find = func(proxy string) prometheus.Observer { return c.CheckDuration.WithLabelValues(proxy) }
	m.observed.find = func(k observedKey) prometheus.Counter { return c.Observed.WithLabelValues(k.route, string(k.reason)) }
	m.requests.find = func(k requestKey) prometheus.Counter {
		return c.Requests.WithLabelValues(k.backend, k.verdict.String())
	}
	m.shadows.find = func(k shadowKey) prometheus.Counter {
		return c.Shadow.WithLabelValues(k.route, k.backend, k.own.String(), k.word())
	}
	m.requestTimes.find = func(backend string) prometheus.Observer { return c.RequestDuration.WithLabelValues(backend) }
	m.backendsThere.find = func(backend string) prometheus.Gauge { return c.Up.WithLabelValues(backend) }
	m.sessions = watching{gauge: c.Sessions, counts: make(map[string]int)}
	c.Build.WithLabelValues(version, commit, runtime.Version()).Set(1)
	c.Reloads.WithLabelValues(reloadOK)
	c.Reloads.WithLabelValues(reloadFailed)
	c.CertsReloads.WithLabelValues(reloadOK)
	c.CertsReloads.WithLabelValues(reloadFailed)
	return m, nil
}

const (
	reloadOK     = "ok"
	reloadFailed = "error"
)

func newCollected() collected {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	return collected{
		Checks: counter("altagate_checks_total",
			"Checks decided, by proxy, deciding route (none: no route did), decision (allow, deny) and reason.",
			"proxy", "route", "decision", "reason"),
		CheckDuration: seconds("altagate_check_duration_seconds",
			"Time from a check's arrival to its decision, by proxy.", "proxy"),
		Observed: counter("altagate_observed_denials_total",
			"Checks that were allowed because their route only observes, by the reason of the denial that it would have been.",
			"route", "reason"),
		Requests: counter("altagate_backend_requests_total",
			"Questions put to a backend, by outcome (allow, deny, unavailable). Probes are not counted.",
			"backend", "outcome"),
		RequestDuration: seconds("altagate_backend_request_duration_seconds",
			"Time of a question to a backend, all its addresses included.", "backend"),
		Shadow: counter("altagate_shadow_total",
			"Questions that a shadow backend was asked too, by the outcome that decided (allow, deny, unavailable) "+
				"and the shadow's (the same, or dropped: it had enough to do).",
			"route", "backend", "outcome", "shadow"),
		Up: gauge("altagate_backend_up",
			"1 if altagate's own probe finds any address of the backend there, else 0.", "backend"),
		Sessions: gauge("altagate_sessions",
			"Sessions that live, provisional ones included.", "route"),
		ViewersHidden: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "altagate_viewers_hidden",
			Help: "1 while one address holds more than half of at least 200 sessions: the proxy probably hides its viewers. Else 0.",
		}),
		// Without labels, so that there is none where no state file is used.
		StateWritable: gauge("altagate_state_writable",
			"1 while sessions can be written to the state file, else 0. Absent without a state file."),
		Reloads: counter("altagate_config_reloads_total",
			"Changed configs, by result (ok: in force; error: the old one stays in force).", "result"),
		CertsNotAfter: gauge("altagate_certificate_not_after_seconds",
			"When a certificate in force runs out, in Unix time, by the config's key that names it.", "certificate"),
		CertsStale: gauge("altagate_certificate_stale",
			"1 while the files of a certificate hold something that cannot be used and the old stays in force, else 0.", "certificate"),
		CertsReloads: counter("altagate_certificate_reloads_total",
			"Changed files of certificates, by result (ok: in force; error: the old ones stay in force).", "result"),
		SessionsLimit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "altagate_sessions_limit",
			Help: "How many sessions are held at most, all routes together.",
		}),
		Build: gauge("altagate_build_info",
			"Always 1; the labels tell what was built.", "version", "commit", "go_version"),
		Go:      collectors.NewGoCollector(),
		Process: collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
}

// seconds is a histogram from 50 µs, about what a check with nothing to ask
// costs, to 5 s, the longest that a check waits. A scraper that knows native
// histograms gets one with about 10 % resolution as well.
func seconds(name, help, label string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets: []float64{
			50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5,
		},
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, []string{label})
}

// register registers each field of c.
func register(registry *prometheus.Registry, c collected) error {
	fields := reflect.ValueOf(c)
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Name
		field, ok := fields.Field(i).Interface().(prometheus.Collector)
		if !ok {
			return fmt.Errorf("registering metrics: field %s is no collector", name)
		}
		if err := registry.Register(field); err != nil {
			return fmt.Errorf("registering metric %s: %w", name, err)
		}
	}
	return nil
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

func (m *metrics) check(r *check.Request, d check.Decision, took time.Duration) {
	route := d.Route
	if route == "" {
		route = noRoute
	}
	m.checks.get(checkKey{r.Proxy, route, d.Allow, d.Reason}).Inc()
	if d.Reason == check.Observe {
		m.observed.get(observedKey{route, d.Observed}).Inc()
	}
	m.checkTimes.get(r.Proxy).Observe(took.Seconds())
}

func (m *metrics) asked(e check.Asked) {
	m.requests.get(requestKey{e.Backend, e.Verdict}).Inc()
	m.requestTimes.get(e.Backend).Observe(e.Took.Seconds())
}

func (m *metrics) turned(e check.Turned) {
	m.backendsThere.get(e.Backend).Set(oneIf(e.Up))
}

func (m *metrics) reloaded(err error) {
	result := reloadOK
	if err != nil {
		result = reloadFailed
	}
	m.collected.Reloads.WithLabelValues(result).Inc()
}

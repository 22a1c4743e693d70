package telemetry

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/altagate/altagate/pkg/check"
)

// watching counts the sessions of each route. A route that is no longer in the
// config keeps its series until its last session has ended. Events of one
// session may come in either order, so a count may be below 0 for a moment.
type watching struct {
	gauge *prometheus.GaugeVec

	mu     sync.Mutex
	counts map[string]int
	routes []string
}

func (w *watching) add(route string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[route] += n
	w.show(route)
}

// configured makes the series of the routes given, and removes those of other
// routes without sessions.
func (w *watching) configured(routes []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.routes
	w.routes = slices.Clone(routes)
	for _, route := range slices.Concat(before, routes) {
		w.show(route)
	}
}

func (w *watching) show(route string) {
	count := w.counts[route]
	if count == 0 {
		delete(w.counts, route)
		if !slices.Contains(w.routes, route) {
			w.gauge.DeleteLabelValues(route)
			return
		}
	}
	w.gauge.WithLabelValues(route).Set(float64(max(count, 0)))
}

func (m *metrics) viewersHidden(hidden bool) {
	m.collected.ViewersHidden.Set(oneIf(hidden))
}

func (m *metrics) stateWritable(writable bool) {
	m.collected.StateWritable.WithLabelValues().Set(oneIf(writable))
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// logStarted writes the line of a session's start. Sessions that were kept over a
// restart have had theirs, and come all at once: of them a sample is written.
func (t *Telemetry) logStarted(e check.SessionStarted) {
	if !t.enabled(zerolog.InfoLevel) {
		return
	}
	if !e.Restored {
		described(t.lasting.Info(), &e.SessionInfo).Msg("session started")
		return
	}
	if t.samples.take(sample{restored: true}) {
		described(t.aside.Info(), &e.SessionInfo).Bool("restored", true).Msg("session restored")
	}
}

// logEnded writes the line that bills and complaints are settled by. It comes when
// the session's grace is over too, so the time of the last request is in it.
func (t *Telemetry) logEnded(e check.SessionEnded) {
	if !t.enabled(zerolog.InfoLevel) {
		return
	}
	duration := max(e.Last.Sub(e.Started), 0).Round(time.Millisecond)
	described(t.lasting.Info(), &e.SessionInfo).
		Str("started", e.Started.UTC().Format(timeLayout)).
		Str("last_request", e.Last.UTC().Format(timeLayout)).
		Float64("duration_s", duration.Seconds()).
		Uint64("requests", e.Requests).
		Str("reason", e.Reason).
		Msg("session ended")
}

// described adds what is known of a session to a line.
func described(line *zerolog.Event, s *check.SessionInfo) *zerolog.Event {
	line.Str("id", s.ID)
	text(line, "route", s.Route, maxText)
	text(line, "host", s.Host, maxText)
	text(line, "stream", withoutQuery(s.Stream), maxPath)
	if s.Addr.IsValid() {
		line.Str("addr", s.Addr.String())
	}
	text(line, "user_agent", s.UserAgent, maxText)
	text(line, "user", s.User, maxText)
	text(line, "session_name", s.Name, maxText)
	text(line, "backend", s.Backend, maxText)
	if s.Provisional {
		line.Bool("provisional", true)
	}
	return line
}

// withoutQuery is a path, or a stream's name, up to where it may hold a token.
func withoutQuery(path string) string {
	shown, _ := pathAndQuery(&check.Request{Path: path})
	if shown != path {
		shown += "…"
	}
	return shown
}

func (t *Telemetry) logViewersHidden(e check.ViewersHidden) {
	line, message := t.aside.Info(), "no address holds more than half of the sessions any more"
	if e.Hidden {
		line, message = t.aside.Warn(), "one address holds more than half of the sessions: the proxy probably passes its own address on, "+
			"or that of a proxy before it, and then viewers join each other's sessions; see docs/nginx.md or docs/envoy.md for the viewer's address"
	}
	if e.Addr.IsValid() {
		line.Str("addr", e.Addr.String())
	}
	line.Int("sessions", e.Sessions).Int("total", e.Total).Msg(message)
}

func (t *Telemetry) logLayoutHint(e check.LayoutHint) {
	line := t.aside.Info().Str("route", e.Route)
	text(line, "path", withoutQuery(e.Path), maxPath)
	line.Msg("a viewer with a session on this route was denied a path that belongs to no session: " +
		"if it is a part of what they watch, the route needs a session.layout; see docs/sessions.md")
}

func (t *Telemetry) logJournal(e check.JournalTurned) {
	if e.Err == nil {
		t.aside.Info().Msg("sessions can be written to the state file again")
		return
	}
	t.aside.Error().Str("error", errorText(e.Err, maxError)).
		Msg("sessions cannot be written to the state file: viewers watch on, and a restart would ask about them anew; " +
			"it is tried again every few seconds")
}

package telemetry

import (
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/altagate/altagate/pkg/check"
)

// logCheck writes the line of a check: of a denial, of an allow by default, and
// at debug level of every allow. Lines above debug are sampled.
func (t *Telemetry) logCheck(r *check.Request, d check.Decision, took time.Duration) {
	level := levelOf(d)
	if !t.enabled(level) || level > zerolog.DebugLevel && !t.samples.take(sample{reason: d.Reason, allow: d.Allow, observed: d.Observed}) {
		return
	}
	e := t.aside.WithLevel(level).Str("proxy", r.Proxy)
	text(e, "route", d.Route, maxText)
	e.Str("decision", d.Word()).Str("reason", string(d.Reason))
	text(e, "would_deny", string(d.Observed), maxText)
	text(e, "rule", d.Rule, maxText)
	path, query := pathAndQuery(r)
	text(e, "method", r.Method, maxName)
	text(e, "host", r.Host, maxText)
	text(e, "path", path, maxPath)
	text(e, "query", query, maxPath)
	if r.Addr.IsValid() {
		e.Str("addr", r.Addr.String())
	}
	text(e, "user_agent", r.UserAgent, maxText)
	text(e, "session", sessionOf(&d), maxText)
	text(e, "user", d.Outcome.User, maxText)
	text(e, "backend", d.Outcome.Backend, maxText)
	if d.Outcome.Status != 0 {
		e.Int("status", d.Outcome.Status)
	}
	if d.Outcome.Err != nil {
		e.Str("error", errorText(d.Outcome.Err, maxError))
	}
	e.Float64("took_ms", milliseconds(took)).Msg("check")
}

// sessionOf is the X-Session-Id by which a backend's own log knows a check: that
// of the session, or the one that the question carried.
func sessionOf(d *check.Decision) string {
	if d.Session != "" {
		return d.Session
	}
	return d.Outcome.Session
}

// levelOf is warn where an operator should look: at their proxy, their backend
// or altagate's machine. A viewer who is denied is everyday life, and one who is
// denied again at once is a player in a loop.
func levelOf(d check.Decision) zerolog.Level {
	switch d.Reason {
	case check.Observe:
		return levelOf(check.Deny(d.Observed))
	case check.Default, check.Grace, check.Unanswered, check.Late, check.Overload, check.BadCheck:
		return zerolog.WarnLevel
	case check.Session, check.RecentDenial:
		return zerolog.DebugLevel
	}
	if d.Allow {
		return zerolog.DebugLevel
	}
	return zerolog.InfoLevel
}

// text adds a field for a text that may come from a viewer, if there is one.
func text(e *zerolog.Event, name, value string, most int) {
	if value != "" {
		e.Str(name, printable(value, most))
	}
}

// leftOut writes how many lines of a kind were not written.
func (t *Telemetry) leftOut(s sample, count int) {
	if s.restored {
		t.aside.Info().Int("left_out", count).Msg("sessions were restored like these; the API lists them all")
		return
	}
	if s.shadow {
		t.aside.Info().Int("left_out", count).Msg("disagreements of shadow backends are too many to write each; the metrics have them all")
		return
	}
	d := check.Decision{Allow: s.allow, Reason: s.reason, Observed: s.observed}
	e := t.aside.WithLevel(levelOf(d)).Str("decision", d.Word()).Str("reason", string(s.reason))
	text(e, "would_deny", string(s.observed), maxText)
	e.Int("left_out", count).Msg("checks like these are too many to write each; the metrics have them all")
}

// dropped writes how many lines the log did not take in time.
func (t *Telemetry) dropped(lines int) {
	t.log.Warn().Int("left_out", lines).Msg("the log was too slow to take all lines")
}

// turns remembers since when addresses are there or away.
type turns struct {
	mu    sync.Mutex
	since map[address]turn
	// shadows are the backends that decide nothing.
	shadows map[string]bool
}

type address struct{ backend, address string }

type turn struct {
	there bool
	at    time.Time
}

// next notes a turn and says how long the state before it lasted; 0 if there
// was none.
func (t *turns) next(a address, there bool) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since == nil {
		t.since = make(map[address]turn)
	}
	now := time.Now()
	before, ok := t.since[a]
	if ok && before.there == there {
		return 0
	}
	t.since[a] = turn{there, now}
	if !ok {
		return 0
	}
	return now.Sub(before.at)
}

// keep forgets the backends that are not named, and notes which decide nothing.
func (t *turns) keep(n Names) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for a := range t.since {
		if !slices.Contains(n.Backends, a.backend) {
			delete(t.since, a)
		}
	}
	t.shadows = map[string]bool{}
	for _, backends := range n.Shadows {
		for _, backend := range backends {
			t.shadows[backend] = true
		}
	}
}

func (t *turns) isShadow(backend string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.shadows[backend]
}

func (t *Telemetry) logTurned(e check.Turned) {
	lasted := t.turns.next(address{e.Backend, e.Address}, e.There)
	if e.There {
		line := t.aside.Info().Str("backend", e.Backend).Str("address", e.Address)
		if lasted > 0 {
			line.Float64("away_s", lasted.Round(time.Millisecond).Seconds())
		}
		line.Msg("backend is there")
		return
	}
	line := t.aside.Warn().Str("backend", e.Backend).Str("address", e.Address)
	if e.Err != nil {
		line.Str("error", errorText(e.Err, maxError))
	}
	switch {
	case e.Up:
		line.Msg("an address of the backend is away: its other addresses are asked")
	case t.turns.isShadow(e.Backend):
		line.Msg("shadow backend is away: it decides nothing")
	default:
		line.Msg("backend is away: the policy decides")
	}
}

func (t *Telemetry) logTurnedAway(e check.TurnedAway) {
	line := t.aside.Warn().Str("backend", e.Backend)
	if e.Addr.IsValid() {
		line.Str("addr", e.Addr.String())
	}
	line.Str("error", errorText(e.Err, maxError))
	if e.Address {
		line.Msg("questions of one address are turned away, to protect the backend: if many viewers share it, give it more by limits.addresses; " +
			"if every line has this address, the proxy passes its own on")
		return
	}
	line.Msg("questions are turned away, to protect the backend: sessions go on; if the backend can take more, raise limits.questions")
}

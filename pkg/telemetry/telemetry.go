// Package telemetry shows altagate's work to its operator: Prometheus metrics
// and log lines. It is the only package that knows Prometheus, and with cli the
// only one that knows zerolog.
//
// What viewers send is shown, never trusted: label values are the operator's
// own names and altagate's constants, and in the log a viewer's text is
// bounded, printable, and without the values of its query.
package telemetry

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/altagate/altagate/pkg/check"
)

// Config says where the log goes and who writes it. The zero value logs
// nothing.
type Config struct {
	// Writer gets the log, one Write for each line; nil drops it. Writes are
	// never concurrent. One that blocks holds up no check.
	Writer io.Writer
	// Level is the least severe level that is written: "debug", "info",
	// "warn" or "error"; empty means info.
	Level string
	// Format is "json" (also if empty) or "console", which is for people: in
	// colours if Writer is a terminal and NO_COLOR is not set.
	Format string
	// Version and Commit are what altagate_build_info tells.
	Version, Commit string
	// State is set where sessions are written to a state file: only then is
	// there an altagate_state_writable.
	State bool
}

// Telemetry is the log and the metrics of one process. It is safe for
// concurrent use.
type Telemetry struct {
	// log waits for its writer; aside, for all that happens while checks are
	// answered, does not. lasting is for lines that cannot be had again: it
	// goes on where aside has filled its part of the queue.
	log     zerolog.Logger
	aside   zerolog.Logger
	lasting zerolog.Logger
	queue   *queue
	level   *atomic.Int32
	metrics *metrics
	samples samples
	turns   turns
}

// New makes the log and a metrics registry of its own. It fails on a level or
// format that it does not know.
func New(c Config) (*Telemetry, error) {
	level := new(atomic.Int32)
	t := &Telemetry{level: level}
	if err := t.SetLevel(c.Level); err != nil {
		return nil, err
	}
	w, err := writer(c)
	if err != nil {
		return nil, err
	}
	w = zerolog.SyncWriter(w)
	t.log = zerolog.New(w).Hook(stamp{level})
	t.queue = &queue{to: w, dropped: t.dropped}
	t.aside = zerolog.New(t.queue).Hook(stamp{level})
	t.lasting = zerolog.New(lasting{t.queue}).Hook(stamp{level})
	if t.metrics, err = newMetrics(c.Version, c.Commit); err != nil {
		return nil, err
	}
	if c.State {
		t.metrics.stateWritable(true)
	}
	t.samples.summary = t.leftOut
	return t, nil
}

// SetLevel changes the level of everything that is logged from now on, also
// through a logger that Log gave before; empty means info.
func (t *Telemetry) SetLevel(name string) error {
	switch name {
	case "debug", "info", "warn", "error":
	case "":
		name = "info"
	default:
		return fmt.Errorf("log level %q is not known: use debug, info, warn or error", name)
	}
	level, err := zerolog.ParseLevel(name)
	if err != nil {
		return fmt.Errorf("reading log level: %w", err)
	}
	t.level.Store(int32(level))
	return nil
}

// Log is the logger for lines about the process itself: what it listens on,
// that it stops. Nothing that a viewer sent goes through it.
func (t *Telemetry) Log() *zerolog.Logger { return &t.log }

// Flush waits until the lines of everything but Log are written, a second at
// most. It is called before the process ends.
func (t *Telemetry) Flush() { t.queue.flush() }

// Metrics answers a Prometheus scrape.
func (t *Telemetry) Metrics() http.Handler { return t.metrics.handler() }

// Configured says which names the metrics are about. Their series are there
// from then on, at 0, so that a first denial is seen as an increase; series of
// names that are gone are removed. It is called at start, and after a reload
// was taken over.
func (t *Telemetry) Configured(n Names) {
	t.metrics.configured(n)
	t.turns.keep(n)
}

// Names are the values that the labels of the metrics may have.
type Names struct {
	// Proxies are the frontends that are on: "nginx", "envoy", "envoy-grpc".
	Proxies []string
	// Routes and Backends are the names in the config.
	Routes, Backends []string
	// Observed are the routes that only observe.
	Observed []string
	// Shadows are the shadow backends of each route that has some.
	Shadows map[string][]string
}

// Record counts one decision, and logs it if it is a denial or was made by
// default. took is the time from the check's arrival to its decision. It never
// waits.
func (t *Telemetry) Record(r *check.Request, d check.Decision, took time.Duration) {
	t.metrics.check(r, d, took)
	t.logCheck(r, d, took)
}

// Notify counts and logs what happened beside the checks. It never waits.
func (t *Telemetry) Notify(e check.Event) {
	switch e := e.(type) {
	case check.Asked:
		t.metrics.asked(e)
	case check.Turned:
		t.metrics.turned(e)
		t.logTurned(e)
	case check.ShortDeadline:
		t.aside.Warn().Str("proxy", e.Proxy).Str("backend", e.Backend).
			Float64("deadline_ms", milliseconds(e.Deadline)).Float64("timeout_ms", milliseconds(e.Timeout)).
			Msg("a check of this proxy ends before the backend's timeout does: slow answers are denied as late; where a proxy states no deadline altagate waits 5 s")
	case check.NamelessUsers:
		t.aside.Warn().Str("backend", e.Backend).
			Msg("users.max_sessions of this backend limits nobody: it allowed a viewer and named no user (X-UserId); see docs/limits.md")
	case check.TurnedAway:
		t.logTurnedAway(e)
	case check.Shadowed:
		t.metrics.shadow(e)
		t.logShadowed(e)
	default:
		t.notifySession(e)
	}
}

// notifySession is Notify for what happens to sessions.
func (t *Telemetry) notifySession(e check.Event) {
	switch e := e.(type) {
	case check.SessionStarted:
		t.metrics.sessions.add(e.Route, 1)
		t.logStarted(e)
	case check.SessionEnded:
		t.metrics.sessions.add(e.Route, -1)
		t.logEnded(e)
	case check.ViewersHidden:
		t.metrics.viewersHidden(e.Hidden)
		t.logViewersHidden(e)
	case check.LayoutHint:
		t.logLayoutHint(e)
	case check.JournalTurned:
		t.metrics.stateWritable(e.Err == nil)
		t.logJournal(e)
	}
}

// Reloaded reports that a changed config was taken over, or with an error that
// it was not and the old one stays in force.
func (t *Telemetry) Reloaded(err error) {
	t.metrics.reloaded(err)
	if err != nil {
		t.aside.Error().Str("error", errorText(err, maxMistakes)).Msg("config not reloaded: the old one stays in force")
		return
	}
	t.aside.Info().Msg("config reloaded")
}

// writer is where lines go in the format that c asks for.
func writer(c Config) (io.Writer, error) {
	w := c.Writer
	if w == nil {
		w = io.Discard
	}
	switch c.Format {
	case "", "json":
		return w, nil
	case "console":
		plain := os.Getenv("NO_COLOR") != "" || !isTerminal(w)
		return zerolog.ConsoleWriter{
			Out: w, NoColor: plain, TimeFormat: "15:04:05.000",
			FieldsOrder: []string{"decision", "reason", "would_deny", "route", "proxy", "method", "host", "path", "query", "addr"},
		}, nil
	default:
		return nil, fmt.Errorf("log format %q is not known: use json or console", c.Format)
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// stamp drops what is below the level in force, and gives the other lines their
// time, in UTC and to the millisecond. zerolog's own level is part of each copy
// of a logger, so it could not be changed while serving.
type stamp struct{ level *atomic.Int32 }

func (s stamp) Run(e *zerolog.Event, level zerolog.Level, _ string) {
	if int32(level) < s.level.Load() {
		e.Discard()
		return
	}
	e.Str(zerolog.TimestampFieldName, time.Now().UTC().Format(timeLayout))
}

const timeLayout = "2006-01-02T15:04:05.000Z07:00"

func (t *Telemetry) enabled(level zerolog.Level) bool { return int32(level) >= t.level.Load() }

// milliseconds is d as the log shows it, to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

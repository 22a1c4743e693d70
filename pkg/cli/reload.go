package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/altagate/altagate/pkg/config"
)

// watchEvery is how often the config file is read to see whether it changed.
const watchEvery = time.Second

// reloads tells when the config file is to be read again.
type reloads struct {
	hangup  chan os.Signal
	changed <-chan []byte
}

// watchFile begins to look for SIGHUP, until stop, and, if there is a file, for
// its changes, until ctx ends. It is called before the file is read, so that no
// change is lost between the two.
func watchFile(ctx context.Context, file string) reloads {
	r := reloads{hangup: make(chan os.Signal, 1)}
	signal.Notify(r.hangup, syscall.SIGHUP)
	if file != "" {
		r.changed = config.Watch(ctx, file, watchEvery)
	}
	return r
}

// stop lets SIGHUP end the process again. It comes last: a hangup must not cut
// off the checks that are still answered after ctx has ended.
func (r reloads) stop() { signal.Stop(r.hangup) }

// follow reloads whenever there is reason to, until ctx ends. A hangup without a
// config file does nothing: a terminal that closes must not end a sidecar.
func (a *sidecar) follow(ctx context.Context, r reloads) {
	for {
		select {
		case <-ctx.Done():
			return
		case data, ok := <-r.changed:
			if !ok {
				return
			}
			a.reload(a.settings.parse(data))
		case <-r.hangup:
			if a.settings.file != "" {
				a.reload(a.settings.load())
			}
		}
	}
}

// reload puts cfg in force, or says why the old config stays so.
func (a *sidecar) reload(cfg *config.Config, err error) {
	a.warn(a.notifier.Reloading())
	defer func() { a.warn(a.notifier.Ready(true)) }()
	if err == nil {
		err = a.apply(cfg)
	}
	a.telemetry.Reloaded(err)
	if err == nil {
		a.telemetry.Flush() // that line is written beside the others, and comes first
		a.sayWhatNeedsARestart(cfg)
		a.sayWhatItDoes(cfg, "now in force: ", nil)
	}
}

func (a *sidecar) apply(cfg *config.Config) error {
	files, err := readSecrets(cfg)
	if err != nil {
		return err
	}
	if err := a.gate.Reload(cfg); err != nil {
		return err
	}
	a.telemetry.Configured(names(cfg))
	a.admit(cfg, files)
	return a.telemetry.SetLevel(cfg.Log.Level)
}

func (a *sidecar) sayWhatNeedsARestart(cfg *config.Config) {
	if cfg.Listen != a.listen {
		a.telemetry.Log().Warn().Msg("the config's listen addresses changed: they take effect with a restart")
	}
	if cfg.ListenTLS.On() != (a.door != nil) {
		a.telemetry.Log().Warn().Msg("the config's listen_tls was added or removed: it takes effect with a restart")
	}
	if cfg.State != a.statePath {
		a.telemetry.Log().Warn().Msg("the config's state file changed: it takes effect with a restart")
	}
	if cfg.SessionLimit != a.sessionLimit {
		a.telemetry.Log().Warn().Msg("the config's limit of sessions changed: it takes effect with a restart")
	}
	if cfg.Log.Format != a.logFormat {
		a.telemetry.Log().Warn().Msg("the config's log format changed: it takes effect with a restart")
	}
}

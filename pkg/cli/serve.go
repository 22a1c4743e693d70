package cli

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/altagate/altagate/pkg/admin"
	"github.com/altagate/altagate/pkg/certs"
	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/frontend"
	"github.com/altagate/altagate/pkg/frontend/extauthz"
	"github.com/altagate/altagate/pkg/gate"
	"github.com/altagate/altagate/pkg/server"
	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/pkg/state"
	"github.com/altagate/altagate/pkg/telemetry"
	"github.com/altagate/altagate/pkg/viewer"
)

func serveCommand(build Build) *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the sidecar",
		Long: `serve answers checks until SIGINT or SIGTERM, and then ends gracefully: it says
that it is no longer ready, answers what it has, and goes (10 s at most).

A config file is read again on SIGHUP and when it changes; one with a mistake
leaves the old config in force. Listen addresses change with a restart only.

Sockets that systemd hands over, named http, grpc and admin, are used in place of
the addresses of these listeners: a restart then loses no check.`,
		Example: `  altagate serve --backend http://10.0.0.5/auth
  altagate serve --config /etc/altagate/altagate.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.serve(cmd.Context(), build, cmd.ErrOrStderr())
		},
	}
	s.sourceFlags(cmd)
	s.listenFlags(cmd, config.DefaultLogFormat)
	return cmd
}

func (s *settings) serve(ctx context.Context, build Build, logs io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := watchFile(ctx, s.file)
	defer changes.stop()
	notifier, err := server.NewNotifier()
	if err != nil {
		return err
	}
	if s.inherited, err = server.Inherit("http", "grpc", "admin"); err != nil {
		return err
	}
	defer s.inherited.Close()
	cfg, err := s.load()
	if err != nil {
		return err
	}
	a, err := newSidecar(cfg, s, build, logs)
	if err != nil {
		return err
	}
	defer a.close()
	a.notifier = notifier
	a.ready.Watch(func(is bool) { a.warn(notifier.Ready(is)) })
	doors, err := a.open(cfg.Listen)
	if err != nil {
		return err
	}
	a.sayWhatItDoes(cfg, "serving; ", doors)
	return a.serve(ctx, changes, services(doors))
}

// sidecar is a running altagate.
type sidecar struct {
	settings  *settings
	listen    config.Listen
	logFormat string
	telemetry *telemetry.Telemetry
	troubles  troubles
	// decisions are kept for who asks the API for them.
	decisions admin.Decisions
	gate      *gate.Gate
	// state is the file that keeps sessions; nil if they are not kept.
	state        *state.File
	statePath    string
	sessionLimit int
	callers      atomic.Pointer[viewer.Callers]
	// door serves the listeners over TLS; nil if they are not.
	door  *certs.Door
	token atomic.Pointer[[]byte]
	// showing is held while the certificates in force are shown.
	showing  sync.Mutex
	ready    server.Ready
	notifier server.Notifier
}

// serve runs the services until ctx ends, and reloads meanwhile.
func (a *sidecar) serve(ctx context.Context, changes reloads, services []server.Service) error {
	var beside sync.WaitGroup
	following, unfollow := context.WithCancel(ctx)
	defer unfollow()
	beside.Go(func() { a.follow(following, changes) })
	beside.Go(func() { a.followCertificates(following) })
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	beside.Go(func() { a.troubles.write(running, a.telemetry.Log()) })
	beside.Go(func() { a.notifier.LiveUntil(running) })
	beside.Go(func() { collectLess(running) })
	log.SetOutput(server.Lines(a.troubles.tell))
	defer log.SetOutput(io.Discard)

	err := server.Run(ctx, &a.ready, services...)
	unfollow()
	stop()
	beside.Wait()
	a.close()
	a.telemetry.Log().Info().Msg("stopped")
	return err
}

// close ends the probing, and writes what is not written yet: sessions and log
// lines. It may be called again.
func (a *sidecar) close() {
	a.gate.Close()
	if a.state != nil {
		if err := a.state.Close(); err != nil {
			a.telemetry.Log().Error().Msg(err.Error())
		}
	}
	a.telemetry.Flush()
}

// warn writes an error that changes nothing.
func (a *sidecar) warn(err error) {
	if err != nil {
		a.telemetry.Log().Warn().Msg(err.Error())
	}
}

func newSidecar(cfg *config.Config, s *settings, build Build, logs io.Writer) (*sidecar, error) {
	build = build.complete()
	files, err := readSecrets(cfg)
	if err != nil {
		return nil, err
	}
	t, err := telemetry.New(telemetry.Config{
		Writer: logs, Level: cfg.Log.Level, Format: cfg.Log.Format, Version: build.Version, Commit: build.Commit,
		State: cfg.State != "",
	})
	if err != nil {
		return nil, err
	}
	t.Configured(names(cfg))
	t.SessionLimit(cfg.SessionLimit)
	a := &sidecar{settings: s, listen: cfg.Listen, logFormat: cfg.Log.Format, statePath: cfg.State, sessionLimit: cfg.SessionLimit, telemetry: t, troubles: newTroubles()}
	var journal session.Journal
	if cfg.State != "" {
		if a.state, err = state.Open(cfg.State); err != nil {
			return nil, err
		}
		journal = a.state
	}
	if a.gate, err = gate.New(cfg, journal, t.Notify); err != nil {
		if a.state != nil {
			a.state.Close() //nolint:errcheck // the error that led here is the one to tell
		}
		return nil, err
	}
	if files.front != nil {
		a.door = certs.NewDoor(files.front, a.troubles.tell)
	}
	a.admit(cfg, files)
	return a, nil
}

// door is a listener of the sidecar and what serves on it.
type door struct {
	name    string
	service server.Service
}

// address is where the listener is, which for port 0 the config does not say.
func (d door) address() string { return server.Address(d.service.Listener.Addr()) }

// open opens the listeners of what is turned on, save those that were inherited.
// On an error none is left open.
func (a *sidecar) open(listen config.Listen) ([]door, error) {
	checks := frontend.Config{
		Checker: a.gate,
		May:     func(peer net.Addr) bool { return a.callers.Load().May(peer) },
		Trusts:  a.gate.Trusts,
		Record:  a.record,
	}
	var doors []door
	for _, w := range []struct {
		name, address string
		last          bool
		serves        func() server.Server
	}{
		{"http", listen.HTTP, false, func() server.Server { return a.overHTTP(frontend.Handler(checks)) }},
		{"grpc", listen.GRPC, false, func() server.Server { return a.overGRPC(checks) }},
		{"admin", listen.Admin, true, func() server.Server { return a.administration() }},
	} {
		if w.address == "" {
			continue
		}
		l, err := a.listenFor(w.name, w.address)
		if err != nil {
			closeAll(services(doors))
			return nil, fmt.Errorf("listening for %s: %w", w.name, err)
		}
		doors = append(doors, door{w.name, server.Service{Listener: a.overTLS(w.name, l), Server: w.serves(), Last: w.last}})
	}
	return doors, nil
}

// record tells of a decision.
func (a *sidecar) record(r *check.Request, d check.Decision, took time.Duration) {
	a.telemetry.Record(r, d, took)
	a.decisions.Record(r, d)
}

func (a *sidecar) listenFor(name, address string) (net.Listener, error) {
	l := a.settings.inherited[name]
	if l == nil {
		return server.Listen(address)
	}
	a.telemetry.Log().Info().Str(name, address).Msg("the socket for " + name + " was handed over by systemd: listen." + name + " is not used")
	return l, nil
}

func (a *sidecar) overHTTP(handler http.Handler) *http.Server {
	return server.HTTP(handler, a.troubles.tell)
}

func (a *sidecar) overGRPC(checks frontend.Config) *extauthz.Server {
	envoy := extauthz.New(checks, a.troubles.tell)
	a.ready.Watch(envoy.SetReady)
	return envoy
}

// administration serves what operators ask.
func (a *sidecar) administration() *http.Server {
	s := a.overHTTP(admin.API(a.gate.Sessions(), a.gate, &a.decisions, a.adminToken, admin.Handler(a.telemetry.Metrics(), a.ready.Is)))
	s.BaseContext = admin.On
	return s
}

func services(doors []door) []server.Service {
	all := make([]server.Service, 0, len(doors))
	for _, d := range doors {
		all = append(all, d.service)
	}
	return all
}

// closeAll closes listeners that nothing was served on, and what was to serve.
func closeAll(services []server.Service) {
	for _, s := range services {
		s.Listener.Close() //nolint:errcheck // the error that led here is the one to tell
		if s.Server != nil {
			s.Server.Shutdown(context.Background()) //nolint:errcheck // nothing was begun
		}
	}
}

// names are what the metrics are about under cfg.
func names(cfg *config.Config) telemetry.Names {
	n := telemetry.Names{Shadows: map[string][]string{}, Proxies: append(frontend.Names(), extauthz.Name)}
	for _, r := range cfg.Routes {
		n.Routes = append(n.Routes, r.Name)
		n.Shadows[r.Name] = r.Shadow
		if r.Mode == config.Observe {
			n.Observed = append(n.Observed, r.Name)
		}
	}
	for _, b := range cfg.Backends {
		n.Backends = append(n.Backends, b.Name)
	}
	return n
}

// sayWhatItDoes is the one line that an operator reads after a start, and after a
// reload; which of them it is, what says. It is written at every log level: it
// tells whether the gate stands open in an outage.
func (a *sidecar) sayWhatItDoes(cfg *config.Config, what string, doors []door) {
	line := a.telemetry.Log().Log().Str(zerolog.LevelFieldName, zerolog.LevelInfoValue)
	for _, d := range doors {
		line = line.Str(d.name, d.address())
	}
	asks := make([]string, 0, len(cfg.Backends))
	for _, b := range cfg.Backends {
		for _, u := range b.URLs {
			asks = append(asks, fmt.Sprintf("%s at %s://%s%s", b.Name, u.Scheme, u.Host, u.EscapedPath()))
		}
	}
	away := make([]string, 0, len(cfg.Routes))
	for _, r := range cfg.Routes {
		away = append(away, r.Name+": "+string(r.OnUnavailable))
	}
	line.Strs("asks", asks).Strs("on_unavailable", away).Msg(what + awayInWords(cfg, a.settings.allowWord()))
	for _, warning := range cfg.Warnings() {
		a.telemetry.Log().Warn().Msg(warning)
	}
}

// awayInWords says what is decided while the backend is away. allow is how the
// operator says that everybody watches then.
func awayInWords(cfg *config.Config, allow string) string {
	var allowing []string
	for _, r := range cfg.Routes {
		if r.OnUnavailable == config.Allow {
			allowing = append(allowing, r.Name)
		}
	}
	switch len(allowing) {
	case 0:
		return "viewers are DENIED while the backend is away (Alta's own default is allow; " + allow + " chooses that)"
	case len(cfg.Routes):
		return "EVERY viewer is allowed while the backend is away (" + allow + ")"
	default:
		return "EVERY viewer is allowed while the backend is away on routes " + strings.Join(allowing, ", ") +
			" and denied on the others (Alta's own default is allow)"
	}
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/altagate/altagate/pkg/admin"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/frontend"
	"github.com/altagate/altagate/pkg/frontend/extauthz"
	"github.com/altagate/altagate/pkg/gate"
	"github.com/altagate/altagate/pkg/server"
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
leaves the old config in force. Listen addresses change with a restart only.`,
		Example: `  altagate serve --backend http://10.0.0.5/auth
  altagate serve --config /etc/altagate/altagate.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			changes := watchFile(ctx, s.file)
			cfg, err := s.load()
			if err != nil {
				return err
			}
			a, err := newSidecar(cfg, &s, build, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			go a.follow(ctx, changes)
			return a.serve(ctx, cfg)
		},
	}
	s.sourceFlags(cmd)
	s.listenFlags(cmd)
	return cmd
}

// sidecar is a running altagate.
type sidecar struct {
	settings  *settings
	listen    config.Listen
	telemetry *telemetry.Telemetry
	gate      *gate.Gate
	callers   atomic.Pointer[viewer.Callers]
	ready     server.Ready
}

// serve answers checks, and beside that serves the parts given, until ctx ends.
func (a *sidecar) serve(ctx context.Context, cfg *config.Config, parts ...server.Service) error {
	defer a.gate.Close()
	services, err := a.services(cfg.Listen)
	if err != nil {
		return errors.Join(err, closeAll(parts))
	}
	a.sayWhatItDoes(cfg)
	err = server.Run(ctx, &a.ready, append(services, parts...)...)
	a.telemetry.Log().Info().Msg("stopped")
	return err
}

func newSidecar(cfg *config.Config, s *settings, build Build, logs io.Writer) (*sidecar, error) {
	build = build.complete()
	t, err := telemetry.New(telemetry.Config{
		Writer: logs, Level: cfg.Log.Level, Format: cfg.Log.Format, Version: build.Version, Commit: build.Commit,
	})
	if err != nil {
		return nil, err
	}
	t.Configured(names(cfg))
	g, err := gate.New(cfg, t.Notify)
	if err != nil {
		return nil, err
	}
	a := &sidecar{settings: s, listen: cfg.Listen, telemetry: t, gate: g}
	a.callers.Store(viewer.NewCallers(cfg.Callers))
	return a, nil
}

// services opens the listeners of what is turned on. On an error none is left open.
func (a *sidecar) services(listen config.Listen) ([]server.Service, error) {
	checks := frontend.Config{
		Checker: a.gate,
		May:     func(peer net.Addr) bool { return a.callers.Load().May(peer) },
		Record:  a.telemetry.Record,
	}
	envoy := extauthz.New(checks)
	a.ready.Watch(envoy.SetReady)
	wanted := []struct {
		name, address string
		service       server.Service
	}{
		{"http", listen.HTTP, server.Service{Server: server.HTTP(frontend.Handler(checks), nil)}},
		{"grpc", listen.GRPC, server.Service{Server: envoy}},
		{"admin", listen.Admin, server.Service{Server: server.HTTP(admin.Handler(a.telemetry.Metrics(), a.ready.Is), nil), Last: true}},
	}
	var services []server.Service
	for _, w := range wanted {
		if w.address == "" {
			continue
		}
		l, err := server.Listen(w.address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening for %s: %w", w.name, err), closeAll(services))
		}
		w.service.Listener = l
		services = append(services, w.service)
	}
	return services, nil
}

func closeAll(services []server.Service) error {
	var errs []error
	for _, s := range services {
		errs = append(errs, s.Listener.Close())
	}
	return errors.Join(errs...)
}

// names are what the metrics are about under cfg.
func names(cfg *config.Config) telemetry.Names {
	n := telemetry.Names{Proxies: []string{"nginx", "envoy", "envoy-grpc"}}
	for _, r := range cfg.Routes {
		n.Routes = append(n.Routes, r.Name)
	}
	for _, b := range cfg.Backends {
		n.Backends = append(n.Backends, b.Name)
	}
	return n
}

// sayWhatItDoes is the one line that an operator reads after a start.
func (a *sidecar) sayWhatItDoes(cfg *config.Config) {
	line := a.telemetry.Log().Info()
	for _, l := range [][2]string{{"http", cfg.Listen.HTTP}, {"grpc", cfg.Listen.GRPC}, {"admin", cfg.Listen.Admin}} {
		if l[1] != "" {
			line = line.Str(l[0], l[1])
		}
	}
	asks := make([]string, 0, len(cfg.Backends))
	for _, b := range cfg.Backends {
		for _, u := range b.URLs {
			asks = append(asks, fmt.Sprintf("%s at %s://%s%s", b.Name, u.Scheme, u.Host, u.Path))
		}
	}
	away := make([]string, 0, len(cfg.Routes))
	for _, r := range cfg.Routes {
		away = append(away, r.Name+": "+string(r.OnUnavailable))
	}
	line.Strs("asks", asks).Strs("on_unavailable", away).Msg(awayInWords(cfg))
}

func awayInWords(cfg *config.Config) string {
	var allowing []string
	for _, r := range cfg.Routes {
		if r.OnUnavailable == config.Allow {
			allowing = append(allowing, r.Name)
		}
	}
	switch len(allowing) {
	case 0:
		return "serving; viewers are DENIED while the backend is away (Alta's own default is allow; on_unavailable: allow chooses that)"
	case len(cfg.Routes):
		return "serving; EVERY viewer is allowed while the backend is away (on_unavailable: allow)"
	default:
		return "serving; EVERY viewer is allowed while the backend is away on routes " + strings.Join(allowing, ", ") +
			" and denied on the others (Alta's own default is allow)"
	}
}

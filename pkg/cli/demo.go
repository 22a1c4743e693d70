package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/demo"
	"github.com/altagate/altagate/pkg/server"
)

// demoFlags say where the parts of the demo listen.
type demoFlags struct {
	settings
	edge, origin, backend string
}

func demoCommand(build Build) *cobra.Command {
	var d demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the sidecar with a backend, an edge and a sample stream, to see it work",
		Long: `demo runs the sidecar, a backend that allows token=123 and denies any other, an
origin with a sample HLS stream, and a tiny edge that asks the sidecar about each
request. It needs no other software, and prints curl lines to try.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return d.run(cmd.Context(), build, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	d.flags = cmd.Flags()
	d.flags.StringVar(&d.edge, "edge", "127.0.0.1:8080", "listen `ADDRESS` of the edge that viewers ask")
	d.flags.StringVar(&d.origin, "origin", "127.0.0.1:8000", "listen `ADDRESS` of the origin, which asks nobody")
	d.flags.StringVar(&d.backend, "demo-backend", "127.0.0.1:6000", "listen `ADDRESS` of the backend")
	d.flags.StringVar(&d.onUnavailable, "on-unavailable", "deny", "what is decided while the backend is away: `deny|allow`")
	d.listenFlags(cmd)
	return cmd
}

func (d *demoFlags) run(ctx context.Context, build Build, out, logs io.Writer) error {
	if !d.flags.Changed("log-format") {
		d.logFormat = "console"
	}
	backend, err := listenFor("demo-backend", d.backend)
	if err != nil {
		return err
	}
	tell := func(q demo.Question) { fmt.Fprintln(out, asked(q)) }
	parts := []server.Service{{Listener: backend, Server: server.HTTP(demo.Backend(tell), nil)}}
	cfg, err := d.config(backend.Addr())
	if err != nil {
		return errors.Join(err, closeAll(parts))
	}
	for _, p := range []struct {
		flag, address string
		handler       http.Handler
	}{{"origin", d.origin, demo.Origin()}, {"edge", d.edge, demo.Edge(demo.Origin(), cfg.Listen.HTTP)}} {
		l, err := listenFor(p.flag, p.address)
		if err != nil {
			return errors.Join(err, closeAll(parts))
		}
		parts = append(parts, server.Service{Listener: l, Server: server.HTTP(p.handler, nil)})
	}
	a, err := newSidecar(cfg, &d.settings, build, logs)
	if err != nil {
		return errors.Join(err, closeAll(parts))
	}
	fmt.Fprint(out, d.welcome(cfg))
	return a.serve(ctx, cfg, parts...)
}

// config is that of the demo's sidecar, which asks the backend at addr.
func (d *demoFlags) config(addr net.Addr) (*config.Config, error) {
	cfg, err := config.Single([]string{"http://" + addr.String() + "/"}, d.onUnavailable)
	if err != nil {
		return nil, err
	}
	cfg.Log.Format = d.logFormat
	if err := d.overlay(cfg); err != nil {
		return nil, err
	}
	if cfg.Listen.HTTP == "" {
		return nil, errors.New("the demo's edge asks over HTTP: give --http an address")
	}
	return cfg, nil
}

func listenFor(flag, address string) (net.Listener, error) {
	l, err := server.Listen(address)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return l, nil
}

// asked is the line that shows a question to the demo's backend.
func asked(q demo.Question) string {
	if q.Addr == "" {
		return "the backend was asked whether it is there, by altagate's own probe"
	}
	return fmt.Sprintf("the backend was asked about %s%s for %s and said %d %s", q.Origin, q.Path, q.Addr, q.Status, http.StatusText(q.Status))
}

func (d *demoFlags) welcome(cfg *config.Config) string {
	return fmt.Sprintf(`
altagate demo: a viewer asks the edge, the edge asks altagate, altagate asks the
backend. Token 123 is allowed. Try in another terminal:

  curl -i 'http://%[1]s/live/index.m3u8?token=123'    # 200 and the playlist
  curl -i 'http://%[1]s/live/index.m3u8?token=1'      # 403
  curl -s 'http://%[2]s/metrics' | grep altagate_checks_total

The sample stream is also at %[3]s, with nobody asking, as the origin for the
files in nginx/ and envoy/. End with Ctrl-C.

`, d.edge, cfg.Listen.Admin, d.origin)
}

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
	offer(cmd, "on-unavailable", "deny", "allow")
	d.listenFlags(cmd, "console")
	return cmd
}

func (d *demoFlags) run(ctx context.Context, build Build, out, logs io.Writer) error {
	own, err := d.open()
	if err != nil {
		return err
	}
	defer closeAll(own)
	backend, origin, edge := &own[0], &own[1], &own[2]
	cfg, err := d.config(backend.Listener.Addr())
	if err != nil {
		return err
	}
	a, err := newSidecar(cfg, &d.settings, build, logs)
	if err != nil {
		return err
	}
	defer a.close()
	doors, err := a.open(cfg.Listen)
	if err != nil {
		return err
	}
	backend.Server = a.overHTTP(demo.Backend(func(q demo.Question) { say(out, asked(q)) }))
	origin.Server = a.overHTTP(demo.Origin())
	edge.Server = a.overHTTP(demo.Edge(demo.Origin(), addressOf("http", doors)))
	a.sayWhatItDoes(cfg, "serving; ", doors)
	a.ready.Watch(func(is bool) {
		if is {
			say(out, welcome(edge.Listener.Addr(), origin.Listener.Addr(), addressOf("admin", doors)))
		}
	})
	return a.serve(ctx, reloads{}, append(services(doors), own...))
}

// say prints what a person who tries the demo reads.
func say(out io.Writer, text string) {
	fmt.Fprintln(out, text) //nolint:errcheck // a terminal that is gone has nobody to tell
}

// open opens the listeners of the backend, the origin and the edge, in this
// order. On an error none is left open.
func (d *demoFlags) open() ([]server.Service, error) {
	var own []server.Service
	for _, p := range [][2]string{{"demo-backend", d.backend}, {"origin", d.origin}, {"edge", d.edge}} {
		l, err := server.Listen(p[1])
		if err != nil {
			closeAll(own)
			return nil, fmt.Errorf("%s: %w", d.called(p[0]), err)
		}
		own = append(own, server.Service{Listener: l})
	}
	return own, nil
}

// addressOf is the address of a door; "" if it is turned off.
func addressOf(name string, doors []door) string {
	for _, d := range doors {
		if d.name == name {
			return d.address()
		}
	}
	return ""
}

// config is that of the demo's sidecar, which asks the backend at addr.
func (d *demoFlags) config(addr net.Addr) (*config.Config, error) {
	d.backends = []string{"http://" + addr.String() + "/"}
	cfg, err := d.single()
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

// asked is the line that shows a question to the demo's backend.
func asked(q demo.Question) string {
	if q.Addr == "" {
		return "the backend was asked whether it is there, by altagate's own probe"
	}
	return fmt.Sprintf("the backend was asked about %s%s for %s and said %d %s", q.Origin, q.Path, q.Addr, q.Status, http.StatusText(q.Status))
}

func welcome(edge, origin net.Addr, admin string) string {
	lines := fmt.Sprintf(`
altagate demo: a viewer asks the edge, the edge asks altagate, altagate asks the
backend. Token 123 is allowed. Try in another terminal:

  curl -i 'http://%[1]s/live/index.m3u8?token=123'    # 200 and the playlist
  curl -i 'http://%[1]s/live/index.m3u8?token=1'      # 403
`, edge)
	if admin != "" {
		lines += fmt.Sprintf("  curl -s 'http://%s/metrics' | grep altagate_checks_total | grep -v ' 0$'\n", admin)
	}
	return lines + fmt.Sprintf(`
The sample stream is also at %s, with nobody asking, as the origin for the
files in nginx/ and envoy/. End with Ctrl-C.
`, origin)
}

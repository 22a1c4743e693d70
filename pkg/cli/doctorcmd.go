package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/doctor"
	"github.com/altagate/altagate/pkg/doctor/edge"
	"github.com/altagate/altagate/pkg/doctor/envoyconf"
	"github.com/altagate/altagate/pkg/doctor/live"
	"github.com/altagate/altagate/pkg/doctor/nginxconf"
)

const doctorName = "doctor"

// doctorFlags say what a doctor looks at.
type doctorFlags struct {
	settings
	edge, edgeAddress string
	stopped           bool
	proxyConfigs      []string
	asJSON            bool
}

func doctorCommand() *cobra.Command {
	var d doctorFlags
	cmd := &cobra.Command{
		Use:   doctorName,
		Short: "Look at a whole deployment, and say what is wrong with it and what to write",
		Long: `doctor looks at the config, asks each backend two questions that it must deny, asks
a running altagate how it does, looks at a running edge from outside, and reads the
configs of proxies. It changes nothing, and docs/doctor.md explains what it finds.

--edge asks a running edge as viewers and attackers would, some sixty requests, and
looks at what altagate was told of them: run it where --admin can be reached.

--proxy-config reads what cannot be seen from outside: the output of "nginx -T", or
the bootstrap file of Envoy.

Exit code 0: nothing was found; 1: something was; 2: nothing was, but not all could be
looked at; 3: a mistake in the command.`,
		Example: `  altagate doctor --config /etc/altagate/altagate.yaml
  altagate doctor --edge 'http://tv.example.com/live/index.m3u8?token=123'
  nginx -T | altagate doctor --proxy-config -
  altagate doctor --proxy-config envoy.yaml --admin ''`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return d.run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	d.askFlags(cmd, "config `FILE` that serve runs with")
	d.flags.StringVar(&d.http, "http", config.DefaultHTTP, "`ADDRESS` where altagate takes checks over HTTP; empty if it does not")
	d.flags.StringVar(&d.grpc, "grpc", config.DefaultGRPC, "`ADDRESS` where altagate takes checks over gRPC; empty if it does not")
	d.flags.StringVar(&d.admin, "admin", config.DefaultAdmin, "`ADDRESS` of altagate's admin listener: host:port, http://host:port or unix:/path; empty leaves the running altagate alone")
	d.flags.StringArrayVar(&d.callers, "callers", nil, "`CIDR` that may ask for checks; given again, each of them")
	d.flags.StringVar(&d.edge, "edge", "", "`URL` of a viewer who may watch, in quotes, with a token that is good now")
	d.flags.StringVar(&d.edgeAddress, "edge-address", "", "`HOST:PORT` where the edge is, if not where its URL says: one of several edges")
	d.flags.BoolVar(&d.stopped, "altagate-stopped", false, "altagate was stopped, to see what --edge does without it")
	d.flags.StringArrayVar(&d.proxyConfigs, "proxy-config", nil, "`FILE` with the output of \"nginx -T\" or Envoy's config, - for standard input; given again, each of them")
	d.flags.BoolVar(&d.asJSON, "json", false, "print JSON")
	return cmd
}

func (d *doctorFlags) run(ctx context.Context, in io.Reader, out io.Writer) error {
	if err := d.misused(); err != nil {
		return err
	}
	d.admin = strings.TrimSuffix(strings.TrimPrefix(d.admin, "http://"), "/")
	report := &doctor.Report{Sections: []*doctor.Section{}}
	cfg, section, err := d.config()
	if err != nil {
		return err
	}
	listen, facts := d.facts(cfg)
	report.Sections = append(report.Sections, section)
	if cfg != nil {
		report.Sections = append(report.Sections, lookAtBackends(ctx, cfg)...)
	}
	altagate := live.Altagate{Admin: listen.Admin, HTTP: listen.HTTP, GRPC: listen.GRPC}
	if cfg != nil {
		token, err := config.LoadToken(cfg.AdminToken)
		if err != nil {
			section.Cannot("the API: %v", err)
		}
		altagate.Token, altagate.TLS = string(token), cfg.ListenTLS.On()
	}
	switch {
	case altagate.Admin == "":
		section.Cannot("the running altagate: --admin is empty")
	case !d.stopped:
		report.Sections = append(report.Sections, altagate.Look(ctx))
	}
	if d.edge != "" {
		section, err := d.lookAtEdge(ctx, altagate, in)
		if err != nil {
			return err
		}
		report.Sections = append(report.Sections, section)
	}
	for _, file := range d.proxyConfigs {
		report.Sections = append(report.Sections, lookAtProxy(file, in, facts))
	}
	return d.print(report, out)
}

// misused finds flags that mean nothing together.
func (d *doctorFlags) misused() error {
	switch {
	case d.edge == "" && d.firstGiven("edge-address", "altagate-stopped") != "":
		return fmt.Errorf("%s is given, and no --edge URL that it would be about", d.firstGiven("edge-address", "altagate-stopped"))
	case d.edgeAddress != "":
		if _, _, err := net.SplitHostPort(d.edgeAddress); err != nil {
			return fmt.Errorf("%s: write host:port, such as 192.0.2.10:80", d.called("edge-address"))
		}
	}
	return nil
}

// lookAtEdge looks at a running edge from outside.
func (d *doctorFlags) lookAtEdge(ctx context.Context, altagate live.Altagate, in io.Reader) (*doctor.Section, error) {
	listeners := []edge.Listener{
		{Name: "checks over HTTP", Address: altagate.HTTP, Is: live.IsForChecks},
		{Name: "metrics and the API", Address: altagate.Admin, Is: live.IsAdmin},
	}
	if altagate.TLS {
		listeners = nil // what they answer cannot be told from anything else
	}
	section, err := edge.Look(ctx, edge.Config{
		URL: d.edge, Address: d.edgeAddress, Stopped: d.stopped,
		Decisions: altagate.Decisions, There: altagate.There, Listeners: listeners, Pause: d.pause(in),
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.called("edge"), err)
	}
	return section, nil
}

// pause asks a person at a terminal; nil if there is none.
func (d *doctorFlags) pause(in io.Reader) func(string) bool {
	f, ok := in.(*os.File)
	if !ok || d.asJSON || slices.Contains(d.proxyConfigs, "-") {
		return nil
	}
	info, err := f.Stat()
	null, noNull := os.Stat(os.DevNull)
	if err != nil || noNull != nil || info.Mode()&os.ModeCharDevice == 0 || os.SameFile(info, null) {
		return nil
	}
	lines := bufio.NewReader(f)
	return func(what string) bool {
		fmt.Fprintf(os.Stderr, "%s, and press Enter; n and Enter leaves it out: ", what)
		line, err := lines.ReadString('\n')
		return err == nil && strings.TrimSpace(line) == ""
	}
}

// print prints the report. Its error is the exit code.
func (d *doctorFlags) print(report *doctor.Report, out io.Writer) error {
	write := report.Text
	if d.asJSON {
		write = report.JSON
	}
	if err := write(out); err != nil {
		return err
	}
	if code := report.Count(); code != doctor.Sound {
		return &exitError{code}
	}
	return nil
}

// facts are what the config, else the flags, say of altagate. Where a flag says
// nothing, the defaults of serve hold.
func (d *doctorFlags) facts(cfg *config.Config) (config.Listen, doctor.Facts) {
	const defaultTimeout = 2
	if cfg == nil {
		listen := config.Listen{HTTP: d.http, GRPC: d.grpc, Admin: d.admin}
		return listen, doctor.Facts{Checks: []string{listen.HTTP, listen.GRPC}, Admin: listen.Admin, Timeout: defaultTimeout}
	}
	facts := doctor.Facts{Checks: []string{cfg.Listen.HTTP, cfg.Listen.GRPC}, Admin: cfg.Listen.Admin}
	for _, b := range cfg.Backends {
		facts.Timeout = max(facts.Timeout, b.Timeout.Seconds())
	}
	return cfg.Listen, facts
}

// lookAtProxy reads the config of a proxy.
func lookAtProxy(file string, in io.Reader, facts doctor.Facts) *doctor.Section {
	name := file
	if file == "-" {
		name = "standard input"
	}
	section, err := readProxy(file, name, in, facts)
	if err != nil {
		section = doctor.NewSection("proxy config: " + name)
		section.Failed = err.Error()
	}
	return section
}

// maxProxyConfig is the most that is read, in bytes.
const maxProxyConfig = 16 << 20

func readProxy(file, name string, in io.Reader, facts doctor.Facts) (*doctor.Section, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading a proxy's config: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxProxyConfig+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading a proxy's config: %w", err)
	case len(text) > maxProxyConfig:
		return nil, errors.New("reading a proxy's config: it is longer than 16 MiB")
	case envoyconf.Is(string(text)):
		return envoyconf.Look(name, string(text), facts)
	default:
		return nginxconf.Look(name, string(text), facts)
	}
}

package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/preset"
	"github.com/altagate/altagate/pkg/server"
)

// settings are the flags that describe a config, or stand in for one.
type settings struct {
	flags         *pflag.FlagSet
	file          string
	backends      []string
	preset        string
	onUnavailable string
	grace         string

	http, grpc, admin   string
	callers             []string
	state               string
	logLevel, logFormat string

	// inherited listeners stand in place of the addresses of the same name.
	inherited server.Inherited
}

// sourceFlags adds the flags that say which backend is asked, and what is
// decided while it is away.
func (s *settings) sourceFlags(cmd *cobra.Command) {
	s.askFlags(cmd, "config `FILE`; read again on SIGHUP and when it changes")
	s.flags.StringVar(&s.grace, "grace", "10m", "`TIME` for which a viewer who was allowed keeps watching while the backend is away, 0s to 168h")
}

// askFlags adds those of sourceFlags that matter to a single question. file is the
// help of --config.
func (s *settings) askFlags(cmd *cobra.Command, file string) {
	s.flags = cmd.Flags()
	s.flags.StringVar(&s.file, "config", "", file)
	s.flags.StringArrayVar(&s.backends, "backend", nil,
		"`URL` of the backend, instead of a config file; given again, all are asked in parallel and any allow wins (timeout 2s each)")
	s.flags.StringVar(&s.onUnavailable, "on-unavailable", "deny",
		"what is decided while the backend is away: `deny|allow`. Alta's own default is allow")
	offer(cmd, "on-unavailable", "deny", "allow")
	names := preset.Names()
	s.flags.StringVar(&s.preset, "preset", preset.Custom, "what kind of portal the backend is, by `NAME`: "+strings.Join(names, ", ")+". iptvportal needs no --backend")
	offer(cmd, "preset", names...)
}

// listenFlags adds the flags of a running sidecar, which logs in logFormat by
// default.
func (s *settings) listenFlags(cmd *cobra.Command, logFormat string) {
	s.flags.StringVar(&s.http, "http", config.DefaultHTTP, "listen `ADDRESS` for checks over HTTP: host:port or unix:/path; empty turns it off")
	s.flags.StringVar(&s.grpc, "grpc", config.DefaultGRPC, "listen `ADDRESS` for Envoy's checks over gRPC: host:port or unix:/path; empty turns it off")
	s.flags.StringVar(&s.admin, "admin", config.DefaultAdmin, "listen `ADDRESS` for metrics, health and the API: host:port or unix:/path; empty turns it off")
	s.flags.StringArrayVar(&s.callers, "callers", nil,
		"`CIDR` that may ask for checks; given again, each of them. Needed when checks are listened for off loopback and Unix sockets")
	s.flags.StringVar(&s.state, "state", "", "`FILE` that keeps sessions over a restart; it holds viewers' queries. Empty keeps none")
	s.flags.StringVar(&s.logLevel, "log-level", config.DefaultLogLevel, "`debug|info|warn|error`; debug logs each allow too")
	offer(cmd, "log-level", "debug", "info", "warn", "error")
	s.flags.StringVar(&s.logFormat, "log-format", logFormat, "`json|console`")
	offer(cmd, "log-format", "json", "console")
}

// offer makes a shell complete a flag's value by the words.
func offer(cmd *cobra.Command, flag string, words ...string) {
	// The error would say that there is no such flag.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// load reads the config that the flags name or describe, with the flags and
// the environment laid over it.
func (s *settings) load() (*config.Config, error) {
	cfg, err := s.source()
	if err != nil {
		return nil, err
	}
	return cfg, s.overlay(cfg)
}

func (s *settings) source() (*config.Config, error) {
	own := s.firstGiven("backend", "preset", "on-unavailable", "grace")
	switch {
	case s.file != "" && own != "":
		return nil, fmt.Errorf("%s and %s are both given: write backends and policy in the config file, or leave the file out",
			s.called("config"), own)
	case s.file != "":
		cfg, err := config.Load(s.file)
		return cfg, inFile(s.file, err)
	case len(s.backends) > 0, s.flags.Changed("preset"):
		return s.single()
	default:
		return nil, errors.New("no backend: give --backend URL, or --config FILE ('altagate config example' prints one)")
	}
}

// single is the config that --backend, and the flags that go with it, describe.
func (s *settings) single() (*config.Config, error) {
	if err := oneOf("deny", "allow")(s.onUnavailable); err != nil {
		return nil, fmt.Errorf("%s: %w", s.called("on-unavailable"), err)
	}
	if s.flags.Changed("preset") {
		if err := oneOf(preset.Names()...)(s.preset); err != nil {
			return nil, fmt.Errorf("%s: %w", s.called("preset"), err)
		}
	}
	kind, _ := preset.Find(s.preset)
	urls := s.backends
	switch {
	case len(urls) > 0:
	case kind.URL == "":
		return nil, fmt.Errorf("%s %s has no address of its own: give --backend URL", s.called("preset"), s.preset)
	default:
		urls = []string{kind.URL}
	}
	cfg, err := config.Single(urls, s.onUnavailable)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.called("backend"), err)
	}
	for i := range cfg.Backends {
		cfg.Backends[i].SetPreset(kind)
	}
	return cfg, s.describe(cfg)
}

// describe puts the flags that go with --backend into the config that was made
// for it.
func (s *settings) describe(cfg *config.Config) error {
	if s.flags.Changed("grace") {
		grace, err := config.ParseGrace(s.grace)
		if err != nil {
			return fmt.Errorf("%s: %w", s.called("grace"), err)
		}
		for i := range cfg.Routes {
			cfg.Routes[i].Grace = grace
		}
	}
	return nil
}

func (s *settings) called(flag string) string { return called(s.flags, flag) }

// allowWord is how these settings say that everybody watches while the backend is
// away.
func (s *settings) allowWord() string {
	if s.file != "" {
		return "on_unavailable: allow"
	}
	if by := s.called("on-unavailable"); !strings.HasPrefix(by, "--") {
		return by + "=allow"
	}
	return "--on-unavailable allow"
}

// firstGiven is what the first of the flags was given by; "" if none was.
func (s *settings) firstGiven(flags ...string) string {
	for _, flag := range flags {
		if s.flags.Changed(flag) {
			return s.called(flag)
		}
	}
	return ""
}

// parse is load for a file's content that was read already.
func (s *settings) parse(data []byte) (*config.Config, error) {
	cfg, err := config.Parse(data)
	if err != nil {
		return nil, inFile(s.file, err)
	}
	return cfg, s.overlay(cfg)
}

// inFile puts the file's name before each mistake in it: "file:line:column: …".
func inFile(file string, err error) error {
	var mistakes config.Mistakes
	if !errors.As(err, &mistakes) {
		return err
	}
	lines := make([]string, 0, len(mistakes))
	for _, m := range mistakes {
		lines = append(lines, file+":"+m.String())
	}
	return errors.New(strings.Join(lines, "\n"))
}

func (s *settings) overlay(cfg *config.Config) error {
	for _, o := range []struct {
		flag, value string
		into        *string
		check       func(string) error
	}{
		{"http", s.http, &cfg.Listen.HTTP, config.CheckAddress},
		{"grpc", s.grpc, &cfg.Listen.GRPC, config.CheckAddress},
		{"admin", s.admin, &cfg.Listen.Admin, config.CheckAddress},
		{"state", s.state, &cfg.State, config.CheckState},
		{"log-level", s.logLevel, &cfg.Log.Level, oneOf("debug", "info", "warn", "error")},
		{"log-format", s.logFormat, &cfg.Log.Format, oneOf("json", "console")},
	} {
		if !s.flags.Changed(o.flag) {
			continue
		}
		if err := o.check(o.value); err != nil {
			return fmt.Errorf("%s: %w", s.called(o.flag), err)
		}
		*o.into = o.value
	}
	if s.flags.Changed("callers") {
		callers, err := parseCallers(s.callers)
		if err != nil {
			return fmt.Errorf("%s: %w", s.called("callers"), err)
		}
		cfg.Callers = callers
	}
	for name, into := range map[string]*string{"http": &cfg.Listen.HTTP, "grpc": &cfg.Listen.GRPC, "admin": &cfg.Listen.Admin} {
		if address := s.inherited.Address(name); address != "" {
			*into = address
		}
	}
	if cfg.Listen.HTTP == "" && cfg.Listen.GRPC == "" {
		return errors.New("no listener for checks: give --http or --grpc an address")
	}
	if addr := config.NeedsCallers(cfg.Listen); addr != "" && len(cfg.Callers) == 0 && cfg.ListenTLS.ClientCA == "" {
		return fmt.Errorf("checks are listened for on %s, where more than this machine can ask: "+
			"say who may with --callers CIDR (in the config: callers, or listen_tls.client_ca for who shows a certificate), or listen on loopback or a Unix socket", addr)
	}
	return nil
}

// oneOf takes the words alone.
func oneOf(words ...string) func(string) error {
	return func(word string) error {
		if slices.Contains(words, word) {
			return nil
		}
		return fmt.Errorf("%q is none of: %s", word, strings.Join(words, ", "))
	}
}

func parseCallers(texts []string) ([]netip.Prefix, error) {
	prefixes := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		prefix, err := config.ParseCaller(text)
		if err != nil {
			return nil, err
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}

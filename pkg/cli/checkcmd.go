package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/frontend"
	"github.com/altagate/altagate/pkg/gate"
	"github.com/altagate/altagate/pkg/viewer"
)

const checkName = "check"

// The exit codes of check.
const (
	exitDeny        = 1
	exitUnavailable = 2
	exitUsage       = 3
)

// checkFlags say which viewer check asks as.
type checkFlags struct {
	settings
	route, ip, userAgent, session, method string
}

func checkCommand() *cobra.Command {
	var c checkFlags
	cmd := &cobra.Command{
		Use:   checkName + " URL",
		Short: "Ask the backend once as a viewer of URL would, and show what came back",
		Long: `check asks the backend about a viewer's request for URL, and shows the request that
was sent, the reply, the time of each phase, and what altagate makes of it. It asks
for itself: a running altagate is not needed and not disturbed. What it prints
holds the viewer's query.

Exit code 0 is allow, 1 deny, 2 unavailable, 3 a mistake in the command.`,
		Example: `  altagate check 'http://tv.example.com/live/index.m3u8?token=123' --backend http://10.0.0.5/auth
  altagate check 'http://tv.example.com/live/index.m3u8?token=123' --config altagate.yaml --ip 192.0.2.7`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("check takes one URL, that of the viewer, in quotes: 'http://tv.example.com/live/index.m3u8?token=123'")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), args[0], cmd.OutOrStdout())
		},
	}
	c.askFlags(cmd, "config `FILE`")
	c.flags.StringVar(&c.route, "route", "", "`NAME` of the route, where the proxy names it; empty matches by host and path")
	c.flags.StringVar(&c.ip, "ip", "127.0.0.1", "`ADDRESS` of the viewer")
	c.flags.StringVar(&c.userAgent, "ua", "", "`USER-AGENT` of the viewer")
	c.flags.StringVar(&c.session, "session", "", "X-Session-Id to send (`ID`); empty makes a new one")
	c.flags.StringVar(&c.method, "method", "GET", "`METHOD` of the viewer's request")
	return cmd
}

func (c *checkFlags) run(ctx context.Context, url string, out io.Writer) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if err := c.checkRoute(cfg); err != nil {
		return err
	}
	r, reason, why, err := c.request(url)
	if err != nil {
		return err
	}
	e := gate.Explanation{Decision: check.Deny(reason)}
	e.Decision.Outcome.Err = why
	if reason == "" {
		if e, err = gate.Explain(ctx, cfg, &r, c.session); err != nil {
			return err
		}
	}
	explain(out, &r, e)
	switch {
	case e.Decision.Allow && (e.Decision.Reason == check.Backend || e.Decision.Reason == check.Rule):
		return nil
	case e.Decision.Outcome.Verdict == check.Unavailable && len(e.Traces) > 0:
		return &exitError{exitUnavailable}
	default:
		return &exitError{exitDeny}
	}
}

// checkRoute refuses a route that is not in the config.
func (c *checkFlags) checkRoute(cfg *config.Config) error {
	names := make([]string, 0, len(cfg.Routes))
	for _, r := range cfg.Routes {
		names = append(names, r.Name)
	}
	if c.route == "" || slices.Contains(names, c.route) {
		return nil
	}
	return fmt.Errorf("%s: there is no route %q; there is: %s", c.called("route"), c.route, strings.Join(names, ", "))
}

// request reads URL as a frontend reads what a proxy says of such a request; why
// says more about the reason. An error is about the flags, and does not show the
// URL: it may hold a token.
func (c *checkFlags) request(url string) (r check.Request, reason check.Reason, why, err error) {
	scheme, host, target, err := splitURL(url)
	if err != nil {
		return r, "", nil, err
	}
	switch {
	case c.method == "":
		return r, "", nil, fmt.Errorf("%s is empty: give the viewer's method, such as GET", c.called("method"))
	case strings.ContainsFunc(c.session, unicode.IsControl):
		return r, "", nil, fmt.Errorf("%s holds a control character, which no header can", c.called("session"))
	}
	if _, err := viewer.Address(c.ip); err != nil {
		return r, "", nil, fmt.Errorf("%s: %q is no address of a viewer: give one such as 192.0.2.7", c.called("ip"), c.ip)
	}
	said := frontend.Context{
		Proxy: checkName, Route: c.route, Method: c.method, Scheme: scheme, Host: host, Target: target,
		Address: c.ip, UserAgents: []string{c.userAgent},
	}
	r, reason, why = said.Request(nil)
	if reason == check.BadCheck {
		return r, "", nil, errors.New("the viewer's URL has no host: write one such as http://tv.example.com/live/index.m3u8?token=123")
	}
	return r, reason, why, nil
}

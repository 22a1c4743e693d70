package gate

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/country"
	"github.com/altagate/altagate/pkg/limit"
	"github.com/altagate/altagate/pkg/policy"
	"github.com/altagate/altagate/pkg/preset"
	"github.com/altagate/altagate/pkg/route"
	"github.com/altagate/altagate/pkg/securetoken"
	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/pkg/stream"
)

// compiled is what a config became. It is never changed.
type compiled struct {
	routes   *route.Table[*line]
	backends map[string]*source
	// limits are the bounds on questions to each of the backends.
	limits map[string]limit.Config
	// keys sign the ids of sessions; nil if there are none.
	keys *session.Keys
}

// line is one route, ready to decide.
type line struct {
	name     string
	sources  []*source
	backends []*backend.Backend // those of sources
	policy   policy.Policy
	ruled    ruled
	// elsewhere is where policy.Redirect leads.
	elsewhere elsewhere
	tokens    *securetoken.Tokens // nil if there are none
	rules     *session.Rules
	asking    *asking
	// shadows are asked too, and decide nothing.
	shadows []*source
	// trusted are the networks whose addresses in a list are no viewer's.
	trusted []netip.Prefix
	// users limit the viewers of one user, for each backend of the config.
	users map[string]config.Users
	// slowest is the backend with the longest timeout.
	slowest *source
}

// verdictTime is what a call may take beyond the backend's timeout: a failed
// question waits for altagate's own probe, which takes two seconds when the
// backend hangs, after the other questions under way ran out. Where these leave it
// longer in doubt, the check is late.
const verdictTime = 3 * time.Second

// compile builds what cfg says, with the backends of before where they are the
// same. The new ones probe nothing yet. On an error nothing of before was changed.
func compile(cfg *config.Config, before map[string]*source, notify func(check.Event)) (*compiled, error) {
	keys, err := loadKeys(cfg)
	if err != nil {
		return nil, err
	}
	rules, err := rulesOf(cfg)
	if err != nil {
		return nil, err
	}
	countries, err := loadCountries(cfg)
	if err != nil {
		return nil, err
	}
	backends := make(map[string]*source, len(cfg.Backends))
	limits := make(map[string]limit.Config, len(cfg.Backends))
	users := make(map[string]config.Users, len(cfg.Backends))
	for _, b := range cfg.Backends {
		built, err := buildBackend(b, before[b.Name], notify)
		if err != nil {
			closeExcept(backends, before)
			return nil, fmt.Errorf("backend %s: %w", b.Name, err)
		}
		backends[b.Name], limits[b.Name], users[b.Name] = built, limitsOf(b), b.Users
	}
	routes := make([]route.Rule[*line], 0, len(cfg.Routes))
	for i, r := range cfg.Routes {
		l := buildLine(r, rules[i], backends, countries)
		l.users = users
		if l.tokens, err = buildTokens(r.SecureToken); err != nil {
			closeExcept(backends, before)
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
		}
		routes = append(routes, route.Rule[*line]{Name: r.Name, Hosts: r.Hosts, Paths: r.Paths, Value: l})
	}
	return &compiled{routes: route.New(routes), backends: backends, limits: limits, keys: keys}, nil
}

// loadKeys reads the keys that a config names; nil if it names none.
func loadKeys(cfg *config.Config) (*session.Keys, error) {
	if len(cfg.Keys) == 0 {
		return nil, nil //nolint:nilnil // A config without keys is no mistake.
	}
	secrets, err := config.LoadKeys(cfg.Keys)
	if err != nil {
		return nil, err
	}
	return session.NewKeys(secrets)
}

// rulesOf makes the rules for the sessions of each route.
func rulesOf(cfg *config.Config) ([]*session.Rules, error) {
	once := map[string]bool{}
	for _, b := range cfg.Backends {
		p, _ := preset.Find(b.Preset)
		once[b.Name] = p.TokensDie
	}
	all := make([]*session.Rules, 0, len(cfg.Routes))
	for _, r := range cfg.Routes {
		layout, err := stream.Parse(r.Session.Layout, r.Paths)
		if err != nil {
			return nil, fmt.Errorf("route %s: layout: %w", r.Name, err)
		}
		all = append(all, &session.Rules{
			Route: r.Name, Layout: layout, Idle: r.Session.Idle, Max: r.Session.Max, Grace: r.Grace, Cache: r.Cache,
			Join: session.Join{
				ID:      slices.Contains(r.Session.Join, config.JoinID),
				Token:   slices.Contains(r.Session.Join, config.JoinToken),
				Client:  slices.Contains(r.Session.Join, config.JoinClient),
				Address: slices.Contains(r.Session.Join, config.JoinAddress),
			},
			AllowUnavailable: r.OnUnavailable == config.Allow,
			Once:             slices.ContainsFunc(r.Backends, func(name string) bool { return once[name] }),
		})
	}
	return all, nil
}

func buildBackend(b config.Backend, before *source, notify func(check.Event)) (*source, error) {
	header := make(http.Header, len(b.Headers))
	for name, value := range b.Headers {
		header.Set(name, value)
	}
	s := &source{limiter: limit.New(limitsOf(b))}
	kind, ok := preset.Find(b.Preset)
	if !ok {
		return nil, fmt.Errorf("there is no preset %q", b.Preset)
	}
	c := backend.Config{
		Name: b.Name, Preset: kind, URLs: b.URLs, Probe: b.Probe, Timeout: b.Timeout, Header: header, Host: b.Host,
		CAFile: b.CAFile, ServerName: b.ServerName, ClientCert: b.ClientCert, ClientKey: b.ClientKey, UnavailableStatuses: b.UnavailableStatuses, Stream: b.Stream,
		Enter: s.entering(b.Name, notify), Notify: s.reporting(notify),
	}
	if before != nil && before.Same(c) {
		return before, nil
	}
	var err error
	s.Backend, err = backend.New(c)
	return s, err
}

func buildLine(r config.Route, rules *session.Rules, backends map[string]*source, countries *country.File) *line {
	l := &line{name: r.Name, ruled: buildRules(r.Rules, countries), rules: rules, trusted: r.Trusted, policy: policy.Policy{
		AllowUnavailable: r.OnUnavailable == config.Allow, DenyStatus: r.DenyStatus, Observe: r.Mode == config.Observe, Redirect: r.Redirect,
	}}
	l.elsewhere = elsewhereOf(r.Redirect)
	for _, name := range r.Backends {
		b := backends[name]
		l.sources, l.backends = append(l.sources, b), append(l.backends, b.Backend)
		if l.slowest == nil || b.Timeout() > l.slowest.Timeout() {
			l.slowest = b
		}
	}
	for _, name := range r.Shadow {
		l.shadows = append(l.shadows, backends[name])
	}
	l.asking = newAsking(limitOf(l.slowest.Timeout()), l)
	return l
}

// warnShortDeadline counts, and reports once for a backend, that a caller waits for less
// time than the backend may take: its viewers would be denied as late, one after
// the other, by a backend that is merely slow.
func (l *line) warnShortDeadline(ctx context.Context, proxy string, notify func(check.Event)) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return
	}
	if left := time.Until(deadline); left < l.slowest.Timeout() {
		l.slowest.short.Add(1)
		l.slowest.warned.Do(func() {
			notify(check.ShortDeadline{Proxy: proxy, Backend: l.slowest.Name(), Deadline: left, Timeout: l.slowest.Timeout()})
		})
	}
}

// closeExcept closes the backends that are not in kept, at once.
func closeExcept(backends, kept map[string]*source) {
	for name, b := range backends {
		if kept[name] != b {
			b.Close()
		}
	}
}

// watchExcept begins to probe the backends that are not in kept.
func watchExcept(backends, kept map[string]*source) {
	for name, b := range backends {
		if kept[name] != b {
			b.Watch()
		}
	}
}

package gate

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/policy"
	"github.com/altagate/altagate/pkg/route"
)

// compiled is what a config became. It is never changed.
type compiled struct {
	routes   *route.Table[*line]
	backends map[string]*source
}

// line is one route, ready to decide.
type line struct {
	name     string
	sources  []*source
	backends []*backend.Backend // those of sources
	policy   policy.Policy
	asking   *asking
	// slowest is the backend with the longest timeout.
	slowest *source
}

// verdictTime is what a call may take beyond the backend's timeout: a failed
// question waits for altagate's own probe, which takes two seconds when the
// backend hangs, after the other questions under way ran out.
const verdictTime = 3 * time.Second

// compile builds what cfg says, with the backends of before where they are the
// same. The new ones probe nothing yet. On an error nothing of before was changed.
func compile(cfg *config.Config, before map[string]*source, notify func(check.Event)) (*compiled, error) {
	backends := make(map[string]*source, len(cfg.Backends))
	for _, b := range cfg.Backends {
		built, err := buildBackend(b, before[b.Name], notify)
		if err != nil {
			closeExcept(backends, before)
			return nil, fmt.Errorf("backend %s: %w", b.Name, err)
		}
		backends[b.Name] = built
	}
	rules := make([]route.Rule[*line], 0, len(cfg.Routes))
	for _, r := range cfg.Routes {
		rules = append(rules, route.Rule[*line]{Name: r.Name, Hosts: r.Hosts, Paths: r.Paths, Value: buildLine(r, backends)})
	}
	return &compiled{routes: route.New(rules), backends: backends}, nil
}

func buildBackend(b config.Backend, before *source, notify func(check.Event)) (*source, error) {
	header := make(http.Header, len(b.Headers))
	for name, value := range b.Headers {
		header.Set(name, value)
	}
	s := new(source)
	c := backend.Config{
		Name: b.Name, URLs: b.URLs, Probe: b.Probe, Timeout: b.Timeout, Header: header, Host: b.Host,
		CAFile: b.CAFile, ServerName: b.ServerName, UnavailableStatuses: b.UnavailableStatuses, Notify: s.reporting(notify),
	}
	if before != nil && before.Same(c) {
		return before, nil
	}
	var err error
	s.Backend, err = backend.New(c)
	return s, err
}

func buildLine(r config.Route, backends map[string]*source) *line {
	l := &line{name: r.Name, policy: policy.Policy{AllowUnavailable: r.OnUnavailable == config.Allow, DenyStatus: r.DenyStatus}}
	for _, name := range r.Backends {
		b := backends[name]
		l.sources, l.backends = append(l.sources, b), append(l.backends, b.Backend)
		if l.slowest == nil || b.Timeout() > l.slowest.Timeout() {
			l.slowest = b
		}
	}
	l.asking = newAsking(2*l.slowest.Timeout()+verdictTime, l)
	return l
}

// warnShortDeadline reports, once for a backend, that a caller waits for less
// time than the backend may take: its viewers would be denied as late, one after
// the other, by a backend that is merely slow.
func (l *line) warnShortDeadline(ctx context.Context, proxy string, notify func(check.Event)) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return
	}
	if left := time.Until(deadline); left < l.slowest.Timeout() {
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

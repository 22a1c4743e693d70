package gate

import (
	"maps"
	"slices"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/certs"
	"github.com/altagate/altagate/pkg/config"
)

// BackendState is what is known of a backend, and which routes ask it.
type BackendState struct {
	backend.State
	// ShortDeadlines counts the checks whose caller waits for less time than the
	// backend may take.
	ShortDeadlines uint64 `json:"short_deadlines"`
	// Routes are in the order of their names.
	Routes []RouteUse `json:"routes"`
}

// RouteUse is a route that asks a backend, and what happens there while all of its
// backends are away.
type RouteUse struct {
	Name          string `json:"name"`
	OnUnavailable string `json:"on_unavailable"`
	// Grace is how long those who were allowed watch on, as a config has it.
	Grace string `json:"grace"`
}

// Backends tells what is known of each backend of the config in force, in the
// order of their names.
func (g *Gate) Backends() []BackendState {
	c := g.current.Load()
	all := make([]BackendState, 0, len(c.backends))
	for _, name := range slices.Sorted(maps.Keys(c.backends)) {
		all = append(all, BackendState{
			State: c.backends[name].State(), ShortDeadlines: c.backends[name].short.Load(), Routes: c.routesOf(c.backends[name]),
		})
	}
	return all
}

// Certificates gives what sees the changes of the files that the backends in force
// have their certificates from, by the backends' names.
func (g *Gate) Certificates() map[string]*certs.Keeper {
	all := map[string]*certs.Keeper{}
	for name, b := range g.current.Load().backends {
		if keeper := b.Certificates(); keeper != nil {
			all[name] = keeper
		}
	}
	return all
}

// routesOf gives the routes that ask a backend.
func (c *compiled) routesOf(s *source) []RouteUse {
	uses := []RouteUse{}
	for _, name := range c.routes.Names() {
		l, _ := c.routes.Find(name, "", "")
		if !slices.Contains(l.sources, s) {
			continue
		}
		use := RouteUse{Name: name, OnUnavailable: string(config.Deny), Grace: l.rules.Grace.String()}
		if l.policy.AllowUnavailable {
			use.OnUnavailable = string(config.Allow)
		}
		uses = append(uses, use)
	}
	return uses
}

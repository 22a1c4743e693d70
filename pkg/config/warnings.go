package config

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Warnings tells what is valid and may not be meant: a sentence each, which
// names the routes that it is about. nil means nothing. It reads the files of
// secure_token's secrets, to tell whether one is short.
func (c *Config) Warnings() []string {
	var all []string
	if open := c.routesWhere(func(r Route) bool {
		return r.Session.Layout == layoutAuto && len(r.Session.Join) > 0 && r.Paths == nil
	}); len(open) > 0 {
		all = append(all, routesHave(open)+" layout auto and no match.paths: an allow for D/index.m3u8 is an allow for all below D, "+
			"so a folder that holds channels belongs in paths (paths: [/] if only the root holds them)")
	}
	if observing := c.routesWhere(func(r Route) bool { return r.Mode == Observe }); len(observing) > 0 {
		all = append(all, routesHave(observing)+" mode observe: EVERYBODY is allowed there, and the log tells who would have been denied")
	}
	if weak := c.routesWhere(weakToken); len(weak) > 0 {
		all = append(all, routesHave(weak)+" a secret of less than 16 bytes in secure_token: who has one token can find it out "+
			"on a computer of their own; make a longer one with openssl rand -hex 16, and put it in front of the old one")
	}
	if open := c.routesWhere(c.opensByAnError); len(open) > 0 {
		all = append(all, routesHave(open)+" on_unavailable allow and backends for which a 500 counts as away, without a probe of their own: "+
			"one that answers altagate's own request, which has no token, with 500 lets EVERYBODY in; "+
			"give such a backend a probe that it answers with something else")
	}
	for _, b := range c.Backends {
		for _, status := range b.UnavailableStatuses {
			if status < 500 {
				all = append(all, fmt.Sprintf("backend %s has %d in unavailable_statuses: if it answers altagate's probe so, which has no token, "+
					"it is taken for away, and on_unavailable decides about everybody; list only what stands for a dead portal, such as 502", b.Name, status))
			}
		}
	}
	return all
}

// opensByAnError tells whether a portal that fails over a request without a token
// lets everybody in: so may one that speaks Flussonic's protocol.
func (c *Config) opensByAnError(r Route) bool {
	return r.OnUnavailable == Allow && !slices.ContainsFunc(c.Backends, func(b Backend) bool {
		return slices.Contains(r.Backends, b.Name) && (b.Probe != nil || !slices.Contains(b.UnavailableStatuses, http.StatusInternalServerError))
	})
}

// routesWhere names the routes for which is holds.
func (c *Config) routesWhere(is func(Route) bool) []string {
	var names []string
	for _, r := range c.Routes {
		if is(r) {
			names = append(names, r.Name)
		}
	}
	return names
}

// routesHave begins a sentence about routes.
func routesHave(names []string) string {
	if len(names) == 1 {
		return "route " + names[0] + " has"
	}
	return "routes " + strings.Join(names, ", ") + " have"
}

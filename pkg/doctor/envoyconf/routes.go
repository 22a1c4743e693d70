package envoyconf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// paths finds where Envoy serves another path than the checked one.
func (c *conf) paths(m *manager) {
	if !m.get("normalize_path").isTrue() {
		c.out.Add(pathRaw, c.where(m.node), "normalize_path is not true", "normalize_path: true")
	}
	if !m.get("merge_slashes").isTrue() {
		c.out.Add(slashesKept, c.where(m.node), "merge_slashes is not true", "merge_slashes: true")
	}
	if action := m.get("path_with_escaped_slashes_action").text(); action == "" || action == "KEEP_UNCHANGED" || action == "IMPLEMENTATION_SPECIFIC_DEFAULT" {
		c.out.Add(escapedSlashes, c.where(m.node), "path_with_escaped_slashes_action lets them through", "path_with_escaped_slashes_action: REJECT_REQUEST")
	}
}

// words are the headers in which some origins read another path, host or method
// than the checked one, and own are those that altagate itself sends an origin.
var (
	words = []string{
		"x-real-ip", "forwarded", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix", "x-original-url", "x-rewrite-url",
		"x-http-method-override",
	}
	own = []string{"x-session-id", "x-session-name", "x-user-id", "x-altagate-decision", "x-altagate-reason", "x-altagate-id"}
)

// viewers finds the headers of a viewer that the origin gets. altagate itself has
// its own removed or replaced; over HTTP only if it may send them.
func (c *conf) viewers(m *manager) {
	needed := words
	for _, f := range m.checks {
		sent := f.get("http_service", "authorization_response", "allowed_upstream_headers", "patterns").items()
		for _, name := range own {
			if f.get("http_service").there() && !lists(sent, name) {
				needed = append(slices.Clone(needed), name)
			}
		}
	}
	removed := map[string]bool{}
	m.walk(func(n node) {
		if at := n.get("remove"); at.text() != "" {
			removed[strings.ToLower(at.text())] = true
		}
		for _, name := range n.get("request_headers_to_remove").items() {
			removed[strings.ToLower(name.text())] = true
		}
	})
	var names, write []string
	for _, name := range needed {
		if !removed[name] {
			names = append(names, name)
			write = append(write, "- remove: "+name)
		}
	}
	if len(names) > 0 {
		c.out.Add(viewerHeaders, c.where(m.node), "a viewer's own "+strings.Join(names, ", ")+" reach the origin",
			append([]string{"early_header_mutation_extensions, as in envoy/grpc.yaml, with"}, write...)...)
	}
	if action := m.get("common_http_protocol_options", "headers_with_underscores_action").text(); action != "DROP_HEADER" && action != "REJECT_REQUEST" {
		c.out.Add(underscores, c.where(m.node), "headers with underscores pass", "common_http_protocol_options: {headers_with_underscores_action: DROP_HEADER}")
	}
}

// routeConfig is the routes of a manager, and whether they are in the file.
func (c *conf) routeConfig(m *manager) node {
	if !m.get("route_config").there() {
		c.out.Cannot("the routes at %s: they come from elsewhere (rds); give it what /config_dump answers", c.where(m.node))
	}
	return m.get("route_config")
}

// routes looks at where requests go.
func (c *conf) routes(m *manager) {
	config := c.routeConfig(m)
	for _, f := range m.checks {
		c.turnedOff(config, f.name, false)
	}
	for _, host := range config.get("virtual_hosts").items() {
		if !slices.ContainsFunc(host.get("routes").items(), serves) {
			continue
		}
		for _, domain := range host.get("domains").items() {
			if domain.text() == "*" {
				c.out.Add(unknownHost, c.where(domain), fmt.Sprintf("the virtual host %s answers for any host", host.get("name").text()), "domains: [tv.example.com]")
			}
		}
	}
	c.exposed(m, config)
}

// serves says whether a route leads to a cluster.
func serves(route node) bool { return route.get("route").there() }

// turnedOff finds where routes turn the check off. answers is set inside a route
// that Envoy answers by itself.
func (c *conf) turnedOff(n node, name string, answers bool) {
	answers = answers || n.get("direct_response").there() || n.get("redirect").there()
	n.each(func(key string, value node) {
		if key != "typed_per_filter_config" && key != "typedPerFilterConfig" {
			c.turnedOff(value, name, answers)
			return
		}
		value.each(func(filter string, config node) {
			if off := config.get("disabled"); filter == name && off.isTrue() && !answers {
				c.out.Add(checkOff, c.where(off), name+" is turned off for this route", "take it out")
			}
		})
	})
	for _, i := range n.items() {
		c.turnedOff(i, name, answers)
	}
}

// exposed finds routes that lead viewers to altagate.
func (c *conf) exposed(m *manager, config node) {
	leads := led(config)
	for _, cluster := range slices.Sorted(maps.Keys(leads)) {
		at := leads[cluster]
		asked := slices.ContainsFunc(m.checks, func(f filter) bool { return f.cluster == cluster })
		if asked || c.reachesAltagate(cluster) {
			c.out.Add(altagateExposed, c.where(at), "a route leads viewers to the cluster "+cluster, "take it out")
		}
	}
}

// led are the clusters that routes lead to, each with a place.
func led(config node) map[string]node {
	all := map[string]node{}
	config.walk(func(n node) {
		if to := n.get("route", "cluster"); to.text() != "" {
			all[to.text()] = to
		}
		for _, part := range n.get("weighted_clusters", "clusters").items() {
			all[part.get("name").text()] = part
		}
	})
	return all
}

// checkedClusters are those that a manager with a check leads to.
func (c *conf) checkedClusters() map[string]bool {
	all := map[string]bool{}
	for _, m := range c.managers {
		if len(m.checks) > 0 {
			for cluster := range led(m.get("route_config")) {
				all[cluster] = true
			}
		}
	}
	return all
}

// uncheckedManager looks at a listener that asks nobody.
func (c *conf) uncheckedManager(m *manager, checked map[string]bool) {
	config := c.routeConfig(m)
	leads := led(config)
	for _, cluster := range slices.Sorted(maps.Keys(leads)) {
		if checked[cluster] {
			c.out.Add(unchecked, c.where(leads[cluster]), "a listener without the check leads to the cluster "+cluster+", which is checked elsewhere", "the filter of envoy/grpc.yaml, before that of the router")
		}
	}
	c.exposed(m, config)
}

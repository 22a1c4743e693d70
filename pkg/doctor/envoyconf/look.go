// Package envoyconf finds in a config of Envoy what opens the gate, or lets viewers
// write what altagate believes. It reads a bootstrap file, or /config_dump.
package envoyconf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/altagate/altagate/pkg/doctor"
)

// Is says whether a text is a YAML or JSON document that Envoy could have.
func Is(text string) bool {
	root, err := load(text)
	if err != nil {
		return false
	}
	for _, key := range []string{"static_resources", "dynamic_resources", "admin", "configs", "resources", "listeners", "node", "@type"} {
		if root.get(key).there() {
			return true
		}
	}
	return false
}

// Look reads a config and says what is wrong with it. name is what findings call
// the file. An error says that the text is no config of Envoy.
func Look(name, text string, facts doctor.Facts) (*doctor.Section, error) {
	root, err := load(text)
	if err != nil {
		return nil, fmt.Errorf("reading a config of Envoy: %w", err)
	}
	c := &conf{name: name, facts: facts, clusters: map[string]node{}, out: doctor.NewSection("Envoy: " + name)}
	c.read(root)
	if len(c.managers) == 0 {
		return nil, errors.New("reading a config of Envoy: there is no HttpConnectionManager in it: give it the bootstrap file, or what /config_dump of Envoy's admin page answers")
	}
	c.look(root)
	return c.out, nil
}

// conf is a config as it is looked at.
type conf struct {
	name     string
	facts    doctor.Facts
	clusters map[string]node
	managers []*manager
	out      *doctor.Section
}

// manager is one HttpConnectionManager.
type manager struct {
	node
	// checks are the filters that ask altagate, each with the name that routes
	// turn it off by.
	checks []filter
}

type filter struct {
	// node is the filter's typed_config, and entry its entry in http_filters.
	node
	entry node
	name  string
	// cluster is where altagate is.
	cluster string
}

func (c *conf) read(root node) {
	root.walk(func(n node) {
		if n.isType(".HttpConnectionManager") {
			c.managers = append(c.managers, &manager{node: n})
		}
		for _, cluster := range n.get("clusters").items() {
			if name := cluster.get("name").text(); name != "" && !cluster.get("weight").there() {
				c.clusters[name] = cluster
			}
		}
		if n.isType(".cluster.v3.Cluster") {
			c.clusters[n.get("name").text()] = n
		}
	})
	for _, m := range c.managers {
		for _, entry := range m.get("http_filters").items() {
			config := entry.get("typed_config")
			if config.isType(".ext_authz.v3.ExtAuthz") {
				m.checks = append(m.checks, filter{node: config, entry: entry, name: entry.get("name").text(), cluster: asks(config)})
			}
		}
		if of := slices.DeleteFunc(slices.Clone(m.checks), func(f filter) bool { return !c.isAltagates(f) }); len(of) > 0 {
			m.checks = of
		}
	}
}

// asks is the cluster that a filter asks; for Google's client of gRPC, its address.
func asks(config node) string {
	for _, at := range []node{
		config.get("grpc_service", "envoy_grpc", "cluster_name"),
		config.get("grpc_service", "google_grpc", "target_uri"),
		config.get("http_service", "server_uri", "cluster"),
	} {
		if at.there() {
			return at.text()
		}
	}
	return ""
}

// isAltagates tells altagate from another service that is asked beside it.
func (c *conf) isAltagates(f filter) bool {
	return strings.Contains(f.cluster, "altagate") || strings.HasPrefix(f.get("http_service", "path_prefix").text(), "/auth/envoy") ||
		c.reachesAltagate(f.cluster)
}

// reachesAltagate says whether a cluster has an address of altagate's.
func (c *conf) reachesAltagate(cluster string) bool {
	found := false
	c.clusters[cluster].walk(func(n node) {
		address := n.get("address").text() + ":" + n.get("port_value").text()
		if pipe := n.get("path").text(); pipe != "" {
			address = "unix:" + pipe
		}
		found = found || address == c.facts.Admin || slices.Contains(c.facts.Checks, address)
	})
	return found
}

func (c *conf) where(n node) string {
	if n.line() == 0 {
		return c.name
	}
	return fmt.Sprintf("%s:%d", c.name, n.line())
}

func (c *conf) look(root node) {
	c.admin(root.get("admin", "address", "socket_address"))
	if !slices.ContainsFunc(c.managers, func(m *manager) bool { return len(m.checks) > 0 }) {
		c.out.Add(noCheck, c.where(c.managers[0].get("http_filters")), "there is no filter envoy.filters.http.ext_authz",
			"the filter of envoy/grpc.yaml, before that of the router")
		return
	}
	checked := c.checkedClusters()
	for _, m := range c.managers {
		if len(m.checks) == 0 {
			c.uncheckedManager(m, checked)
			continue
		}
		for _, f := range m.checks {
			c.filter(m, f)
		}
		c.paths(m)
		c.viewers(m)
		c.routes(m)
	}
	c.fine()
}

func (c *conf) admin(at node) {
	address := at.get("address").text()
	if ip, err := netip.ParseAddr(address); address != "" && (err != nil || !ip.IsLoopback()) && address != "localhost" {
		c.out.Add(adminExposed, c.where(at), "the admin page listens on "+address, "address: 127.0.0.1")
	}
}

// fine says what was looked at and found to be as it should be.
func (c *conf) fine() {
	for _, group := range []struct {
		words string
		kinds []doctor.Kind
	}{
		{"the check is on, before everything that serves, and on every route", []doctor.Kind{checkOff, cacheFirst, unchecked}},
		{"while altagate is away viewers are denied", []doctor.Kind{failureModeAllow}},
		{"altagate is told the viewer's address, and no viewer writes it", []doctor.Kind{addressForged, addressHidden, addressMissing}},
		{"the path that is checked is the one that is served", []doctor.Kind{pathRaw, slashesKept, escapedSlashes}},
		{"altagate has the time that its backend may take", []doctor.Kind{timeout, retry}},
		{"viewers reach neither altagate nor Envoy's admin page through this", []doctor.Kind{altagateExposed, adminExposed}},
	} {
		if !c.out.Found(group.kinds...) {
			c.out.Is("%s", group.words)
		}
	}
	c.out.Cannot("whether viewers reach the origin without Envoy: only your firewall knows")
}

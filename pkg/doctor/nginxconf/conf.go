package nginxconf

import (
	"slices"
	"strings"

	"github.com/altagate/altagate/pkg/doctor"
)

// conf is a config as it is looked at.
type conf struct {
	http      *directive
	upstreams map[string]*directive
	servers   []*server
	facts     doctor.Facts
	// protected are the sources of everything that is checked.
	protected []string
	out       *doctor.Section
	// cached are the checks that are kept, by cache and key, each with what is asked.
	cached map[string]string
}

// server is a server block in which something is checked, or nothing.
type server struct {
	*directive
	// blocks are all places that may serve: its locations, and itself.
	blocks []*directive
	// checked are those of them for which altagate is asked.
	checked []*directive
	// auth are the locations that ask, by the URI of auth_request.
	auth map[string]*directive
}

// read finds the servers of a config, and what is checked in them.
func read(top *directive, facts doctor.Facts, out *doctor.Section) *conf {
	c := &conf{http: top, upstreams: map[string]*directive{}, facts: facts, out: out, cached: map[string]string{}}
	if h := top.own("http"); len(h) > 0 {
		c.http = h[0]
	}
	for _, u := range c.http.own("upstream") {
		c.upstreams[u.arg(0)] = u
	}
	for _, d := range c.http.own("server") {
		s := &server{directive: d, blocks: append(d.locations(), d), auth: map[string]*directive{}}
		for _, b := range s.blocks {
			if uri := b.value("auth_request"); uri != "" && uri != "off" {
				s.auth[uri] = d.find(uri)
			}
		}
		c.servers = append(c.servers, s)
	}
	for _, s := range c.servers {
		s.findChecked()
		for _, b := range s.checked {
			if serves(s, b) {
				c.protected = append(c.protected, c.sources(b)...)
			}
		}
	}
	return c
}

func (s *server) findChecked() {
	for _, b := range s.blocks {
		if checks(b) && !s.asks(b) {
			s.checked = append(s.checked, b)
		}
	}
}

// asks says whether a block is one that asks altagate.
func (s *server) asks(b *directive) bool {
	for _, a := range s.auth {
		if a == b {
			return true
		}
	}
	return false
}

// checks says whether requests for a block are checked.
func checks(b *directive) bool {
	uri := b.value("auth_request")
	return uri != "" && uri != "off"
}

// serves says whether a block has content: not one that always answers by itself,
// nor a server whose locations take everything.
func serves(s *server, b *directive) bool {
	if s.directive == b && s.find("/") != nil {
		return false
	}
	return len(b.own("return")) == 0
}

// internal says whether only nginx itself gets to a location.
func internal(b *directive) bool {
	how, _ := b.match()
	return how == "@" || len(b.own("internal")) > 0
}

// isAltagate says whether one of the addresses is one of altagate's.
func (c *conf) isAltagate(addresses []string) bool {
	return shares(addresses, append(slices.Clone(c.facts.Checks), c.facts.Admin))
}

// named is a location as an operator calls it.
func named(b *directive) string {
	if b.name == "server" {
		if n := b.own("server_name"); len(n) > 0 {
			return "server " + n[0].arg(0)
		}
		return "the server"
	}
	return strings.TrimSpace(b.String())
}

package nginxconf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// uncheckedIn finds places that serve what is checked elsewhere.
func (c *conf) uncheckedIn(s *server) {
	for _, b := range s.blocks {
		if checks(b) || s.asks(b) || internal(b) || static(b) || !serves(s, b) {
			continue
		}
		if sources := c.sources(b); shares(sources, c.protected) {
			c.out.Add(unchecked, b.where(), fmt.Sprintf("%s serves what is checked elsewhere (%s), and asks nobody", named(b), sources[0]), "auth_request /_altagate;")
		}
	}
}

// checkedBlock looks at a block for which altagate is asked.
func (c *conf) checkedBlock(s *server, b *directive) {
	c.answered(b)
	c.rewritten(s, b)
	if b == s.directive && s.find("/") != nil {
		return // its locations inherit the rest
	}
	c.servedPages(s, b)
	c.satisfied(b)
	c.servedPath(b)
	c.viewerHeaders(b)
	for _, name := range []string{"try_files", "index"} {
		if all := b.effective(name); len(all) > 0 && len(c.passes(b)) == 0 && serves(s, b) {
			c.out.Add(checkedTwice, all[len(all)-1].where(), all[len(all)-1].String()+" in "+named(b)+", which is checked", "serve files by their own names")
		}
	}
}

// answered finds returns that leave a checked block before the check.
func (c *conf) answered(b *directive) {
	for _, r := range b.inIf("return") {
		code, err := strconv.Atoi(r.arg(0))
		body := r.arg(1)
		switch {
		case err == nil && (code >= 400 || code == 204):
		case redirectsHome(r):
		case err == nil && code/100 == 2 && body == "":
		default:
			c.out.Add(answeredFirst, r.where(), fmt.Sprintf("%s in %s, which is checked", r, named(b)),
				"put it into a location of its own with auth_request off, if everybody may see it")
		}
	}
}

// redirectsHome says whether a return sends a viewer to the same host, where he is
// checked: mostly from http to https.
func redirectsHome(r *directive) bool {
	url := r.arg(len(r.args) - 1)
	for _, home := range []string{"https://$host", "https://$server_name", "https://$http_host", "http://$host", "$scheme://$host"} {
		if strings.HasPrefix(url, home) {
			return true
		}
	}
	return strings.HasPrefix(url, "/")
}

// rewritten finds rewrites that lead from a checked block to one that is not. The
// place is found by what stands before the first variable.
func (c *conf) rewritten(s *server, b *directive) {
	for _, r := range b.inIf("rewrite") {
		to, flag := r.arg(1), r.arg(2)
		if flag == "redirect" || flag == "permanent" || flag == "break" || !strings.HasPrefix(to, "/") {
			continue
		}
		fixed, _, _ := strings.Cut(to, "$")
		target := s.find(fixed)
		if target != nil && !checks(target) && !s.asks(target) && shares(c.sources(target), c.protected) {
			c.out.Add(answeredFirst, r.where(), fmt.Sprintf("%s leads from %s to %s, which is not checked", r, named(b), named(target)),
				"auth_request /_altagate;  # in "+named(target))
		}
	}
}

func (c *conf) satisfied(b *directive) {
	if b.value("satisfy") != "any" {
		return
	}
	for _, name := range []string{"allow", "auth_basic"} {
		for _, d := range b.effective(name) {
			if d.arg(0) != "off" {
				c.out.Add(satisfyAny, d.where(), fmt.Sprintf("satisfy any and %s in %s", d, named(b)), "satisfy all;")
				return
			}
		}
	}
}

// servedPath finds where the origin gets another path than the checked one.
func (c *conf) servedPath(b *directive) {
	if all := b.effective("merge_slashes"); len(all) > 0 && all[len(all)-1].arg(0) == "off" {
		c.out.Add(slashesKept, all[len(all)-1].where(), "merge_slashes off", "merge_slashes on;")
	}
	normalized := len(b.inIf("rewrite")) > 0
	for _, d := range b.inIf("set") {
		normalized = normalized || d.arg(0) == "$args" || d.arg(0) == "$uri"
	}
	for _, p := range b.inIf("proxy_pass") {
		url := p.arg(0)
		_, rest, _ := strings.Cut(url, "://")
		if unix, ok := strings.CutPrefix(rest, "unix:"); ok {
			_, rest, _ = strings.Cut(unix, ":")
			rest = "x" + rest
		}
		if strings.ContainsAny(rest, "/$") || normalized || c.isAltagate(c.addresses(url)) {
			continue
		}
		write := "set $args $args;  # makes nginx send the path that it chose the location by"
		if how, what := b.match(); b.name == "location" && (how == "" || how == "^~" || how == "=") {
			write = "proxy_pass " + url + what + ";"
		}
		c.out.Add(pathRaw, p.where(), fmt.Sprintf("%s in %s has no path", p, named(b)), write)
	}
}

// fromViewers are the headers that a viewer may not send an origin: altagate's, and
// words about another path, host, method or address than the checked one.
var fromViewers = [][2]string{
	{"X-Session-Id", `""`}, {"X-Session-Name", `""`}, {"X-User-Id", `""`},
	{"X-Altagate-Decision", `""`}, {"X-Altagate-Reason", `""`}, {"X-Altagate-Id", `""`},
	{"X-Real-IP", "$remote_addr"}, {"X-Forwarded-For", "$remote_addr"}, {"X-Forwarded-Proto", "$scheme"},
	{"X-Forwarded-Host", "$host:$server_port"}, {"X-Forwarded-Port", `""`}, {"X-Forwarded-Prefix", `""`}, {"Forwarded", `""`},
	{"X-Original-URL", `""`}, {"X-Rewrite-URL", `""`}, {"X-HTTP-Method-Override", `""`},
}

func (c *conf) viewerHeaders(b *directive) {
	if len(b.inIf("proxy_pass")) == 0 || b.value("proxy_pass_request_headers") == "off" {
		return
	}
	var names, write []string
	for _, h := range fromViewers {
		value, at := b.set(h[0])
		if at == nil || strings.HasPrefix(value, "$http_") {
			names = append(names, h[0])
			write = append(write, setLine(h))
		}
	}
	if len(names) > 0 {
		c.out.Add(viewerHeaders, b.where(), fmt.Sprintf("%s passes a viewer's own %s on", named(b), strings.Join(names, ", ")), write...)
	}
}

// exposed finds ways of a viewer to altagate itself.
func (c *conf) exposed(s *server, b *directive) {
	if internal(b) || s.asks(b) {
		return
	}
	if all := c.passes(b); c.isAltagate(all) {
		c.out.Add(altagateExposed, b.where(), fmt.Sprintf("%s passes viewers to %s", named(b), strings.Join(all, ", ")), "take it out")
	}
}

// host finds a checked server that answers for hosts nobody named.
func (c *conf) host(s *server) {
	const refuse = "server { listen PORT default_server; server_name _; return 421; }"
	for _, n := range s.own("server_name") {
		for _, name := range n.args {
			if name == "_" || name == "" || name == "~." || name == "~.*" || name == "~^.*$" || name == "*" {
				c.out.Add(unknownHost, n.where(), n.String()+" answers for any host", refuse)
				return
			}
		}
	}
	listens := s.own("listen")
	if len(listens) == 0 {
		listens = []*directive{{name: "listen", args: []string{"80"}, file: s.file, line: s.line}}
	}
	for _, l := range listens {
		if c.defaultFor(l) == s.directive {
			c.out.Add(unknownHost, l.where(), fmt.Sprintf("%s is the default server of its port, so %s answers for any host", l, named(s.directive)), refuse)
			return
		}
	}
}

// defaultFor is the server that answers at a listen's address for hosts that no
// server names: the default one, else the first.
func (c *conf) defaultFor(listen *directive) *directive {
	var first *directive
	for _, s := range c.servers {
		for _, l := range s.own("listen") {
			if !sameListen(l, listen) {
				continue
			}
			if slices.Contains(l.args, "default_server") || slices.Contains(l.args, "default") {
				return s.directive
			}
			if first == nil {
				first = s.directive
			}
		}
	}
	if first == nil && listen.parent == nil {
		return nil
	}
	return first
}

func sameListen(a, b *directive) bool { return listenAddress(a.arg(0)) == listenAddress(b.arg(0)) }

// listenAddress gives "8081", "*:8081" and "0.0.0.0:8081" one spelling.
func listenAddress(text string) string {
	if strings.HasPrefix(text, "unix:") {
		return text
	}
	if _, err := strconv.Atoi(text); err == nil {
		return "*:" + text
	}
	if !strings.Contains(text, ":") || strings.HasSuffix(text, "]") {
		text += ":80"
	}
	return strings.Replace(text, "0.0.0.0:", "*:", 1)
}

// realAddress looks at who may say what a viewer's address is.
func (c *conf) realAddress(s *server) {
	for _, d := range s.effective("set_real_ip_from") {
		if from := d.arg(0); from == "0.0.0.0/0" || from == "::/0" {
			c.out.Add(addressOpen, d.where(), d.String(), "set_real_ip_from ADDRESS-OF-YOUR-BALANCER;")
		}
	}
}

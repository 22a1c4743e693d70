package nginxconf

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// own are a block's own directives of a name.
func (d *directive) own(name string) (all []*directive) {
	for _, b := range d.body {
		if b.name == name {
			all = append(all, b)
		}
	}
	return all
}

// effective are the directives of a name that hold in a block: its own, else those
// of the nearest block around it that has any. nginx inherits all of its list
// directives in this way.
func (d *directive) effective(name string) []*directive {
	for b := d; b != nil; b = b.parent {
		if own := b.own(name); len(own) > 0 {
			return own
		}
	}
	return nil
}

// value is the first argument of the directive that holds in a block; empty if
// there is none.
func (d *directive) value(name string) string {
	all := d.effective(name)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1].arg(0)
}

// set is the value that proxy_set_header gives a header in a block, and where.
func (d *directive) set(header string) (value string, at *directive) {
	for _, h := range d.effective("proxy_set_header") {
		if strings.EqualFold(h.arg(0), header) {
			return h.arg(1), h
		}
	}
	return "", nil
}

// walk calls f for a directive and all below it.
func (d *directive) walk(f func(*directive)) {
	f(d)
	for _, b := range d.body {
		b.walk(f)
	}
}

// inIf are the directives of a block and of its "if" blocks.
func (d *directive) inIf(name string) []*directive {
	all := d.own(name)
	for _, i := range d.own("if") {
		all = append(all, i.own(name)...)
	}
	return all
}

// locations are those of a server or a location, with those in them.
func (d *directive) locations() (all []*directive) {
	for _, l := range d.own("location") {
		if l.block && len(l.args) > 0 {
			all = append(append(all, l), l.locations()...)
		}
	}
	return all
}

// path gives how a location is matched: "=", "^~", "~", "~*", "@" or "" for a
// plain beginning, and what is compared.
func (d *directive) match() (how, what string) {
	if len(d.args) >= 2 {
		return d.args[0], d.args[1]
	}
	what = d.arg(0)
	for _, how := range []string{"^~", "~*", "~", "=", "@"} {
		if rest, ok := strings.CutPrefix(what, how); ok {
			return how, rest
		}
	}
	return "", what
}

// find is the location of a server that nginx takes for a path, or for @name; nil
// if there is none. A regular expression that only PCRE understands is passed over.
func (d *directive) find(uri string) *directive {
	if name, ok := strings.CutPrefix(uri, "@"); ok {
		for _, l := range d.own("location") {
			if how, what := l.match(); how == "@" && what == name {
				return l
			}
		}
		return nil
	}
	uri, _, _ = strings.Cut(uri, "?")
	var best *directive
	bestHow, bestWhat := "", ""
	for _, l := range d.own("location") {
		how, what := l.match()
		switch {
		case how == "=" && what == uri:
			return l
		case (how == "" || how == "^~") && strings.HasPrefix(uri, what) && (best == nil || len(what) > len(bestWhat)):
			best, bestHow, bestWhat = l, how, what
		}
	}
	if best != nil {
		if inner := best.find(uri); inner != nil {
			return inner
		}
	}
	if bestHow != "^~" {
		if l := d.findByPattern(uri); l != nil {
			return l
		}
	}
	return best
}

func (d *directive) findByPattern(uri string) *directive {
	for _, l := range d.own("location") {
		how, what := l.match()
		if how != "~" && how != "~*" {
			continue
		}
		if how == "~*" {
			what = "(?i)" + what
		}
		if pattern, err := regexp.Compile(what); err == nil && pattern.MatchString(uri) {
			return l
		}
	}
	return nil
}

// handlers are the directives that make a location pass requests on.
var handlers = []string{"proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass"}

// passes are the places that a block passes requests on to, each as an address or,
// with a variable in it, as it is written.
func (c *conf) passes(block *directive) (all []string) {
	for _, name := range handlers {
		for _, p := range block.inIf(name) {
			all = append(all, c.addresses(p.arg(0))...)
		}
	}
	return all
}

// sources are the places that a block's content comes from: what it passes
// requests on to, else its directory.
func (c *conf) sources(block *directive) []string {
	if all := c.passes(block); len(all) > 0 {
		return all
	}
	for _, name := range []string{"alias", "root"} {
		if dir := block.value(name); dir != "" && (name == "root" || len(block.own(name)) > 0) {
			return []string{"files of " + path.Clean(dir)}
		}
	}
	return []string{"files of html"}
}

// addresses are those of a URL or name that is passed requests.
func (c *conf) addresses(url string) []string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		rest = url
	}
	if unix, ok := strings.CutPrefix(rest, "unix:"); ok {
		socket, _, _ := strings.Cut(unix, ":")
		return []string{"unix:" + socket}
	}
	host, _, _ := strings.Cut(rest, "/")
	if u := c.upstreams[host]; u != nil {
		var all []string
		for _, s := range u.own("server") {
			all = append(all, address(s.arg(0), "80"))
		}
		return all
	}
	port := "80"
	if strings.HasPrefix(url, "https://") {
		port = "443"
	}
	return []string{address(host, port)}
}

// address gives host:port one spelling.
func address(text, port string) string {
	if strings.HasPrefix(text, "unix:") {
		return text
	}
	if i := strings.LastIndexByte(text, ':'); i < 0 || strings.HasSuffix(text, "]") {
		text += ":" + port
	}
	if rest, ok := strings.CutPrefix(text, "localhost:"); ok {
		return "127.0.0.1:" + rest
	}
	return strings.Replace(text, "[::1]:", "127.0.0.1:", 1)
}

func shares(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

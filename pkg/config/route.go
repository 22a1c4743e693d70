package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/altagate/altagate/pkg/target"
)

const (
	exampleRoute = "{name: live, backends: [portal]}"
	nameRule     = "write 1 to 64 lower-case letters, digits, - and _, a letter or digit first"
	maxName      = 64
	// noRoute is the route label of a check that no route decided about.
	noRoute = "none"
)

// isName tells whether s can name a route or a backend: it goes into paths,
// metrics and the log as it is.
func isName(s string) bool {
	return s != "" && len(s) <= maxName && s[0] != '-' && s[0] != '_' && !strings.ContainsFunc(s, isNoNameRune)
}

func isNoNameRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// given is what routes need from the top of the file.
type given struct{ keys, countries bool }

// readRoutes reads the routes. With keys in the file they can join by id.
func readRoutes(v value, backends []Backend, has given) []Route {
	known := make([]string, 0, len(backends))
	for _, b := range backends {
		known = append(known, b.Name)
	}
	items := v.list(exampleRoutes)
	routes := make([]Route, 0, len(items))
	names := map[string]int{}
	taken := matches{}
	shadows := shadowing{}
	for _, item := range items {
		keys := item.section(exampleRoute, "name", "match", "backends", "on_unavailable", "grace", "deny_status", "session", "mode", "shadow",
			"rules", "secure_token", "trusted", "redirect", "cache")
		item.need(keys, "name", "has no name: write name: live")
		item.need(keys, "backends", "has no backends: write backends: [portal]")
		r := Route{OnUnavailable: Deny, Grace: DefaultGrace, DenyStatus: DefaultDenyStatus, Mode: Enforce}
		r.Name = readName(keys["name"], names)
		readMatch(item, keys["match"], &r, taken)
		r.Backends = readBackendNames(keys["backends"], "backends: [portal]", known, nil)
		r.Rules = readRules(keys["rules"], has.countries)
		r.SecureToken = readSecureToken(keys["secure_token"])
		r.Shadow = readBackendNames(keys["shadow"], "shadow: [new-portal]", known, shadows)
		if action, ok := keys["on_unavailable"].oneOf(string(Deny), string(Allow)); ok {
			r.OnUnavailable = Action(action)
		}
		keys["grace"].duration(graceSpan(), &r.Grace)
		if status, ok := readDenyStatus(keys["deny_status"]); ok {
			r.DenyStatus = status
		}
		r.Trusted = readNetworks(keys["trusted"], "trusted: [10.0.0.0/8]")
		r.Redirect = readRedirect(keys["redirect"])
		r.Session = readSession(keys["session"], has.keys)
		if mode, ok := keys["mode"].oneOf(string(Enforce), string(Observe)); ok {
			r.Mode = Mode(mode)
		}
		readCache(keys["cache"], &r)
		routes = append(routes, r)
	}
	shadows.check(routes)
	return routes
}

// readName reads a route's name. lines holds the names before it.
func readName(v value, lines map[string]int) string {
	name, ok := v.text()
	if !ok {
		return ""
	}
	if !isName(name) {
		v.wrong("%s is no name: %s", quote(name), nameRule)
		return ""
	}
	if name == noRoute {
		v.wrong("%s is what metrics call the lack of a route: choose another name", quote(name))
		return ""
	}
	if line, twice := lines[name]; twice {
		v.wrong("the name %s is taken by the route at line %d", quote(name), line)
		return ""
	}
	lines[name] = v.node.Line
	return name
}

// readBackendNames reads names of backends. at, if it is not nil, gets where each
// stands.
func readBackendNames(v value, example string, known []string, at shadowing) []string {
	var names []string
	if len(known) == 0 {
		return nil // that there is no backend is noted where backends are
	}
	for _, item := range v.list(example) {
		name, ok := item.text()
		switch {
		case !ok:
		case !slices.Contains(known, name):
			item.wrong("there is no backend %s%s", quote(name), near(name, known))
		case slices.Contains(names, name):
			item.wrong("%s is in the list twice", quote(name))
		default:
			names = append(names, name)
			if at != nil {
				at[name] = append(at[name], item)
			}
		}
	}
	return names
}

// shadowing holds where each backend is named as a shadow.
type shadowing map[string][]value

// check refuses shadows that decide somewhere: their questions would take turns from
// viewers.
func (s shadowing) check(routes []Route) {
	for _, r := range routes {
		for _, name := range r.Backends {
			for _, item := range s[name] {
				item.wrong("%s is among the backends of route %s, whose viewers would wait for its shadow questions: "+
					"give the same service a second name under backends", quote(name), quote(r.Name))
			}
		}
	}
}

func readDenyStatus(v value) (int, bool) {
	status, ok := v.number()
	if ok && (status < 400 || status > 499) {
		v.wrong("must be from 400 to 499: to Envoy a 2xx is an allow and a 5xx a failure of its own")
		return 0, false
	}
	return status, ok
}

// matches holds where each pair of host and path is taken, to tell of a second
// one.
type matches map[[2]string]taker

type taker struct {
	line int
	at   string // the key there
}

func readMatch(item, v value, r *Route, taken matches) {
	keys := v.section("match: {hosts: [tv.example.com], paths: [/live/]}", "hosts", "paths")
	if !item.isMapping() || v.present() && !v.isMapping() {
		return // noted; it is not known what the route was to match
	}
	hosts := readAll(item, keys["hosts"], "hosts: [tv.example.com]", readMatchHost)
	paths := readAll(item, keys["paths"], "paths: [/live/]", readMatchPath)
	for _, h := range hosts {
		if h.text != "" {
			r.Hosts = append(r.Hosts, h.text)
		}
	}
	for _, p := range paths {
		if p.text != "" {
			r.Paths = append(r.Paths, p.text)
		}
	}
	if len(taken)+len(hosts)*len(paths) > maxMatches {
		item.wrong("this route takes the file above %d pairs of host and path", maxMatches)
		return
	}
	for _, h := range hosts {
		for _, p := range paths {
			taken.take(h, p)
		}
	}
}

// part is a host or a path of a match, and where it is. The text is "" if the
// route has none and takes all of them.
type part struct {
	text string
	at   value
}

// readAll reads the hosts or the paths of a route.
func readAll(item, v value, example string, read func(value) (string, bool)) []part {
	if !v.present() {
		return []part{{at: item}}
	}
	var parts []part
	for _, one := range v.list(example) {
		if text, ok := read(one); ok {
			parts = append(parts, part{text: text, at: one})
		}
	}
	return parts
}

func (m matches) take(host, path part) {
	at := path.at
	if path.text == "" {
		at = host.at
	}
	key := [2]string{host.text, cmp.Or(path.text, "/")} // no path is the path / to package route
	if first, twice := m[key]; twice {
		at.wrong("%s on %s is matched already at line %d (%s): a request has one route only",
			cmp.Or(path.text, "every path"), cmp.Or(host.text, "every host"), first.line, first.at)
		return
	}
	m[key] = taker{line: at.node.Line, at: at.key}
}

func readMatchHost(v value) (string, bool) {
	raw, ok := v.text()
	if !ok {
		return "", false
	}
	switch {
	case raw == "":
		v.wrong("is empty: write a host, as in tv.example.com")
		return "", false
	case strings.Contains(raw, "*"):
		v.wrong("a host has no wildcard: name each host, or leave hosts out to match every host")
		return "", false
	case strings.ContainsAny(raw, "/"):
		v.wrong("write the host alone, without scheme and path, as in tv.example.com")
		return "", false
	}
	host, err := target.Host(raw, "")
	if err != nil {
		v.wrong("%s is no host: %s", quote(raw), rule(err))
		return "", false
	}
	for _, port := range []string{":80", ":443"} {
		if strings.HasSuffix(host, port) && !strings.HasSuffix(host, "]") {
			v.wrong("leave %s out: a host without a port matches on every port", port)
			return "", false
		}
	}
	return host, true
}

// rule is what package target says is broken, without its "malformed".
func rule(err error) string {
	return strings.TrimPrefix(err.Error(), target.ErrMalformed.Error()+": ")
}

func readMatchPath(v value) (string, bool) {
	raw, ok := v.text()
	if !ok {
		return "", false
	}
	t, err := target.Parse(raw)
	switch {
	case !strings.HasPrefix(raw, "/"):
		v.wrong("a path begins with /, as in /live/")
	case strings.HasSuffix(raw, "*"):
		v.wrong("a path has no wildcard: it matches all below it, so leave * out")
	case err != nil:
		v.wrong("no request has this path, so it would never match: %s", rule(err))
	case t.HasQuery:
		v.wrong("a path has no query: leave out ? and what follows")
	case t.Path != raw:
		v.wrong("would never match as it is spelled: write it as %q", t.Path)
	case twoSpellings(raw) != "":
		v.wrong("%s can be written in another way too, escaped or not, which a proxy serves alike and this route would miss: "+
			"end the path before the segment that holds it", twoSpellings(raw))
	default:
		return raw, true
	}
	return "", false
}

// twoSpellings gives the first character of a normal path that proxies serve as
// the same whether it is escaped or not, though it is not the same to package
// target; "" if there is none.
func twoSpellings(path string) string {
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '%' && path[i+1] < '8':
			return path[i : i+3]
		case c == '%': // not ASCII, so there is no other spelling
			i += 2
		case strings.IndexByte("/-._~", c) < 0 && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9'):
			return path[i : i+1]
		}
	}
	return ""
}

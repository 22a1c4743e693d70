package nginxconf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// context are the headers that altagate reads a check of nginx from, each with what
// nginx must put in it.
var context = [][2]string{
	{"X-Original-URI", "$request_uri"},
	{"X-Original-Method", "$request_method"},
	{"X-Forwarded-Proto", "$scheme"},
	{"X-Forwarded-Host", "$host:$server_port"},
	{"X-Real-IP", "$remote_addr"},
}

func setLine(header [2]string) string {
	return fmt.Sprintf("proxy_set_header %s %s;", header[0], header[1])
}

// auth looks at the location a that answers the checks of a server; nil where there
// is none.
func (c *conf) auth(s *server, uri string, a *directive) {
	switch asks := s.asking(uri); {
	case a == nil:
		c.out.Add(authNotFound, asks.where(), asks.String()+": no location answers it", "location = "+uri+" { … }, as in nginx/altagate.conf")
		return
	case !c.toAltagate(a) && !exactly(a, uri):
		c.out.Add(authNotFound, asks.where(), fmt.Sprintf("%s: there is no location of this name, so %s (%s) answers it", asks, named(a), a.where()),
			"location = "+uri+" { … }, as in nginx/altagate.conf")
		return
	case !c.toAltagate(a):
		c.out.Add(authNotAltagate, a.where(), fmt.Sprintf("%s answers the check, and does not pass it to altagate at /auth/nginx", named(a)),
			"proxy_pass http://altagate/auth/nginx;")
		return
	}
	if len(a.own("internal")) == 0 {
		c.out.Add(authPublic, a.where(), named(a)+" is not internal", "internal;")
	}
	for _, r := range a.inIf("return") {
		if code, _ := strconv.Atoi(r.arg(0)); code/100 == 2 {
			c.out.Add(authNotAltagate, r.where(), named(a)+" answers the check by itself: "+r.String(), "return 403;")
		}
	}
	for _, name := range []string{"allow", "deny", "auth_basic", "auth_jwt", "auth_request"} {
		for _, d := range a.own(name) {
			if d.arg(0) != "off" {
				c.out.Add(authChained, d.where(), d.String()+" in "+named(a))
			}
		}
	}
	c.authHeaders(a)
	c.authErrorPages(s, a)
	c.authUpstream(a)
	c.authCache(a)
	c.authTimes(a)
}

// asking is a directive of the server that asks at a URI.
func (s *server) asking(uri string) *directive {
	found := s.directive
	s.walk(func(d *directive) {
		if d.name == "auth_request" && d.arg(0) == uri && found == s.directive {
			found = d
		}
	})
	return found
}

func exactly(a *directive, uri string) bool {
	_, what := a.match()
	return what == uri
}

// toAltagate says whether a location passes checks to altagate.
func (c *conf) toAltagate(a *directive) bool {
	for _, p := range a.own("proxy_pass") {
		_, rest, _ := strings.Cut(p.arg(0), "://")
		if unix, ok := strings.CutPrefix(rest, "unix:"); ok {
			_, rest, _ = strings.Cut(unix, ":")
		}
		if _, at, ok := strings.Cut(rest, "/"); ok && (at == "auth/nginx" || strings.HasPrefix(at, "auth/nginx/")) {
			return true
		}
	}
	return false
}

// authHeaders looks at what the check is read from.
func (c *conf) authHeaders(a *directive) {
	passed := a.value("proxy_pass_request_headers") != "off"
	for _, header := range context {
		value, at := a.set(header[0])
		switch {
		case at == nil && passed:
			c.out.Add(authHeaderOpen, a.where(), fmt.Sprintf("%s does not set %s%s", named(a), header[0], lostNote(a, header[0])), setLine(header))
		case at == nil || value == "":
			c.out.Add(authHeaderMissing, a.where(), fmt.Sprintf("%s does not set %s%s", named(a), header[0], lostNote(a, header[0])), setLine(header))
		default:
			c.authHeader(a, header, value, at)
		}
	}
	if passed {
		c.out.Add(authHeadersPassed, a.where(), named(a)+" passes the viewer's headers on to altagate",
			"proxy_pass_request_headers off;", "proxy_set_header User-Agent $http_user_agent;")
	}
	for _, h := range a.effective("proxy_set_header") {
		if decoded(h.arg(1)) && !isContext(h.arg(0)) {
			c.out.Add(authDecoded, h.where(), h.String(), "proxy_set_header "+h.arg(0)+" $request_uri;")
		}
	}
	if value, at := a.set("Content-Length"); at == nil || value != "" {
		c.out.Add(authLength, a.where(), named(a)+" sends the viewer's Content-Length", `proxy_set_header Content-Length "";`)
	}
}

func isContext(name string) bool {
	return slices.ContainsFunc(context, func(h [2]string) bool { return strings.EqualFold(h[0], name) })
}

// lostNote tells of a header that an outer level sets, and that is lost because the
// location has a proxy_set_header of its own.
func lostNote(a *directive, header string) string {
	for b := a.parent; b != nil; b = b.parent {
		for _, h := range b.own("proxy_set_header") {
			if strings.EqualFold(h.arg(0), header) {
				return fmt.Sprintf(" (that of %s is not inherited: a location with a proxy_set_header of its own inherits none)", h.where())
			}
		}
	}
	return ""
}

// authHeader looks at the value of one header that a check is read from.
func (c *conf) authHeader(a *directive, header [2]string, value string, at *directive) {
	value = c.origin(a, value)
	viewers := ofViewer(value)
	switch {
	case decoded(value):
		c.out.Add(authDecoded, at.where(), at.String(), setLine(header))
	case header[0] == "X-Real-IP":
		if value != "$remote_addr" && value != "$proxy_protocol_addr" && value != "$binary_remote_addr" {
			c.out.Add(authAddress, at.where(), at.String(), setLine(header),
				"behind a balancer: set_real_ip_from ITS-ADDRESS; real_ip_header X-Forwarded-For; real_ip_recursive on;")
		}
	case viewers && header[0] == "X-Forwarded-Proto":
		c.out.Add(authHeaderOpen, at.where(), at.String(), setLine(header), "behind a balancer that ends TLS: proxy_set_header X-Forwarded-Proto https;")
	case viewers, header[0] == "X-Original-URI" && value != header[1]:
		c.out.Add(authHeaderOpen, at.where(), at.String(), setLine(header))
	}
}

// ofViewer says whether a value is what the viewer wrote into a header or query.
func ofViewer(value string) bool {
	for _, v := range []string{"$http_", "${http_", "$arg_", "${arg_", "$cookie_", "$proxy_add_x_forwarded_for"} {
		if strings.Contains(value, v) {
			return true
		}
	}
	return false
}

// decoded says whether a value has a variable in it that nginx has decoded, or that
// belongs to the auth location itself.
func decoded(value string) bool {
	for _, v := range []string{"uri", "document_uri", "args", "query_string", "is_args", "request_filename", "fastcgi_script_name"} {
		if hasVariable(value, v) {
			return true
		}
	}
	return false
}

func hasVariable(value, name string) bool {
	if strings.Contains(value, "${"+name+"}") {
		return true
	}
	for rest := value; ; {
		_, after, ok := strings.Cut(rest, "$"+name)
		if !ok {
			return false
		}
		if after == "" || !isNameByte(after[0]) {
			return true
		}
		rest = after
	}
}

func isName(text string) bool {
	for i := range len(text) {
		if !isNameByte(text[i]) {
			return false
		}
	}
	return true
}

func isNameByte(b byte) bool {
	return b == '_' || '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z'
}

// origin follows a variable of the operator's to what it is made of: the value that
// "set" gives it, or the source of its map.
func (c *conf) origin(b *directive, value string) string {
	for range 8 {
		name := strings.TrimPrefix(value, "$")
		if name == value || !isName(name) {
			return value
		}
		next := c.definition(b, "$"+name)
		if next == "" {
			return value
		}
		value = next
	}
	return value
}

// definition is what a variable is made of; empty if nobody says.
func (c *conf) definition(b *directive, variable string) (made string) {
	for _, m := range c.http.own("map") {
		if m.arg(1) == variable {
			made = m.arg(0)
		}
	}
	for s := b; s != nil; s = s.parent {
		s.walk(func(d *directive) {
			if d.name == "set" && d.arg(0) == variable {
				made = d.arg(1)
			}
		})
	}
	return made
}

package nginxconf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// errorPage is one error_page directive.
type errorPage struct {
	*directive
	codes []string
	// answer is what follows "=": a status; "=" alone, where the page's own status
	// counts; empty if the first status stays.
	answer, page string
}

func errorPages(b *directive) (all []errorPage) {
	for _, d := range b.effective("error_page") {
		if len(d.args) < 2 {
			continue
		}
		e := errorPage{directive: d, page: d.args[len(d.args)-1]}
		for _, a := range d.args[:len(d.args)-1] {
			if strings.HasPrefix(a, "=") {
				e.answer = a
			} else {
				e.codes = append(e.codes, a)
			}
		}
		all = append(all, e)
	}
	return all
}

func (e errorPage) has(codes ...string) bool {
	return slices.ContainsFunc(codes, func(code string) bool { return slices.Contains(e.codes, code) })
}

// becomesAllow says whether nginx, asking a check, would take the page for an
// allow: it has a 2xx of its own, or that of the page, unless that is a denial.
func (e errorPage) becomesAllow(s *server) bool {
	if e.answer != "=" {
		return strings.HasPrefix(e.answer, "=2")
	}
	target := s.find(e.page)
	if target == nil {
		return !strings.HasPrefix(e.page, "@")
	}
	for _, r := range target.own("return") {
		if code, err := strconv.Atoi(r.arg(0)); err == nil && code/100 != 2 {
			return false
		}
	}
	return true
}

// authErrorPages finds pages whose status becomes the answer to a check. One in the
// location itself, for what nginx alone answers, is a way to fail open that somebody
// chose, and the mildest: it is only told of.
func (c *conf) authErrorPages(s *server, a *directive) {
	const cure = "error_page 599 /_altagate;"
	intercepts := a.value("proxy_intercept_errors") == "on"
	refuses := len(a.inIf("return")) > 0 || len(a.effective("deny")) > 0
	for _, e := range errorPages(a) {
		inherited := e.parent != a
		from := named(a)
		if inherited {
			from += ", which inherits it,"
		}
		away := e.has("500", "502", "503", "504", "413", "494", "497")
		denial := e.has("401", "403")
		switch {
		case !e.becomesAllow(s):
		case intercepts && (away || denial):
			c.out.Add(authIntercepted, e.where(), fmt.Sprintf("%s in %s together with proxy_intercept_errors on", e, from), cure, "proxy_intercept_errors off;")
		case denial && refuses:
			c.out.Add(authIntercepted, e.where(), fmt.Sprintf("%s in %s, where nginx denies by itself", e, from), cure)
		case away && inherited:
			c.out.Add(authErrorPage, e.where(), fmt.Sprintf("%s in %s", e, from), cure, "proxy_intercept_errors off;")
		case away:
			c.out.Is("%s: %s: while altagate is away every viewer is let in, as this line says (altagate's own on_unavailable is the better place)", e.where(), e)
		}
	}
}

// servedPages finds pages of a checked block that serve what is checked.
func (c *conf) servedPages(s *server, b *directive) {
	for _, e := range errorPages(b) {
		target := s.find(e.page)
		if target == nil || checks(target) || !shares(c.sources(target), c.protected) || static(target) {
			continue
		}
		what := fmt.Sprintf("%s in %s leads to %s, which is not checked", e, named(b), named(target))
		if e.has("500", "502", "503", "504") {
			c.out.Add(failOpen, e.where(), what, "take the line out; on_unavailable: allow of altagate looks first whether your backend is away")
		}
		if e.has("401", "403") {
			c.out.Add(deniedServed, e.where(), what, "auth_request /_altagate; in "+named(target))
		}
	}
}

// static says whether a location is one file of this machine, as error pages are.
func static(b *directive) bool {
	how, _ := b.match()
	return how == "=" && !slices.ContainsFunc(handlers, func(h string) bool { return len(b.inIf(h)) > 0 })
}

// authUpstream looks at the connection to altagate.
func (c *conf) authUpstream(a *directive) {
	pass := a.own("proxy_pass")[0]
	_, rest, _ := strings.Cut(pass.arg(0), "://")
	name, _, _ := strings.Cut(rest, "/")
	u := c.upstreams[name]
	if u == nil {
		c.out.Add(authConnections, pass.where(), pass.String()+" names an address, where an upstream block would keep connections",
			"upstream altagate { server 127.0.0.1:9180; keepalive 64; }", "proxy_pass http://altagate/auth/nginx;")
		return
	}
	for _, server := range u.own("server") {
		if slices.Contains(server.args, "backup") {
			c.out.Add(authBackup, server.where(), server.String()+" in the upstream of the check", "take it out, or let a second altagate listen there and say callers")
		}
	}
	if connection, at := a.set("Connection"); len(u.own("keepalive")) == 0 || a.value("proxy_http_version") != "1.1" || at == nil || connection != "" {
		c.out.Add(authConnections, a.where(), named(a)+" keeps no connections to altagate",
			"keepalive 64;  # in upstream "+name, "proxy_http_version 1.1;", `proxy_set_header Connection "";`)
	}
}

// answersWithin is the time in seconds that altagate takes at most where the proxy
// states no deadline, as nginx does.
const answersWithin = 5

func (c *conf) authTimes(a *directive) {
	all := a.effective("proxy_read_timeout")
	if len(all) == 0 {
		return
	}
	if t, ok := seconds(all[len(all)-1].arg(0)); ok && t <= answersWithin {
		c.out.Add(authTimeout, all[len(all)-1].where(), all[len(all)-1].String()+": altagate answers within 5 s", "proxy_read_timeout 6s;")
	}
}

// seconds reads a time of nginx's.
func seconds(text string) (float64, bool) {
	units := []struct {
		suffix string
		of     float64
	}{{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"", 1}}
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if n, err := strconv.ParseFloat(digits, 64); ok && err == nil {
			return n * u.of, true
		}
	}
	return 0, false
}

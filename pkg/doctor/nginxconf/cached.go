package nginxconf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// authCache looks at a cache for the checks themselves. It is sound where it holds for
// each of them what altagate was sent about it, and nothing for longer than altagate
// says, as in nginx/cached.conf.
func (c *conf) authCache(a *directive) {
	all := a.effective("proxy_cache")
	if len(all) == 0 || all[len(all)-1].arg(0) == "off" {
		return
	}
	cache := all[len(all)-1]
	found := func(at *directive, what string, args ...any) {
		c.out.Add(authCached, at.where(), fmt.Sprintf(what, args...), "proxy_cache off;", "or the lines of nginx/cached.conf, all of them")
	}
	keys := a.effective("proxy_cache_key")
	if len(keys) == 0 {
		found(cache, "%s holds in %s, under the default key, which is the same for all viewers", cache, named(a))
		return
	}
	key := keys[len(keys)-1]
	if lacks := c.lacking(a, key.arg(0)); len(lacks) > 0 {
		found(key, "the key of the checks that are cached in %s has no %s, which altagate is sent", named(a), strings.Join(lacks, ", "))
	}
	if a.value("proxy_pass_request_headers") != "off" {
		found(key, "checks are cached in %s, and altagate gets headers of the viewer's that are not in the key", named(a))
	}
	if together.MatchString(key.arg(0)) {
		found(key, "the key of the checks that are cached in %s has two variables side by side, so that two requests can make one key", named(a))
	}
	for _, v := range a.effective("proxy_cache_valid") {
		if t, ok := seconds(v.arg(len(v.args) - 1)); !ok || t > 0 {
			found(v, "%s in %s keeps what altagate did not say may be kept: an allow while the backend is away, or a denial", v, named(a))
		}
	}
	for _, s := range a.effective("proxy_cache_use_stale") {
		if s.arg(0) != "off" {
			found(s, "%s in %s gives answers whose time is over", s, named(a))
		}
	}
	pass := a.own("proxy_pass")[0].arg(0)
	at := cache.arg(0) + " " + key.arg(0)
	if other, ok := c.cached[at]; ok && other != pass {
		found(key, "the key of the checks that are cached in %s is that of another location too, which asks %s in place of %s", named(a), other, pass)
	}
	c.cached[at] = pass
}

// together finds two variables without anything between them.
var together = regexp.MustCompile(`(\$\w+|\$\{\w+\})\$`)

// lacking names the variables that altagate is sent in a location, and that a cache key
// has neither themselves nor in what they are made of.
func (c *conf) lacking(a *directive, key string) (all []string) {
	has := func(name string) bool {
		return hasVariable(key, name) || name == "remote_addr" && hasVariable(key, "binary_remote_addr")
	}
	for _, h := range a.effective("proxy_set_header") {
		for _, name := range variables(h.arg(1)) {
			made := variables(c.origin(a, "$"+name))
			if !has(name) && slices.ContainsFunc(made, func(of string) bool { return !has(of) }) && !slices.Contains(all, "$"+name) {
				all = append(all, "$"+name)
			}
		}
	}
	return all
}

// variables are the names of those in a value.
func variables(value string) (names []string) {
	for _, found := range variable.FindAllStringSubmatch(value, -1) {
		names = append(names, found[1]+found[2])
	}
	return names
}

var variable = regexp.MustCompile(`\$(?:(\w+)|\{(\w+)\})`)

package edge

import (
	"context"
	"fmt"
	"strings"

	"github.com/altagate/altagate/pkg/doctor"
)

// junk is the edge's query with each value replaced by one that nobody has.
func (e *exam) junk() string {
	none := "altagate-doctor-" + e.nonce
	if e.query == "" {
		return "token=" + none
	}
	parts := strings.Split(e.query, "&")
	for i, part := range parts {
		if name, _, ok := strings.Cut(part, "="); ok {
			parts[i] = name + "=" + none
		} else {
			parts[i] = none
		}
	}
	return strings.Join(parts, "&")
}

// unknown is a request with a token that nobody has.
func (e *exam) unknown() request { return request{target: e.path + "?" + e.junk()} }

// viewer is a request of the viewer who may watch.
func (e *exam) viewer(path string) request {
	target := path
	if e.query != "" {
		target += "?" + e.query
	}
	return request{target: target, agent: "altagate-doctor/" + e.nonce + " viewer"}
}

// probe sends a request, under a User-Agent of its own unless it has one, and gives
// the answer and the decision that altagate made about it; nil if it made none, or
// cannot be asked.
func (e *exam) probe(ctx context.Context, r request) (reply, *doctor.Decided) {
	e.sent++
	if r.agent == "" {
		r.agent = fmt.Sprintf("altagate-doctor/%s probe %d", e.nonce, e.sent)
	}
	before := len(e.about(ctx, r.agent))
	got := e.send(ctx, r)
	all := e.about(ctx, r.agent)
	if len(all) <= before {
		return got, nil
	}
	return got, &all[len(all)-1]
}

// about are the decisions about requests of one User-Agent, or of all if none
// arrives.
func (e *exam) about(ctx context.Context, agent string) (found []doctor.Decided) {
	if e.blind {
		return nil
	}
	all, err := e.Decisions(ctx, e.nonce)
	if err != nil {
		e.blind = true
		e.out.Failed = fmt.Sprintf("altagate cannot be asked any longer what arrives: %v", err)
		return nil
	}
	for _, d := range all {
		if d.UserAgent == agent || e.agentless {
			found = append(found, d)
		}
	}
	return found
}

// judge looks at what came of a request that must not be served. what says what it
// was.
func (e *exam) judge(what string, got reply, d *doctor.Decided) {
	switch {
	case d == nil && got.served() && e.blind:
		e.out.Add(junkAllowed, e.address, what+" is served: "+got.String(), "look at the proxy's config, and at what altagate decides")
	case d == nil && got.served():
		e.out.Add(unchecked, e.address, what+" is served: "+got.String(), "auth_request or ext_authz for this path; or give --admin the altagate that this edge asks")
	case d == nil:
	case d.Decision == "allow":
		e.out.Add(junkAllowed, e.address, fmt.Sprintf("%s is allowed (%s)", what, d.Reason), "altagate check 'URL' shows what the backend answers; docs/reasons.md what the reason means")
	case got.served():
		e.out.Add(denialServed, e.address, fmt.Sprintf("%s: altagate denied (%s), and the edge answered %v", what, d.Reason, got), "error_page and proxy_intercept_errors of nginx: give --proxy-config; or the status that the proxy takes for an allow")
	case got.err == nil && got.status/100 == 5 && d.Reason != "late" && d.Reason != "overload":
		e.out.Add(denialBroken, e.address, fmt.Sprintf("%s: altagate denied (%s), and the edge answered %v", what, d.Reason, got), "the shipped config of your proxy; deny_status that it can show")
	}
}

// shown finds altagate's own headers in what a viewer gets.
func (e *exam) shown(what string, got reply) {
	var names []string
	for _, name := range []string{"X-Altagate-Decision", "X-Altagate-Reason", "X-Altagate-Id", "X-Session-Id", "X-User-Id", "X-Session-Name"} {
		if got.header.Get(name) != "" {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		e.out.Add(headersShown, e.address, what+" shows the viewer "+strings.Join(names, ", "), "nginx: no add_header of them; Envoy over HTTP: allowed_client_headers")
	}
}

// denied looks at whether a deny reaches the viewer as one, and keeps what altagate
// was told.
func (e *exam) denied(ctx context.Context) {
	const what = "a token that nobody has"
	got, d := e.probe(ctx, e.unknown())
	if d == nil && !e.blind {
		// Without a User-Agent the query tells which request it was.
		e.agentless = true
		if all := e.about(ctx, ""); len(all) > 0 {
			d = &all[len(all)-1]
			e.out.Add(agentLost, e.address, "no User-Agent arrives at altagate", "Envoy over HTTP: allowed_headers: {patterns: [{exact: user-agent}]}")
		} else {
			e.agentless = false
		}
	}
	e.judge(what, got, d)
	e.shown(what, got)
	switch {
	case d == nil && !e.blind && !got.served():
		e.out.Add(notAsked, e.address, fmt.Sprintf("altagate was not asked, and the edge answered %v", got),
			"is the host one that the edge serves? does it reach altagate? is --admin that of the altagate which it asks?")
		return
	case d == nil:
		return
	}
	if !e.out.Found(junkAllowed, denialServed, denialBroken) {
		e.out.Is("a deny reaches the viewer as one: %v", got)
	}
	e.base = d
	if d.Reason == "bad-check" {
		e.out.Add(badCheck, e.address, d.Error, "the shipped config of your proxy: give --proxy-config too")
	} else {
		e.told(d)
		e.whoAsks(got, d)
	}
	head := e.unknown()
	head.method = "HEAD"
	got, d = e.probe(ctx, head)
	e.judge(what+", by HEAD", got, d)
	if d != nil && d.Method != "HEAD" {
		e.out.Add(contextWrong, e.address, fmt.Sprintf("a HEAD is told to altagate as %q", d.Method), "proxy_set_header X-Original-Method $request_method;")
	}
	post := e.unknown()
	post.method, post.lines, post.body = "POST", []string{"Content-Length: 5"}, "hello"
	got, d = e.probe(ctx, post)
	e.judge(what+", by POST", got, d)
	if got.err != nil {
		e.out.Add(postHangs, e.address, fmt.Sprintf("a POST with a body got no answer: %v", got.err), `proxy_set_header Content-Length ""; in the location of the check`)
	}
}

// told compares what altagate was told with what was asked.
func (e *exam) told(d *doctor.Decided) {
	wrong := func(what, told, is string, write ...string) {
		e.out.Add(contextWrong, e.address, fmt.Sprintf("altagate was told %s %q, and the viewer asked %q", what, told, is), write...)
	}
	if plain := cut(e.path); plain == e.path && d.Path != plain {
		wrong("the path", d.Path, e.path, "proxy_set_header X-Original-URI $request_uri;")
	}
	if d.Scheme != e.scheme {
		wrong("the scheme", d.Scheme, e.scheme, "behind a balancer that ends TLS: X-Forwarded-Proto https, or scheme_to_overwrite: https")
	}
	if host := strings.ToLower(e.host); d.Host != withoutPort(host, e.scheme) {
		wrong("the host", d.Host, host, "behind a port mapping: X-Forwarded-Host $host:443, the viewers' port")
	}
	if d.Method != "GET" {
		wrong("the method", d.Method, "GET", "proxy_set_header X-Original-Method $request_method;")
	}
}

// cut is a path as altagate's API shows it.
func cut(path string) string {
	if i := strings.IndexAny(path, "?#;%"); i >= 0 {
		return path[:i]
	}
	return path
}

func withoutPort(host, scheme string) string {
	return strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
}

// whoAsks compares the address that altagate was told with this end of the
// connection. Between the two may be a NAT, but none on this machine.
func (e *exam) whoAsks(got reply, d *doctor.Decided) {
	const write = "nginx: set_real_ip_from and real_ip_header; Envoy: use_remote_address, xff_num_trusted_hops and initial_metadata"
	switch local := got.local.String(); {
	case d.Address == local:
		e.out.Is("the viewer's address arrives: %s", local)
	case got.local.IsLoopback(), d.Address == got.remote.String(), strings.HasPrefix(d.Address, "127."), d.Address == "::1":
		e.out.Add(addressHidden, e.address, fmt.Sprintf("altagate was told that %s asks, and it was %s", d.Address, local), write)
	default:
		e.out.Cannot("whether the viewer's address arrives: altagate was told %s, this end of the connection is %s; fine if that is how a NAT in between shows this machine", d.Address, local)
	}
}

// allowed looks at the viewer who may watch.
func (e *exam) allowed(ctx context.Context) {
	got, d := e.probe(ctx, e.viewer(e.path))
	e.shown("an allow", got)
	switch {
	case e.agentless || e.base != nil && e.base.Reason == "bad-check":
		e.out.Cannot("what an allowed viewer gets: mend the above first")
	case d == nil && e.blind:
	case d == nil && got.served():
		e.out.Add(unchecked, e.address, "the viewer is served without a check: "+got.String(), "auth_request or ext_authz for this path; or give --admin the altagate that this edge asks")
	case d == nil:
	case d.Decision != "allow" && got.served():
		e.judge("the viewer of --edge", got, d)
	case d.Decision != "allow":
		e.out.Failed = fmt.Sprintf("the viewer of --edge is denied (%s), so that what an allowed one gets could not be seen: give the URL of one who may watch, with a token that is good now", d.Reason)
	case !got.served():
		e.out.Failed = fmt.Sprintf("altagate allows the viewer of --edge (%s), and the edge answers %v: the origin's answer?", d.Reason, got)
	default:
		e.out.Is("an allow (%s) is served: %v", d.Reason, got)
		e.good = &got
	}
}

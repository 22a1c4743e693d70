// Package frontend reads what a proxy says about a viewer's request, and tells
// the proxy the decision in the form that it understands. It serves the proxies
// that ask over HTTP; extauthz below it serves Envoy over gRPC. Neither knows
// backends, routes or policies.
package frontend

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/target"
	"github.com/altagate/altagate/pkg/viewer"
)

// Context is what one proxy said about one viewer's request, byte for byte. A
// frontend leaves a field empty where the proxy said nothing, or said it twice.
type Context struct {
	// Proxy names the frontend, as check.Request.Proxy does.
	Proxy string
	// Route is the route that the proxy named; empty where it named none.
	Route string
	// Method, Scheme, Host and Target are the viewer's, Target with its query.
	Method, Scheme, Host, Target string
	// Address is the viewer's address, as the proxy vouches for it.
	Address string
	// Forwarded is set by a proxy that gives a list of addresses in place of one,
	// as X-Forwarded-For does: the nearest is the last.
	Forwarded string
	// UserAgents holds each User-Agent that arrived; none is fine.
	UserAgents []string
	// Cookies holds each Cookie header that arrived; they are read together.
	Cookies []string
	// Wait is how long the caller said that it waits for the answer; 0 where it
	// did not say.
	Wait time.Duration
	// Stray is set where the check came to a path that is none of a proxy's, so
	// that nothing was read.
	Stray bool
}

var errStray = errors.New("no check lives at this path: a proxy asks /auth/ and its name, " +
	"one of nginx, envoy, traefik, caddy, haproxy, ingress-nginx")

// maxMethod is the length in bytes above which a method is not a method.
const maxMethod = 32

// Trusts says whether an address in a list is that of a proxy of the operator's, so
// that the one before it in the list is believed. r has all but the viewer's
// address. It is called from many goroutines at once; nil trusts none.
type Trusts func(r *check.Request, addr netip.Addr) bool

// Request is the only place where what a proxy said becomes a check. Of a list of
// addresses the viewer's is the right-most that is not trusted. The reason
// is empty when that went well. It is check.BadCheck when something that the
// proxy itself must say is missing or unreadable, else check.Malformed when the
// viewer's own part is; the Request then holds what could be read, and why says
// what could not, without a byte of the viewer's.
func (c Context) Request(trusts Trusts) (r check.Request, reason check.Reason, why error) {
	if c.Stray {
		return check.Request{Proxy: c.Proxy}, check.BadCheck, errStray
	}
	r = check.Request{Proxy: c.Proxy, Route: c.Route, IDs: cookieIDs(c.Cookies)}
	var bad, malformed []error
	var missing []string
	if c.Method == "" {
		missing = append(missing, "method")
	} else if isMethod(c.Method) {
		r.Method = c.Method
	} else {
		malformed = append(malformed, errors.New("the method is none"))
	}
	if scheme := strings.ToLower(c.Scheme); scheme == "http" || scheme == "https" {
		r.Scheme = scheme
	} else if c.Scheme == "" {
		missing = append(missing, "scheme")
	} else {
		bad = append(bad, errors.New("the scheme is neither http nor https"))
	}
	if host, err := target.Host(c.Host, r.Scheme); err == nil {
		r.Host = host
	} else if errors.Is(err, target.ErrNoHost) {
		missing = append(missing, "host")
	} else {
		malformed = append(malformed, fmt.Errorf("host: %w", err))
	}
	if t, err := target.Parse(c.Target); err == nil {
		r.Path, r.Query = t.Path, t.Query
	} else if c.Target == "" {
		missing = append(missing, "target")
	} else {
		malformed = append(malformed, err)
	}
	if ua, err := target.UserAgent(c.UserAgents); err == nil {
		r.UserAgent = ua
	} else {
		malformed = append(malformed, err)
	}
	// The last, for it depends on the route who is trusted.
	if addr, err := c.address(&r, trusts); err == nil {
		r.Addr = addr
	} else if c.Address+c.Forwarded == "" {
		missing = append(missing, "viewer's address")
	} else {
		bad = append(bad, fmt.Errorf("the viewer's address cannot be read: %w", err))
	}
	switch {
	case len(missing)+len(bad) > 0:
		return r, check.BadCheck, errors.Join(incomplete(missing), errors.Join(bad...))
	case len(malformed) > 0:
		return r, check.Malformed, errors.Join(malformed...)
	default:
		return r, "", nil
	}
}

// address is the viewer's, for the request that was read so far.
func (c Context) address(r *check.Request, trusts Trusts) (netip.Addr, error) {
	if c.Forwarded == "" {
		return viewer.Address(c.Address)
	}
	return viewer.Forwarded(c.Forwarded, func(addr netip.Addr) bool { return trusts != nil && trusts(r, addr) })
}

// incomplete is the error about what a proxy must say; nil if it said all of it.
func incomplete(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("missing or there twice: %s: compare the proxy's config with the shipped one", strings.Join(missing, ", "))
}

// isMethod tells whether s is a token in the sense of HTTP, and no longer than
// any method in use.
func isMethod(s string) bool {
	if s == "" || len(s) > maxMethod {
		return false
	}
	for i := range len(s) {
		if b := s[i]; !isAlphanumeric(b) && strings.IndexByte("!#$%&'*+-.^_`|~", b) < 0 {
			return false
		}
	}
	return true
}

func isAlphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z'
}

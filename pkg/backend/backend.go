// Package backend asks an operator's HTTP backend about a check, in the way of
// Cesbo Alta, and knows whether the backend is there or away.
//
// A question is a GET with the viewer's query and five headers (question.go);
// its reply allows, denies or is none (reply.go). A backend has one address or
// several, which are asked in order (ask.go). Whether an address is there or
// away is found out by altagate's own probe alone, never by a viewer's question
// (address.go, probe.go).
package backend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/altagate/altagate/pkg/certs"
	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/preset"
)

// DefaultTimeout is the time for a whole question where Config has none.
const DefaultTimeout = 2 * time.Second

// Config describes a backend. New copies what it keeps.
type Config struct {
	// Name is the backend's name in outcomes and events.
	Name string
	// Preset is the kind of portal, as preset.Find gives it; the zero value is
	// preset.Custom.
	Preset preset.Preset
	// URLs are the addresses of one and the same service, asked in this order:
	// at least one, http or https. A query is the operator's own and is sent
	// with each question; user:password@ is sent as Basic auth.
	URLs []*url.URL
	// Probe is what the probe asks for in place of the address's own URL; nil
	// means that URL. With one address it may be a whole URL. With several it
	// is a path and query, which each address is asked for, since a probe of
	// one host says nothing about another.
	Probe *url.URL
	// Timeout bounds a whole question: all addresses, and the wait for one to
	// be there. 0 means DefaultTimeout.
	Timeout time.Duration
	// Header is sent with each question and each probe. It may replace
	// User-Agent ("altagate" otherwise), but not the headers that altagate
	// sets about the viewer.
	Header http.Header
	// Host is the Host header; empty means that of the address.
	Host string
	// CAFile is a PEM file with the authorities to trust in place of the
	// system's.
	CAFile string
	// ClientCert and ClientKey are PEM files with the certificate to show and its
	// key; both or none. Like CAFile they are read by New, and when Certificates
	// sees a change.
	ClientCert, ClientKey string
	// ServerName is the name that the backend's certificate must bear; empty
	// means the host of the address.
	ServerName string
	// UnavailableStatuses are the statuses of replies that count as no reply,
	// such as a 502 of nginx in front of a dead php-fpm. 200 cannot be one.
	UnavailableStatuses []int
	// Stream is the template of the name that a stream has for the portal, with
	// preset.StreamPlace in it, where the preset can tell it one; empty tells none.
	Stream string
	// Enter lets a question in, at once or within a time when ctx still lasts, and leave ends it.
	// An error turns it away: that is overload, and says nothing of the backend. While
	// the backend is away nothing is asked, and nothing enters. nil lets all in.
	Enter func(ctx context.Context, r *check.Request, within time.Duration) (leave func(), err error)
	// Notify gets check.Asked and check.Turned; nil means nobody does. It must
	// be safe for concurrent use and must not call Close. No lock is held.
	Notify func(check.Event)
}

// Backend is one backend. It is safe for concurrent use.
type Backend struct {
	config    Config
	endpoints []*endpoint
	sending   atomic.Pointer[sending]
	send      sender
	pool      *pool
	// certs sees the changes of the files; nil if there are none.
	certs *certs.Keeper
}

// sender sends one request and gives the head of its reply, as
// http.RoundTripper does.
type sender func(*http.Request) (*http.Response, error)

// New makes a backend. It probes nothing until Watch, or until a question gives a
// reason to. An error is about the Config or the files that it names.
func New(c Config) (*Backend, error) { return assemble(c, nil) }

// Watch begins to probe the addresses in the background, and reports what it
// finds. It does not wait. Close ends the probing.
func (b *Backend) Watch() { b.pool.lookAtAll() }

// assemble makes a backend that sends by send; nil means over the network.
func assemble(c Config, send sender) (*Backend, error) {
	c = normal(c)
	endpoints, err := c.endpoints()
	if err != nil {
		return nil, err
	}
	b := &Backend{config: c, endpoints: endpoints, send: send}
	if err := b.prepare(); err != nil {
		return nil, err
	}
	if b.send == nil {
		b.send = func(r *http.Request) (*http.Response, error) { return b.sending.Load().send(r) }
	}
	b.pool = newPool(c, endpoints, b.probe)
	return b, nil
}

// Name is the backend's name.
func (b *Backend) Name() string { return b.config.Name }

// Away tells whether altagate's own probe has found all of the backend's
// addresses away. It does not block.
func (b *Backend) Away() bool { return b.pool.away() }

// Timeout bounds a whole question to this backend.
func (b *Backend) Timeout() time.Duration { return b.config.Timeout }

// Same reports whether New(c) would make an equal backend, so that a reload can
// keep this one with what it knows. Files are compared by their names, since
// Certificates sees what changes in them; Enter and Notify are not compared.
func (b *Backend) Same(c Config) bool {
	c = normal(c)
	return c.Name == b.config.Name && c.Preset.Name == b.config.Preset.Name && c.Stream == b.config.Stream &&
		slices.EqualFunc(c.URLs, b.config.URLs, sameURL) &&
		sameURL(c.Probe, b.config.Probe) &&
		c.Timeout == b.config.Timeout &&
		maps.EqualFunc(c.Header, b.config.Header, slices.Equal[[]string]) &&
		c.Host == b.config.Host &&
		c.files() == b.config.files() &&
		c.ServerName == b.config.ServerName &&
		slices.Equal(c.UnavailableStatuses, b.config.UnavailableStatuses)
}

// Close ends the probing and returns when it has ended: no check.Turned comes
// after it. Questions under way end by themselves, and close their connections.
func (b *Backend) Close() {
	b.pool.close()
	b.sending.Load().transport.CloseIdleConnections()
}

// notify reports an event.
func (b *Backend) notify(e check.Event) {
	if b.config.Notify != nil {
		b.config.Notify(e)
	}
}

// normal is a copy of c with its defaults filled in.
func normal(c Config) Config {
	urls := make([]*url.URL, 0, len(c.URLs))
	for _, u := range c.URLs {
		urls = append(urls, clone(u))
	}
	c.URLs, c.Probe = urls, clone(c.Probe)
	header := make(http.Header, len(c.Header))
	for name, values := range c.Header {
		key := http.CanonicalHeaderKey(name)
		header[key] = append(header[key], values...)
	}
	c.Header = header
	c.UnavailableStatuses = slices.Clone(c.UnavailableStatuses)
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Preset.Name == "" {
		c.Preset, _ = preset.Find(preset.Custom)
	}
	return c
}

func clone(u *url.URL) *url.URL {
	if u == nil {
		return nil
	}
	c := *u
	return &c
}

// endpoints checks the config and makes what is asked at each address.
func (c Config) endpoints() ([]*endpoint, error) {
	if len(c.URLs) == 0 {
		return nil, errors.New("backend has no URL: give at least one, such as http://127.0.0.1:6000/auth")
	}
	if c.Timeout < 0 {
		return nil, fmt.Errorf("timeout %s is negative: give one such as 2s", c.Timeout)
	}
	if slices.Contains(c.UnavailableStatuses, http.StatusOK) {
		return nil, errors.New("200 cannot be an unavailable status: it is what allows")
	}
	if c.Probe != nil && c.Probe.Host != "" && len(c.URLs) > 1 {
		return nil, errors.New("probe names a host, and the backend has several addresses: give the probe's path and query only")
	}
	if err := checkFixed(c.Header, c.Host, c.Preset); err != nil {
		return nil, err
	}
	endpoints := make([]*endpoint, 0, len(c.URLs))
	for _, u := range c.URLs {
		e, err := newEndpoint(c, u)
		if err != nil {
			return nil, err
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, nil
}

// sameURL compares two URLs, either of which may be nil.
func sameURL(a, b *url.URL) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.String() == b.String()
}

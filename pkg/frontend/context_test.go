package frontend_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// sameRequest compares requests, addresses by value.
var sameRequest = cmpopts.EquateComparable(netip.Addr{})

func said() frontend.Context {
	return frontend.Context{
		Proxy: "nginx", Route: "vod", Method: "GET", Scheme: "HTTPS", Host: "TV.Example.com.:443",
		Target: "/live//a.m3u8?token=1&token=%zz", Address: "::ffff:192.0.2.1", UserAgents: []string{"player/1.0"},
	}
}

func TestWhatAProxySaidBecomesACheck(t *testing.T) {
	got, reason, _ := said().Request(nil)
	want := check.Request{
		Proxy: "nginx", Route: "vod", Method: "GET", Scheme: "https", Host: "tv.example.com",
		Path: "/live/a.m3u8", Query: "token=1&token=%zz", Addr: addr("192.0.2.1"), UserAgent: "player/1.0",
	}
	if diff := cmp.Diff(want, got, sameRequest); diff != "" || reason != "" {
		t.Errorf("reason %q, request (-want +got):\n%s", reason, diff)
	}
}

func TestTheReasonSaysWhoseMistakeItWas(t *testing.T) {
	tests := []struct {
		name string
		edit func(*frontend.Context)
		want check.Reason
	}{
		{"no user agent", func(c *frontend.Context) { c.UserAgents = nil }, ""},
		{"an empty user agent", func(c *frontend.Context) { c.UserAgents = []string{""} }, ""},
		{"no route", func(c *frontend.Context) { c.Route = "" }, ""},
		{"a method of one's own", func(c *frontend.Context) { c.Method = "M-SEARCH" }, ""},
		{"the longest method", func(c *frontend.Context) { c.Method = strings.Repeat("A", 32) }, ""},

		{"no method", func(c *frontend.Context) { c.Method = "" }, check.BadCheck},
		{"no scheme", func(c *frontend.Context) { c.Scheme = "" }, check.BadCheck},
		{"a scheme that is not HTTP's", func(c *frontend.Context) { c.Scheme = "ftp" }, check.BadCheck},
		{"a scheme that only folds to HTTP's", func(c *frontend.Context) { c.Scheme = "httpſ" }, check.BadCheck},
		{"a list of schemes", func(c *frontend.Context) { c.Scheme = "https,http" }, check.BadCheck},
		{"no host", func(c *frontend.Context) { c.Host = "" }, check.BadCheck},
		{"no target", func(c *frontend.Context) { c.Target = "" }, check.BadCheck},
		{"no address", func(c *frontend.Context) { c.Address = "" }, check.BadCheck},
		{"a list of addresses", func(c *frontend.Context) { c.Address = "192.0.2.1, 192.0.2.2" }, check.BadCheck},
		{"an address with a port", func(c *frontend.Context) { c.Address = "192.0.2.1:80" }, check.BadCheck},
		{"an address with a zone", func(c *frontend.Context) { c.Address = "fe80::1%eth0" }, check.BadCheck},

		{"a method with a space", func(c *frontend.Context) { c.Method = "GET /" }, check.Malformed},
		{"a method with a control byte", func(c *frontend.Context) { c.Method = "GET\x00" }, check.Malformed},
		{"a method outside ASCII", func(c *frontend.Context) { c.Method = "GÉT" }, check.Malformed},
		{"a method too long", func(c *frontend.Context) { c.Method = strings.Repeat("A", 33) }, check.Malformed},
		{"a host with a slash", func(c *frontend.Context) { c.Host = "a/b" }, check.Malformed},
		{"a target without a slash", func(c *frontend.Context) { c.Target = "?token=1" }, check.Malformed},
		{"a target in absolute form", func(c *frontend.Context) { c.Target = "http://tv.example.com/" }, check.Malformed},
		{"an escaped slash", func(c *frontend.Context) { c.Target = "/a%2fb" }, check.Malformed},
		{"two user agents", func(c *frontend.Context) { c.UserAgents = []string{"a", "a"} }, check.Malformed},
		{"a user agent with a line feed", func(c *frontend.Context) { c.UserAgents = []string{"a\nb"} }, check.Malformed},

		{"the proxy's mistake beside the viewer's", func(c *frontend.Context) {
			c.Target, c.Method, c.Host, c.UserAgents, c.Address = "/a%2fb", "G T", "a/b", []string{"a", "b"}, ""
		}, check.BadCheck},
		{"nothing at all", func(c *frontend.Context) { *c = frontend.Context{} }, check.BadCheck},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := said()
			tt.edit(&c)
			if _, got, _ := c.Request(nil); got != tt.want {
				t.Errorf("reason %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWhatCouldBeReadIsKeptForTheLog(t *testing.T) {
	c := said()
	c.Target, c.UserAgents = "/a%2fb", []string{"a", "b"}
	got, reason, _ := c.Request(nil)
	want := check.Request{
		Proxy: "nginx", Route: "vod", Method: "GET", Scheme: "https",
		Host: "tv.example.com", Addr: addr("192.0.2.1"),
	}
	if diff := cmp.Diff(want, got, sameRequest); diff != "" || reason != check.Malformed {
		t.Errorf("reason %q, request (-want +got):\n%s", reason, diff)
	}
}

func TestADenialSaysWhatWasWrongWithoutTheViewersBytes(t *testing.T) {
	const secret = "s3cret"
	tests := []struct {
		edit func(*frontend.Context)
		want string
	}{
		{func(c *frontend.Context) { c.Address = "" }, "missing or there twice: viewer's address: compare the proxy's config with the shipped one"},
		{
			func(c *frontend.Context) { *c = frontend.Context{UserAgents: []string{secret}} },
			"missing or there twice: method, scheme, host, target, viewer's address: compare the proxy's config with the shipped one",
		},
		{
			func(c *frontend.Context) { c.Stray, c.Target = true, "/"+secret },
			"no check lives at this path: a proxy asks /auth/ and its name, one of nginx, envoy, traefik, caddy, haproxy, ingress-nginx",
		},
		{func(c *frontend.Context) { c.Method = "" }, "method"},
		{func(c *frontend.Context) { c.Scheme = "ftp" }, "scheme"},
		{func(c *frontend.Context) { c.Host = "" }, "host"},
		{func(c *frontend.Context) { c.Target = "" }, "target"},
		{func(c *frontend.Context) { c.Target = "/a%2f" + secret + "?token=" + secret }, "escaped slash"},
		{func(c *frontend.Context) { c.Host = secret + "/" }, "host"},
		{func(c *frontend.Context) { c.UserAgents = []string{secret, secret} }, "User-Agent"},
	}
	for _, tt := range tests {
		c := said()
		tt.edit(&c)
		_, _, why := c.Request(nil)
		if why == nil || !strings.Contains(why.Error(), tt.want) || strings.Contains(why.Error(), "\n") || strings.Contains(why.Error(), secret) {
			t.Errorf("%q, want something about %s", why, tt.want)
		}
	}
}

func TestACheckAtAnUnknownPathSaysWhereChecksLive(t *testing.T) {
	for _, path := range []string{"/", "/auth", "/nginx", "/auth/traefik/", "/auth/caddy/a/b", "/auth/haproxy?x", "/auth/nginx/", "/auth/nginxes", "/auth/nginx/a/b"} {
		d := &desk{}
		c := dial(t, serve(t, d.config()))
		c.send(nginxHead(path)...)
		c.head()
		const want = "no check lives at this path: a proxy asks /auth/ and its name, one of nginx, envoy, traefik, caddy, haproxy, ingress-nginx"
		if err := d.recorded[0].Decision.Outcome.Err; err == nil || err.Error() != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestTheViewersAddressInAListDependsOnTheRoute(t *testing.T) {
	tests := []struct {
		name, list string
		trusted    []string
		want       string // empty for a bad-check
	}{
		{"one address", "192.0.2.1", nil, "192.0.2.1"},
		{"nobody is trusted", "203.0.113.9, 192.0.2.1", nil, "192.0.2.1"},
		{"the balancer is trusted", "203.0.113.9, 192.0.2.1", []string{"192.0.2.1"}, "203.0.113.9"},
		{"what the viewer wrote before its own address", "10.0.0.1,203.0.113.9, 192.0.2.1", []string{"192.0.2.1"}, "203.0.113.9"},
		{"IPv4-mapped addresses", "::ffff:203.0.113.9, ::ffff:192.0.2.1", []string{"192.0.2.1"}, "203.0.113.9"},
		{"all of it is trusted", "192.0.2.1, 192.0.2.1", []string{"192.0.2.1"}, ""},
		{"junk that is not reached", "junk, 192.0.2.1", nil, "192.0.2.1"},
		{"junk that is reached", "junk, 192.0.2.1", []string{"192.0.2.1"}, ""},
		{"junk at the end", "192.0.2.1, unknown", nil, ""},
		{"an empty part", "203.0.113.9, , 192.0.2.1", []string{"192.0.2.1"}, ""},
		{"a comma at the end", "192.0.2.1,", nil, ""},
		{"a port", "192.0.2.1:80", nil, ""},
		{"a zone", "fe80::1%eth0", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := said()
			c.Address, c.Forwarded = "", tt.list
			var asked check.Request
			got, reason, _ := c.Request(func(r *check.Request, addr netip.Addr) bool {
				asked = *r
				return slices.Contains(tt.trusted, addr.String())
			})
			if tt.want == "" {
				if reason != check.BadCheck || got.Addr.IsValid() {
					t.Errorf("%v, reason %q, want a bad-check", got.Addr, reason)
				}
				return
			}
			if reason != "" || got.Addr.String() != tt.want {
				t.Errorf("%v, reason %q, want %s", got.Addr, reason, tt.want)
			}
			if asked.Addr.IsValid() || asked.Route != "vod" || asked.Host != "tv.example.com" || asked.Path != "/live/a.m3u8" {
				t.Errorf("asked about %+v", asked)
			}
		})
	}
}

// Package conform asks one table of checks through every frontend, as the
// proxy of each would: all must ask the checker the same, and tell the same.
package conform_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// said is a viewer's request, and what the proxy knows of the viewer.
type said struct {
	method, scheme, host, target, address string
	// agents holds each User-Agent that the viewer sent.
	agents []string
	// cookies holds each Cookie line that the viewer sent.
	cookies []string
}

// request is what the table expects a frontend to make of said, without the
// name of the proxy.
func request(path, query string) *check.Request {
	return &check.Request{
		Method: "GET", Scheme: "https", Host: "tv.example.com", Path: path, Query: query,
		Addr: netip.MustParseAddr("192.0.2.1"), UserAgent: "player/1.0",
	}
}

func with(r *check.Request, edit func(*check.Request)) *check.Request {
	edit(r)
	return r
}

// viewer is a said with the target given.
func viewer(target string) said {
	return said{
		method: "GET", scheme: "https", host: "tv.example.com", target: target,
		address: "192.0.2.1", agents: []string{"player/1.0"},
	}
}

func edited(s said, edit func(*said)) said {
	edit(&s)
	return s
}

// tests is the table. want is nil where the check is denied unasked, for reason.
var tests = []struct {
	name   string
	said   said
	want   *check.Request
	reason check.Reason
}{
	{name: "a playlist", said: viewer("/live/a.m3u8?token=1"), want: request("/live/a.m3u8", "token=1")},
	{name: "no query", said: viewer("/live/a.ts"), want: request("/live/a.ts", "")},
	{name: "an empty query", said: viewer("/a?"), want: request("/a", "")},
	{name: "the root", said: viewer("/"), want: request("/", "")},
	{
		name: "a query byte for byte", said: viewer("/a?b=%zz&b=%2F;c&&=?x/../y&é=\""),
		want: request("/a", "b=%zz&b=%2F;c&&=?x/../y&é=\""),
	},
	{name: "dot segments", said: viewer("/a/./b/../c"), want: request("/a/c", "")},
	{name: "repeated slashes", said: viewer("//a///b"), want: request("/a/b", "")},
	{name: "escaped unreserved characters", said: viewer("/%61%7e%e9"), want: request("/a~%E9", "")},
	{
		name: "a port", said: edited(viewer("/"), func(s *said) { s.host = "TV.Example.Com.:8443" }),
		want: with(request("/", ""), func(r *check.Request) { r.Host = "tv.example.com:8443" }),
	},
	{name: "the default port", said: edited(viewer("/"), func(s *said) { s.host = "tv.example.com:443" }), want: request("/", "")},
	{
		name: "the other scheme's port", said: edited(viewer("/"), func(s *said) { s.scheme, s.host = "http", "tv.example.com:443" }),
		want: with(request("/", ""), func(r *check.Request) { r.Scheme, r.Host = "http", "tv.example.com:443" }),
	},
	{
		name: "an IPv6 viewer", said: edited(viewer("/"), func(s *said) { s.address = "2001:DB8:0::1" }),
		want: with(request("/", ""), func(r *check.Request) { r.Addr = netip.MustParseAddr("2001:db8::1") }),
	},
	{name: "an IPv4-mapped viewer", said: edited(viewer("/"), func(s *said) { s.address = "::ffff:192.0.2.1" }), want: request("/", "")},
	{
		name: "no user agent", said: edited(viewer("/"), func(s *said) { s.agents = nil }),
		want: with(request("/", ""), func(r *check.Request) { r.UserAgent = "" }),
	},
	{
		name: "a method of one's own", said: edited(viewer("/"), func(s *said) { s.method = "PROPFIND" }),
		want: with(request("/", ""), func(r *check.Request) { r.Method = "PROPFIND" }),
	},
	{
		name: "the cookie with an id", said: edited(viewer("/"), func(s *said) { s.cookies = []string{"a=b; altagate_id=v1.x-_.y; c=d"} }),
		want: with(request("/", ""), func(r *check.Request) { r.IDs = [check.MaxIDs]string{"v1.x-_.y"} }),
	},
	{
		name: "several of them", said: edited(viewer("/"), func(s *said) { s.cookies = []string{"altagate_id=v1.x;altagate_id=v1.y"} }),
		want: with(request("/", ""), func(r *check.Request) { r.IDs = [check.MaxIDs]string{"v1.x", "v1.y"} }),
	},
	{
		name: "cookies in two lines", said: edited(viewer("/"), func(s *said) { s.cookies = []string{"altagate_id=v1.x", "a=b; altagate_id=v1.y"} }),
		want: with(request("/", ""), func(r *check.Request) { r.IDs = [check.MaxIDs]string{"v1.x", "v1.y"} }),
	},
	{
		name: "cookies that are no id",
		said: edited(viewer("/"), func(s *said) {
			s.cookies = []string{`altagate_id="v1.x"; altagate_id=; altagate_id=é; Altagate_id=v1.x; altagate_id=` + strings.Repeat("x", 1000)}
		}),
		want: request("/", ""),
	},

	{name: "an escaped slash", said: viewer("/a%2fb"), reason: check.Malformed},
	{name: "a backslash", said: viewer(`/a\b`), reason: check.Malformed},
	{name: "an escaped NUL", said: viewer("/a%00"), reason: check.Malformed},
	{name: "a broken escape", said: viewer("/a%zz"), reason: check.Malformed},
	{name: "dots after decoding", said: viewer("/a/%2e%2e/b"), reason: check.Malformed},
	{name: "dots before a semicolon", said: viewer("/a/..;/b"), reason: check.Malformed},
	{name: "dots and repeated slashes", said: viewer("/a//../b"), reason: check.Malformed},
	{name: "above the root", said: viewer("/.."), reason: check.Malformed},
	{name: "a fragment", said: viewer("/a#b"), reason: check.Malformed},
	{name: "a fragment in the query", said: viewer("/a?b#c"), reason: check.Malformed},
	{name: "no path", said: viewer("?token=1"), reason: check.Malformed},
	{name: "an asterisk", said: viewer("*"), reason: check.Malformed},
	{name: "a host with an empty label", said: edited(viewer("/"), func(s *said) { s.host = "a..b" }), reason: check.Malformed},
	{name: "two user agents", said: edited(viewer("/"), func(s *said) { s.agents = []string{"a", "b"} }), reason: check.Malformed},

	{name: "no target", said: viewer(""), reason: check.BadCheck},
	{name: "no host", said: edited(viewer("/"), func(s *said) { s.host = "" }), reason: check.BadCheck},
	{name: "no address", said: edited(viewer("/"), func(s *said) { s.address = "" }), reason: check.BadCheck},
	{name: "a list of addresses", said: edited(viewer("/"), func(s *said) { s.address = "192.0.2.1, 192.0.2.2" }), reason: check.BadCheck},
	{name: "an address with a zone", said: edited(viewer("/"), func(s *said) { s.address = "fe80::1%eth0" }), reason: check.BadCheck},
	{name: "no scheme", said: edited(viewer("/"), func(s *said) { s.scheme = "" }), reason: check.BadCheck},
	{name: "another scheme", said: edited(viewer("/"), func(s *said) { s.scheme = "wss" }), reason: check.BadCheck},
	{name: "no address for a bad path", said: edited(viewer("/a%2fb"), func(s *said) { s.address = "" }), reason: check.BadCheck},
}

// answer is what the proxy was told.
type answer struct {
	allow bool
	// status is what the viewer sees of a denial.
	status int
}

// door is one frontend with its proxy in front of it.
type door struct {
	name, proxy string
	// cannot says that this proxy has no way to say it.
	cannot func(said) bool
	ask    func(*testing.T, said) answer
}

func TestEveryFrontendAsksTheSameAndTellsTheSame(t *testing.T) {
	desk := &desk{}
	for _, door := range doors(t, desk.config()) {
		for _, tt := range tests {
			if door.cannot(tt.said) {
				continue
			}
			for _, allow := range []bool{true, false} {
				t.Run(door.name+"/"+tt.name, func(t *testing.T) {
					desk.reset(allow)
					got := door.ask(t, tt.said)
					want := answer{allow: allow && tt.want != nil}
					if !want.allow {
						want.status = 403
					}
					if got != want {
						t.Errorf("told %+v, want %+v", got, want)
					}
					desk.mustHaveHeard(t, door.proxy, tt.want, tt.reason)
				})
			}
		}
	}
}

// desk is the checker behind every door.
type desk struct {
	mu       sync.Mutex
	decision check.Decision
	asked    []check.Request
	reasons  []check.Reason
}

// checker makes a function a check.Checker.
type checker func(context.Context, *check.Request) check.Decision

func (f checker) Check(ctx context.Context, r *check.Request) check.Decision { return f(ctx, r) }

func (d *desk) config() frontend.Config {
	return frontend.Config{
		Checker: checker(func(_ context.Context, r *check.Request) check.Decision {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.asked = append(d.asked, *r)
			return d.decision
		}),
		May: func(net.Addr) bool { return true },
		Record: func(_ *check.Request, got check.Decision, _ time.Duration) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.reasons = append(d.reasons, got.Reason)
		},
	}
}

func (d *desk) reset(allow bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.decision = check.Decision{Allow: allow, Reason: check.Backend}
	d.asked, d.reasons = nil, nil
}

// mustHaveHeard fails unless the checker was asked exactly want, or nothing
// when that is nil, and one decision was recorded.
func (d *desk) mustHaveHeard(t *testing.T, proxy string, want *check.Request, reason check.Reason) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	var asked []check.Request
	if want != nil {
		r := *want
		r.Proxy = proxy
		asked, reason = append(asked, r), check.Backend
	}
	if diff := cmp.Diff(asked, d.asked, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]check.Reason{reason}, d.reasons); diff != "" {
		t.Errorf("recorded reasons (-want +got):\n%s", diff)
	}
}

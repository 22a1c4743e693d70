package extauthz_test

import (
	"context"
	"net/netip"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/altagate/altagate/pkg/check"
)

// want is the check that envoyCheck is about.
func want() check.Request {
	return check.Request{
		Proxy: "envoy-grpc", Method: "GET", Scheme: "https", Host: "tv.example.com",
		Path: "/live/a.m3u8", Query: "token=1&token=2",
		Addr: netip.MustParseAddr("192.0.2.1"), UserAgent: "player/1.0",
	}
}

type message struct {
	name     string
	edit     func(in *authv3.CheckRequest, http *authv3.AttributeContext_HttpRequest)
	metadata []string
	want     func(*check.Request)
	reason   check.Reason
}

func TestEnvoySaysInEitherFormWhatItAsksAbout(t *testing.T) {
	tests := []message{
		{name: "as Envoy sends it"},
		{
			name: "without the parts that other callers leave out",
			edit: func(_ *authv3.CheckRequest, http *authv3.AttributeContext_HttpRequest) {
				http.Method, http.Scheme, http.Host, http.Path = "", "", "", ""
			},
		},
		{
			name: "without pseudo headers",
			edit: func(_ *authv3.CheckRequest, http *authv3.AttributeContext_HttpRequest) {
				for _, name := range []string{":authority", ":method", ":path", ":scheme"} {
					delete(http.Headers, name)
				}
			},
		},
		{
			name: "a route",
			edit: func(in *authv3.CheckRequest, _ *authv3.AttributeContext_HttpRequest) {
				in.Attributes.ContextExtensions = map[string]string{"altagate.route": "vod", "other": "x"}
			},
			want: func(r *check.Request) { r.Route = "vod" },
		},
		{
			name: "no user agent",
			edit: func(_ *authv3.CheckRequest, http *authv3.AttributeContext_HttpRequest) {
				delete(http.Headers, "user-agent")
			},
			want: func(r *check.Request) { r.UserAgent = "" },
		},
		{
			name: "a viewer's own headers say nothing",
			edit: func(_ *authv3.CheckRequest, http *authv3.AttributeContext_HttpRequest) {
				for _, name := range []string{"x-real-ip", "x-forwarded-for", "x-envoy-external-address", "true-client-ip"} {
					http.Headers[name] = "203.0.113.9"
				}
				http.Headers["x-original-uri"], http.Headers["x-forwarded-host"] = "/free", "free.example.com"
				http.Headers["x-forwarded-proto"], http.Headers["altagate.route"] = "http", "free"
			},
		},
		{
			name:     "the address that the config sends",
			metadata: []string{"x-real-ip", "2001:db8::7", "x-forwarded-for", "203.0.113.9"},
			want:     func(r *check.Request) { r.Addr = netip.MustParseAddr("2001:db8::7") },
		},
		{name: "Envoy's own address", metadata: []string{"x-forwarded-for", "203.0.113.9"}},
		{name: "two addresses", metadata: []string{"x-real-ip", "192.0.2.1", "x-real-ip", "192.0.2.1"}, reason: check.BadCheck},
		{name: "a list of addresses", metadata: []string{"x-real-ip", "192.0.2.1,192.0.2.2"}, reason: check.BadCheck},
		{name: "an address that is none", metadata: []string{"x-real-ip", "-"}, reason: check.BadCheck},
		{name: "an empty address", metadata: []string{"x-real-ip", ""}, reason: check.BadCheck},
		{name: "no source", reason: check.BadCheck, edit: func(in *authv3.CheckRequest, _ *authv3.AttributeContext_HttpRequest) {
			in.Attributes.Source = nil
		}},
		{name: "a source behind a pipe", reason: check.BadCheck, edit: func(in *authv3.CheckRequest, _ *authv3.AttributeContext_HttpRequest) {
			in.Attributes.Source.Address.Address = &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: "/p"}}
		}},
		{name: "no host", reason: check.BadCheck, edit: func(_ *authv3.CheckRequest, http *authv3.AttributeContext_HttpRequest) {
			http.Host = ""
			delete(http.Headers, ":authority")
		}},
		{
			name: "no scheme but the viewer's word for it", reason: check.BadCheck,
			edit: func(_ *authv3.CheckRequest, http *authv3.AttributeContext_HttpRequest) {
				http.Scheme = ""
				delete(http.Headers, ":scheme")
			},
		},
		{name: "no method", reason: check.BadCheck, edit: func(_ *authv3.CheckRequest, http *authv3.AttributeContext_HttpRequest) {
			http.Method = ""
			delete(http.Headers, ":method")
		}},
		{name: "CONNECT, which has no path", reason: check.BadCheck, edit: func(_ *authv3.CheckRequest, http *authv3.AttributeContext_HttpRequest) {
			http.Method, http.Path = "CONNECT", ""
			delete(http.Headers, ":path")
		}},
		{name: "an escaped slash", reason: check.Malformed, edit: func(_ *authv3.CheckRequest, http *authv3.AttributeContext_HttpRequest) {
			http.Path, http.Headers[":path"] = "/a%2Fb", "/a%2Fb"
		}},
		{name: "a fragment", reason: check.Malformed, edit: func(_ *authv3.CheckRequest, http *authv3.AttributeContext_HttpRequest) {
			http.Path, http.Headers[":path"] = "/a#b", "/a#b"
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Run("headers", func(t *testing.T) { mustRead(t, tt, func(*authv3.CheckRequest) {}) })
			t.Run("header_map", func(t *testing.T) { mustRead(t, tt, func(in *authv3.CheckRequest) { raw(in) }) })
		})
	}
}

func mustRead(t *testing.T, m message, form func(*authv3.CheckRequest)) {
	t.Helper()
	in := envoyCheck()
	if m.edit != nil {
		m.edit(in, in.GetAttributes().GetRequest().GetHttp())
	}
	form(in)
	d := &desk{decision: check.Decision{Allow: true, Reason: check.Backend}}
	_, conn := start(t, d.config())
	ctx := t.Context()
	if m.metadata != nil {
		ctx = metadata.AppendToOutgoingContext(ctx, m.metadata...)
	}
	out := ask(ctx, t, conn, in)
	if m.reason != "" {
		mustBeRefused(t, d, out, m.reason)
		return
	}
	want := want()
	if m.want != nil {
		m.want(&want)
	}
	if codes.Code(out.GetStatus().GetCode()) != codes.OK {
		t.Errorf("answer %v", out)
	}
	same := cmpopts.EquateComparable(netip.Addr{})
	if diff := cmp.Diff([]check.Request{want}, d.asked, same); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]recorded{{want, d.decision}}, d.recorded, same); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

// mustBeRefused fails unless one check was denied for the reason without being
// asked, and recorded once.
func mustBeRefused(t *testing.T, d *desk, out *authv3.CheckResponse, reason check.Reason) {
	t.Helper()
	if len(d.asked) != 0 || codes.Code(out.GetStatus().GetCode()) != codes.PermissionDenied ||
		out.GetDeniedResponse().GetStatus().GetCode() != 403 {
		t.Errorf("asked %+v, answer %v", d.asked, out)
	}
	if len(d.recorded) != 1 || d.recorded[0].Decision.Reason != reason || d.recorded[0].Request.Proxy != "envoy-grpc" {
		t.Errorf("recorded %+v, want one %s", d.recorded, reason)
	}
}

func TestAMessageThatIsNoHTTPCheckIsABadCheck(t *testing.T) {
	tests := map[string]*authv3.CheckRequest{
		"nothing":     {},
		"no request":  {Attributes: &authv3.AttributeContext{Source: source("192.0.2.1")}},
		"no HTTP":     {Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{}}},
		"empty HTTP":  {Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{}}}},
		"TCP":         {Attributes: &authv3.AttributeContext{Source: source("192.0.2.1"), Destination: source("192.0.2.2"), TlsSession: &authv3.AttributeContext_TLSSession{Sni: "h"}}},
		"nil headers": raw(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{}}}}, &corev3.HeaderValue{}),
	}
	for name, in := range tests {
		t.Run(name, func(t *testing.T) {
			d := &desk{decision: check.Decision{Allow: true}}
			_, conn := start(t, d.config())
			mustBeRefused(t, d, ask(t.Context(), t, conn, in), check.BadCheck)
		})
	}
}

func TestRawHeadersKeepWhatTheMapLoses(t *testing.T) {
	twice := func(name, value string) *authv3.CheckRequest {
		return raw(envoyCheck(), &corev3.HeaderValue{Key: name, RawValue: []byte(value)})
	}
	t.Run("two user agents are malformed", func(t *testing.T) {
		d := &desk{decision: check.Decision{Allow: true}}
		_, conn := start(t, d.config())
		mustBeRefused(t, d, ask(t.Context(), t, conn, twice("user-agent", "b")), check.Malformed)
	})
	t.Run("a pseudo header that is there twice stands in for nothing", func(t *testing.T) {
		d := &desk{decision: check.Decision{Allow: true}}
		_, conn := start(t, d.config())
		in := twice(":authority", "free.example.com")
		in.Attributes.Request.Http.Host = ""
		mustBeRefused(t, d, ask(t.Context(), t, conn, in), check.BadCheck)
	})
	t.Run("a path that is there twice is none", func(t *testing.T) {
		d := &desk{decision: check.Decision{Allow: true}}
		_, conn := start(t, d.config())
		mustBeRefused(t, d, ask(t.Context(), t, conn, twice(":path", "/free")), check.BadCheck)
	})
	t.Run("bytes that are not UTF-8 arrive", func(t *testing.T) {
		d := &desk{decision: check.Decision{Allow: true}}
		_, conn := start(t, d.config())
		in := envoyCheck()
		http := in.GetAttributes().GetRequest().GetHttp()
		http.Path = "/a!?b=!"
		http.Headers[":path"], http.Headers["user-agent"] = "/a\xff?b=\xff", "a\xff"
		ask(t.Context(), t, conn, raw(in))
		if len(d.asked) != 1 || d.asked[0].UserAgent != "a\xff" || d.asked[0].Path != "/a%FF" || d.asked[0].Query != "b=\xff" {
			t.Errorf("asked %+v", d.asked)
		}
	})
	t.Run("a plain value is read too", func(t *testing.T) {
		d := &desk{decision: check.Decision{Allow: true}}
		_, conn := start(t, d.config())
		in := envoyCheck()
		delete(in.Attributes.Request.Http.Headers, "user-agent")
		ask(t.Context(), t, conn, raw(in, &corev3.HeaderValue{Key: "user-agent", Value: "plain"}))
		if len(d.asked) != 1 || d.asked[0].UserAgent != "plain" {
			t.Errorf("asked %+v", d.asked)
		}
	})
}

func TestTheCheckerGetsTheCallsDeadline(t *testing.T) {
	config := (&desk{}).config()
	left := make(chan int64, 1)
	config.Checker = checker(func(ctx context.Context, _ *check.Request) check.Decision {
		deadline, _ := ctx.Deadline()
		left <- deadline.UnixNano()
		return check.Decision{}
	})
	_, conn := start(t, config)
	ctx, cancel := context.WithTimeout(t.Context(), 3e9)
	defer cancel()
	ask(ctx, t, conn, envoyCheck())
	deadline, _ := ctx.Deadline()
	// The deadline travels as the time that is left, so it may come out a little
	// later, but nowhere near the default of five seconds.
	if late := <-left - deadline.UnixNano(); late < -1e8 || late > 1.9e9 {
		t.Errorf("deadline is off by %d ns", late)
	}
}

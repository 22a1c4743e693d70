package frontend_test

import (
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/check"
)

// TestWhereAViewerIsSentReachesEachProxyInItsOwnWay has those that show a viewer the
// answer as it is, those that the shipped configs tell what to do, and one that knows
// no redirect.
func TestWhereAViewerIsSentReachesEachProxyInItsOwnWay(t *testing.T) {
	const (
		promo   = "https://promo.example.com/index.m3u8?from=gate"
		found   = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + promo + "\r\n\r\n"
		reason  = "X-Altagate-Decision: deny\r\nX-Altagate-Reason: backend\r\n"
		to      = "X-Altagate-Redirect: " + promo + "\r\n\r\n"
		teapot  = "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n"
		refused = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n"
	)
	heads := others()
	heads["nginx"], heads["envoy"] = nginxHead("/auth/nginx"), envoyHead("GET", "/live/a.m3u8")
	for name, want := range map[string]string{
		"traefik": found, "caddy": found, "envoy": found, "haproxy": teapot + reason + to,
		"nginx": refused + reason + to, "ingress-nginx": refused + reason + to,
	} {
		d := &desk{decision: check.Decision{Reason: check.Backend, Status: 418, Redirect: promo}}
		c := dial(t, serve(t, d.config()))
		for range 2 { // The connection is kept.
			c.send(heads[name]...)
			if got := c.head(); got != want {
				t.Errorf("%s:\ngot  %q\nwant %q", name, got, want)
			}
		}
	}
}

func TestNobodyIsSentAnywhereByAnAllowOrABrokenURL(t *testing.T) {
	heads := others()
	heads["nginx"], heads["envoy"] = nginxHead("/auth/nginx"), envoyHead("GET", "/live/a.m3u8")
	for _, decision := range []check.Decision{
		{Allow: true, Reason: check.Session, Redirect: "https://promo.example.com/"},
		{Reason: check.Backend, Redirect: "https://promo.example.com/\r\nSet-Cookie: a=b"},
		{Reason: check.Backend, Redirect: "https://promo.example.com/" + strings.Repeat("a", 2000)},
	} {
		for name, head := range heads {
			d := &desk{decision: decision}
			c := dial(t, serve(t, d.config()))
			c.send(head...)
			got := c.head()
			if want := map[bool]string{true: "HTTP/1.1 200", false: "HTTP/1.1 403"}[decision.Allow]; !strings.HasPrefix(got, want) || strings.Contains(got, "promo") {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
}

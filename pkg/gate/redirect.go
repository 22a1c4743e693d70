package gate

import (
	"net/url"
	"strings"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/pkg/target"
)

// elsewhere is where a route sends viewers who are denied, as a request for it looks.
// The zero value is nowhere.
type elsewhere struct{ host, path string }

// elsewhereOf reads a whole URL, which config has checked; "" is nowhere.
func elsewhereOf(redirect string) elsewhere {
	u, err := url.Parse(redirect)
	if err != nil || redirect == "" {
		return elsewhere{}
	}
	host, err := target.Host(u.Host, u.Scheme)
	if err != nil {
		host = strings.ToLower(u.Host)
	}
	t, err := target.Parse(u.RequestURI())
	if err != nil {
		return elsewhere{host: host}
	}
	return elsewhere{host: host, path: t.Path}
}

// redirects tells whether a viewer whose request is denied is sent elsewhere: from an
// entry only, since a player does not take a playlist for a segment, and not from
// where it would be sent.
func (l *line) redirects(r *check.Request) bool {
	if l.policy.Redirect == "" || !session.Opens(r.Method) {
		return false
	}
	if _, entry := l.rules.Layout.Opens(r.Path); !entry {
		return false
	}
	return r.Path != l.elsewhere.path || !strings.EqualFold(withoutPort(r.Host), withoutPort(l.elsewhere.host))
}

// withoutPort takes the port off a host: a proxy may tell another than viewers see.
func withoutPort(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}

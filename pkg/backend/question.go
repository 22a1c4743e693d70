package backend

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/preset"
	"github.com/altagate/altagate/pkg/target"
)

// idParameter is altagate's own parameter of a viewer's query. No backend gets
// it.
const idParameter = "altagate_id"

// userAgent is how altagate names itself to backends. The viewer's User-Agent
// is in X-Real-Ua.
const userAgent = "altagate"

// errUnsendable is why a question cannot be put into HTTP. It says nothing
// about the backend: nothing was sent, and nothing would be.
var errUnsendable = errors.New("the check cannot be sent to a backend")

// endpoint is what is asked at one address. It does not change.
type endpoint struct {
	// name is scheme, host and port: the address in events and logs.
	name string
	// url is asked by questions, probeURL by probes; neither has a user.
	url, probeURL url.URL
	// host is the Host header; empty means that of the URL.
	host string
	// told is what questions say of the viewer.
	told told
	// dropped names the viewer's parameters that are not passed on.
	dropped map[string]bool
	// header and probeHeader are sent each time. They differ where the probe
	// has a user of its own.
	header, probeHeader http.Header
}

// newEndpoint makes the endpoint of the address u of a backend.
func newEndpoint(c Config, u *url.URL) (*endpoint, error) {
	if u == nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("backend URL has no http:// or https:// with a host: give one such as http://127.0.0.1:6000/auth")
	}
	if u.User != nil && c.Header.Get("Authorization") != "" {
		return nil, errors.New("backend has both a user in its URL and an Authorization header: give one of them")
	}
	e := &endpoint{
		name:    u.Scheme + "://" + u.Host,
		url:     bare(u),
		host:    c.Host,
		told:    newTold(c),
		dropped: target.Names(u.RawQuery),
		header:  fixed(c.Header, u.User),
	}
	if name := e.told.among(e.dropped); name != "" {
		return nil, fmt.Errorf("the query of the backend's URL has %s, which the preset %s sets: leave it out", name, c.Preset.Name)
	}
	e.dropped[target.Name(idParameter)] = true
	for _, name := range e.told.reserved {
		e.dropped[target.Name(name)] = true
	}
	e.probeURL, e.probeHeader = e.url, e.header
	if c.Probe != nil {
		if err := e.setProbe(c, u); err != nil {
			return nil, err
		}
	}
	for _, query := range [...]string{e.url.RawQuery, e.probeURL.RawQuery} {
		if c, bad := badInQuery(query); bad {
			return nil, fmt.Errorf("query of the backend's URL has the byte 0x%02x: write it as %%%02X", c, c)
		}
	}
	return e, nil
}

// setProbe makes the endpoint's probe the operator's own.
func (e *endpoint) setProbe(c Config, u *url.URL) error {
	e.probeURL = bare(u.ResolveReference(c.Probe))
	if e.probeURL.Scheme != "http" && e.probeURL.Scheme != "https" {
		return errors.New("probe is neither http:// nor https://: give a path, or a URL such as http://127.0.0.1:6000/health")
	}
	user := c.Probe.User
	if user != nil && c.Header.Get("Authorization") != "" {
		return errors.New("backend has both a user in its probe and an Authorization header: give one of them")
	}
	// The address's password is not for whatever else the probe asks.
	if user == nil && e.probeURL.Scheme == u.Scheme && e.probeURL.Host == u.Host {
		user = u.User
	}
	e.probeHeader = fixed(c.Header, user)
	return nil
}

// bare is u as it is sent: without user and fragment, and without the "&" at
// the end of its query that the viewer's would double.
func bare(u *url.URL) url.URL {
	return url.URL{
		Scheme: u.Scheme, Host: u.Host,
		Path: u.Path, RawPath: u.RawPath,
		RawQuery: strings.TrimRight(u.RawQuery, "&"),
	}
}

// fixed is the header that goes with each request to an address.
func fixed(operator http.Header, user *url.Userinfo) http.Header {
	h := http.Header{"User-Agent": {userAgent}}
	maps.Copy(h, operator)
	if user != nil {
		password, _ := user.Password()
		pair := []byte(user.Username() + ":" + password)
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString(pair))
	}
	return h
}

// question makes the request that asks the address about r (Alta: GET, the
// viewer's parameters appended to the URL, five headers). An empty User-Agent
// is sent as an empty X-Real-Ua: the backend always gets all five.
func (e *endpoint) question(ctx context.Context, r *check.Request, s Session) *http.Request {
	header := make(http.Header, len(e.header)+len(e.told.headers))
	maps.Copy(header, e.header)
	values := make([]string, len(e.told.headers))
	for i, f := range e.told.headers {
		values[i] = e.told.value(f.Value, r, s)
		header[f.Name] = values[i : i+1 : i+1]
	}
	u := e.url
	u.RawQuery = joined(joined(u.RawQuery, e.told.query(r, s)), target.Without(r.Query, e.dropped))
	return e.get(ctx, u, header)
}

// probe makes the request that probes the address. Nothing of a viewer is in it.
func (e *endpoint) probe(ctx context.Context) *http.Request {
	return e.get(ctx, e.probeURL, e.probeHeader.Clone())
}

func (e *endpoint) get(ctx context.Context, u url.URL, header http.Header) *http.Request {
	r := &http.Request{
		Method: http.MethodGet,
		URL:    &u, Host: e.host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return r.WithContext(ctx)
}

// joined appends the viewer's query to the operator's, byte for byte.
func joined(own, viewer string) string {
	if own == "" || viewer == "" {
		return own + viewer
	}
	return own + "&" + viewer
}

// sendable reports, as errUnsendable, what of a check net/http would refuse to
// send or would send in a way that a backend reads differently. Frontends refuse
// such checks, so this is the second lock: without it a viewer's byte could end
// as a failure of the backend.
func sendable(r *check.Request, s Session) error {
	if !r.Addr.IsValid() {
		return fmt.Errorf("%w: it has no viewer's address", errUnsendable)
	}
	if c, bad := badInQuery(r.Query); bad {
		return fmt.Errorf("%w: its query has the byte 0x%02x", errUnsendable, c)
	}
	for _, f := range [...]struct{ what, value string }{
		{"session", s.ID}, {"stream", s.Stream}, {"path", r.Path}, {"origin", r.Scheme}, {"origin", r.Host}, {"User-Agent", r.UserAgent},
	} {
		if c, bad := badByte(f.value); bad {
			return fmt.Errorf("%w: its %s has the byte 0x%02x", errUnsendable, f.what, c)
		}
	}
	return nil
}

// sendable reports what sendable does, and a query of which a part would be
// dropped together with others that hang on it by a ";": the backend would decide
// about less than an origin might read.
func (b *Backend) sendable(r *check.Request, s Session) error {
	if err := sendable(r, s); err != nil {
		return err
	}
	for _, e := range b.endpoints {
		if target.Tangled(r.Query, e.dropped) {
			return fmt.Errorf("%w: its query joins, by a \";\", a parameter that is dropped to others", errUnsendable)
		}
	}
	return nil
}

// badInQuery finds a byte that no query may have: a space would end the request
// line early, and net/http would send it.
func badInQuery(query string) (byte, bool) {
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c == 0x7f || c == '#' {
			return c, true
		}
	}
	return 0, false
}

// badByte finds a byte that no header value may have.
func badByte(value string) (byte, bool) {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return c, true
		}
	}
	return 0, false
}

// checkFixed checks the operator's headers and Host, so that net/http never
// refuses to send them and none of them speaks of the viewer.
func checkFixed(header http.Header, host string, p preset.Preset) error {
	for name, values := range header {
		if !isToken(name) {
			return fmt.Errorf("header name %q is not one that HTTP knows: use letters, digits and -", name)
		}
		if p.SetsHeader(name) {
			return fmt.Errorf("header %q is altagate's own to set: remove it", name)
		}
		switch http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")) {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection":
			return fmt.Errorf("header %q cannot be set: remove it (for Host there is a setting of its own)", name)
		}
		for _, value := range values {
			if c, bad := badByte(value); bad {
				return fmt.Errorf("value of header %q has the byte 0x%02x: remove it", name, c)
			}
		}
	}
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`/?#@\`, c) >= 0 {
			return fmt.Errorf("host %q has the byte 0x%02x: give a name with a port at most", host, c)
		}
	}
	return nil
}

// isToken reports whether name can be a header's name.
func isToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}

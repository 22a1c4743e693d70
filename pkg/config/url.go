package config

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

func readURL(v value) (*url.URL, bool) {
	text, ok := v.text()
	if !ok {
		return nil, false
	}
	u, err := parseURL(text)
	if err != nil {
		v.wrong("%v", err)
		return nil, false
	}
	return u, true
}

var errWrongScheme = errors.New("begins neither with http:// nor with https://")

// parseURL reads the URL of a backend. Its errors go after the name of what
// was read ("backend URL has no scheme…") and never show the URL, nor what
// net/url says of it, for both can hold a password.
func parseURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("is empty: write a URL, as in http://10.0.0.5/auth")
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, errors.New("holds a space, a control character or a letter outside ASCII: write those as %XX, and a host as xn--…")
	}
	if !strings.Contains(raw, "://") {
		return nil, withoutScheme(raw)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("is not a URL: look at the port, the brackets of an IPv6 address and each %, " +
			"and write special characters of a password as %XX")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errWrongScheme
	case u.Hostname() == "":
		return nil, errors.New("has no host: write a URL, as in http://10.0.0.5/auth")
	case strings.Contains(raw, "#"):
		return nil, errors.New("has a fragment, which no server ever gets: leave out # and what follows, or write # as %23")
	}
	if err := checkHost(u.Host); err != nil {
		return nil, err
	}
	return u, nil
}

// withoutScheme says what a URL without "://" was meant to be, if that can be
// shown. One as in "http//host" or "htp:/host" has a scheme that is misspelled.
func withoutScheme(raw string) error {
	first, _, _ := strings.Cut(raw, "/")
	switch {
	case first == "http" || first == "https" || strings.HasSuffix(first, ":"):
		return errWrongScheme
	case strings.HasPrefix(quote(raw), `"`) && raw[0] != '/':
		return errors.New("has no scheme: write http://" + raw)
	default:
		return errors.New("has no scheme: write http:// or https:// before it, as in http://10.0.0.5/auth")
	}
}

// checkHost looks at a host with an optional port, as in a URL or a Host
// header.
func checkHost(raw string) error {
	u := url.URL{Host: raw}
	host, port := u.Hostname(), u.Port()
	if strings.HasSuffix(raw, ":") {
		return errors.New("has a colon after the host and no port")
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("has a port that is not 1 to 65535")
		}
	}
	if strings.HasPrefix(raw, "[") {
		if addr, err := netip.ParseAddr(host); err != nil || !addr.Is6() {
			return errors.New("has brackets around what is no IPv6 address")
		}
		return nil
	}
	if !isHostName(strings.TrimSuffix(host, ".")) {
		return errors.New("has a host that is neither a name nor an address")
	}
	return nil
}

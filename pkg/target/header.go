package target

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// MaxUserAgent is the most bytes that a User-Agent may have: as much as nginx
// takes in one header line with its default settings.
const MaxUserAgent = 8192

// maxHost is the most bytes of a host with its port; names in DNS have at most
// 253.
const maxHost = 260

// ErrNoHost says that there is no host at all. It is not the viewer's mistake
// but the proxy's.
var ErrNoHost = errors.New("no host")

// Host gives the normal form of a host with an optional port: lower-case,
// without a final dot, and without the port that is the scheme's default (80
// for "http", 443 for "https"). An IPv6 address stands in brackets and gets
// its canonical spelling. Names may have letters, digits, "-", "." and "_";
// ports are 1 to 65535. Errors wrap ErrMalformed, save ErrNoHost for an empty
// host.
func Host(raw, scheme string) (string, error) {
	if raw == "" {
		return "", ErrNoHost
	}
	if len(raw) > maxHost {
		return "", malformed(fmt.Sprintf("host is longer than %d bytes", maxHost))
	}
	name, port, hasPort := cutPort(raw)
	if hasPort && !isPort(port) {
		return "", malformed("host has a port that is not 1 to 65535")
	}
	host, err := hostName(name)
	if err != nil {
		return "", err
	}
	if !hasPort || port == defaultPort(scheme) {
		return host, nil
	}
	return host + ":" + port, nil
}

func cutPort(raw string) (name, port string, found bool) {
	at := strings.LastIndexByte(raw, ':')
	if at < 0 || strings.HasSuffix(raw, "]") {
		return raw, "", false
	}
	return raw[:at], raw[at+1:], true
}

// isPort takes a port in its one spelling only, without leading zeros: another
// spelling of a default port would be another host.
func isPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil && port[0] != '0'
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	default:
		return ""
	}
}

func hostName(name string) (string, error) {
	if inside, ok := strings.CutPrefix(name, "["); ok {
		inside, ok = strings.CutSuffix(inside, "]")
		addr, err := netip.ParseAddr(inside)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", malformed("host has brackets around what is no IPv6 address")
		}
		return "[" + addr.String() + "]", nil
	}
	name = strings.TrimSuffix(name, ".")
	if name == "" || name[0] == '.' || name[len(name)-1] == '.' || strings.Contains(name, "..") {
		return "", malformed("host has an empty label")
	}
	for i := range len(name) {
		if c := name[i]; !isAlphanumeric(c) && c != '-' && c != '.' && c != '_' {
			return "", malformed("host has a byte that no name has")
		}
	}
	return strings.ToLower(name), nil
}

// UserAgent gives the one User-Agent among the header's values; none is an
// empty one. Two of them, or one that would not reach a backend as it is (a
// control byte other than a tab, a space or tab at either end, more than
// MaxUserAgent bytes), are malformed. Bytes outside ASCII are fine.
func UserAgent(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", malformed("more than one User-Agent")
	}
	agent := values[0]
	if len(agent) > MaxUserAgent {
		return "", malformed(fmt.Sprintf("User-Agent is longer than %d bytes", MaxUserAgent))
	}
	if strings.Trim(agent, " \t") != agent {
		return "", malformed("User-Agent has a space at its end")
	}
	for i := range len(agent) {
		if c := agent[i]; isControl(c) && c != '\t' {
			return "", malformed("User-Agent has a control byte")
		}
	}
	return agent, nil
}

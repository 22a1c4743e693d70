package config

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/preset"
)

const exampleBackend = "{url: http://10.0.0.5/auth}"

func readBackends(v value) []Backend {
	entries := v.entries(exampleBackends)
	if v.isMapping() && len(entries) == 0 {
		v.wrong("names no backend: write %s", exampleBackends)
	}
	backends := make([]Backend, 0, len(entries))
	for _, e := range entries {
		if !isName(e.name) {
			e.key.wrong("%s is no name: %s", quote(e.name), nameRule)
		}
		if e.name == check.SecureToken {
			e.key.wrong("%s is what the log calls a token that was checked without a backend: choose another name", quote(e.name))
		}
		backends = append(backends, readBackend(e.name, e.value))
	}
	return backends
}

func readBackend(name string, v value) Backend {
	b := Backend{Name: name, Timeout: DefaultTimeout}
	keys := v.section(exampleBackend, "preset", "url", "urls", "timeout", "headers", "host", "ca_file", "server_name",
		"client_cert", "client_key", "unavailable_statuses", "probe", "limits", "users", "name")
	kind, known := readPreset(keys["preset"])
	b.SetPreset(kind)
	b.URLs = readURLs(v, keys, kind)
	b.Probe = readProbe(keys["probe"], len(b.URLs) > 1)
	keys["timeout"].duration(span{time.Nanosecond, MaxTimeout, "2s or 500ms"}, &b.Timeout)
	b.Headers = readHeaders(keys["headers"], kind)
	if _, basic := b.Headers["Authorization"]; basic && (slices.ContainsFunc(b.URLs, hasUser) || hasUser(b.Probe)) {
		keys["headers"].wrong("Authorization is here and a user is in the URL, which makes the same header: keep one")
	}
	b.Host = readHost(keys["host"])
	readTLS(keys, &b)
	if statuses := readStatuses(keys["unavailable_statuses"]); statuses != nil {
		b.UnavailableStatuses = statuses
	}
	if known {
		readStream(keys["name"], kind, &b.Stream)
		checkQueries(keys, &b, kind)
	}
	b.Limits = readLimits(keys["limits"])
	b.Users = readUsers(keys["users"])
	return b
}

func hasUser(u *url.URL) bool { return u != nil && u.User != nil }

func isHTTPS(u *url.URL) bool { return u != nil && u.Scheme == "https" }

// readURLs reads url or urls, whichever there is, or gives the preset's own.
func readURLs(v value, keys map[string]value, p preset.Preset) []*url.URL {
	one, several := keys["url"], keys["urls"]
	if one.present() && several.present() {
		several.wrong("url and urls are both here: keep one of them")
	}
	if !several.present() && !one.present() && p.URL != "" {
		u, _ := parseURL(p.URL)
		return []*url.URL{u}
	}
	if !several.present() {
		v.need(keys, "url", "has no address: write url: http://10.0.0.5/auth")
		if u, ok := readURL(one); ok {
			return []*url.URL{u}
		}
		return nil
	}
	var urls []*url.URL
	lines := map[string]int{}
	for _, item := range several.list("urls: [http://10.0.0.5/auth, http://10.0.0.6/auth]") {
		u, ok := readURL(item)
		if !ok {
			continue
		}
		if line, twice := lines[u.String()]; twice {
			item.wrong("is in the list twice, first at line %d", line)
			continue
		}
		lines[u.String()] = item.node.Line
		urls = append(urls, u)
	}
	return urls
}

// readProbe reads a path, which each address is asked for, or a whole URL. That
// cannot be with several addresses: a probe of one host says nothing about
// another.
func readProbe(v value, several bool) *url.URL {
	text, ok := v.text()
	if !ok {
		return nil
	}
	isPath := strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//")
	switch {
	case isPath:
		text = "http://probe" + text
	case several:
		v.wrong("must be a path, as in /health, since each address of urls is probed by itself")
		return nil
	}
	u, err := parseURL(text)
	if err != nil {
		v.wrong("%v", err)
		return nil
	}
	if isPath {
		u.Scheme, u.Host = "", ""
	}
	return u
}

func readHost(v value) string {
	host, ok := v.text()
	if !ok {
		return ""
	}
	if err := checkHost(host); err != nil {
		v.wrong("%v: write a host with an optional port, as in portal.example.com", err)
		return ""
	}
	return host
}

func readStatuses(v value) []int {
	var statuses []int
	for _, item := range v.list("unavailable_statuses: [502, 503, 504]") {
		status, ok := item.number()
		switch {
		case !ok:
		case status < 100 || status > 599:
			item.wrong("%d is no HTTP status: write one from 100 to 599", status)
		case status == 200:
			item.wrong("200 is the one status that allows: leave it out")
		default:
			statuses = append(statuses, status)
		}
	}
	return statuses
}

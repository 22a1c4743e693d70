package config

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/altagate/altagate/pkg/preset"
)

// readHeaders reads the fixed headers of a backend. No mistake shows a value,
// for it may be a secret, nor a name that is none, for it may hold the value.
func readHeaders(v value, p preset.Preset) map[string]string {
	var headers map[string]string
	lines := map[string]int{}
	for _, e := range v.entries(`headers: {X-Api-Key: "..."}`) {
		if err := checkHeaderName(e.name, p); err != nil {
			e.key.wrong("%v", err)
			continue
		}
		name := http.CanonicalHeaderKey(e.name)
		if line, twice := lines[name]; twice {
			e.key.wrong("the header %s is here twice, first at line %d: upper and lower case are the same here", name, line)
			continue
		}
		lines[name] = e.key.node.Line
		text, ok := e.value.text()
		if !ok {
			continue
		}
		if err := checkHeaderValue(text); err != nil {
			e.value.wrong("%v", err)
			continue
		}
		if headers == nil {
			headers = map[string]string{}
		}
		headers[name] = text
	}
	return headers
}

func checkHeaderName(name string, p preset.Preset) error {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isTokenRune(r) }) {
		return errors.New("this is no header name: write letters, digits and -, without a colon")
	}
	canonical := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
	if p.SetsHeader(name) {
		return fmt.Errorf("%s is set by altagate for each check: leave it out", canonical)
	}
	switch canonical {
	case "Host":
		return errors.New("the Host header has a key of its own: write host: portal.example.com beside url")
	case "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection",
		"Te", "Trailer", "Upgrade", "Expect":
		return fmt.Errorf("%s belongs to the connection and is not the config's to set: leave it out", canonical)
	}
	return nil
}

// isTokenRune takes what RFC 9110, section 5.6.2, allows in a name.
func isTokenRune(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// checkHeaderValue refuses what would not reach the backend as it is written.
func checkHeaderValue(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return isControl(r) && r != '\t' }) {
		return errors.New("holds a line break or another control character, which no header can: write it in one line")
	}
	if strings.Trim(text, " \t") != text {
		return errors.New("begins or ends with a space, which is not sent: remove it")
	}
	return nil
}

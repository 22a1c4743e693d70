// Package target reads what a viewer asked for, in the one way that decides:
// the request target split into the path that is served and the query as it
// was sent, the host, and the User-Agent. What two readers could understand in
// two ways, or what cannot be sent on faithfully, is malformed.
//
// Everything here is a pure function and safe for concurrent use. No error
// holds bytes of the viewer's, so errors can be logged.
package target

import (
	"errors"
	"fmt"
	"strings"
)

// MaxTarget is the most bytes that a request target may have. It leaves room
// over the longest that nginx (8 KiB) takes with its default settings.
const MaxTarget = 16384

// ErrMalformed is wrapped by the errors about what a viewer sent. Such a
// request is denied whatever the policy.
var ErrMalformed = errors.New("malformed")

// Target is a request target, read.
type Target struct {
	// Path is the normalized path, and always begins with "/": plain dot
	// segments are resolved, repeated slashes merged, escaped unreserved
	// characters decoded. Other escapes are kept, in upper case; bytes outside
	// printable ASCII are escaped; other printable bytes stay as they came.
	Path string
	// Query is what follows the first "?", byte for byte.
	Query string
	// HasQuery tells "/a?" from "/a".
	HasQuery bool
}

// Parse reads a request target in origin form, as in "/live/a.m3u8?token=1".
// It splits at the first "?" by bytes. The error wraps ErrMalformed and says
// which rule was broken. A target that is in normal form already costs no
// allocation.
func Parse(raw string) (Target, error) {
	if len(raw) > MaxTarget {
		return Target{}, malformed(fmt.Sprintf("target is longer than %d bytes", MaxTarget))
	}
	if err := checkSendable(raw); err != nil {
		return Target{}, err
	}
	path, query, hasQuery := strings.Cut(raw, "?")
	path, err := normalize(path)
	if err != nil {
		return Target{}, err
	}
	return Target{Path: path, Query: query, HasQuery: hasQuery}, nil
}

// checkSendable refuses the bytes that no request target may have, in its path
// or in its query: proxies cut at them, pass them on, or refuse them, each in
// its own way.
func checkSendable(raw string) error {
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '#':
			return malformed("target has a raw #")
		case c == ' ':
			return malformed("target has a raw space")
		case isControl(c):
			return malformed("target has a raw control byte")
		}
	}
	return nil
}

func malformed(rule string) error { return fmt.Errorf("%w: %s", ErrMalformed, rule) }

func isControl(c byte) bool { return c < 0x20 || c == 0x7f }

// Package securetoken checks tokens that prove by themselves that a viewer may have a
// path until a time: Alta's securetoken, and the links of nginx's secure_link. Nobody
// is asked.
//
// Both hash texts that are put together without separators, so that the end of one
// could be taken for the beginning of the next: the 1 of an address 192.0.2.71 for
// that of a time. So times have ten digits here, as all have from 2001 to 2286, and a
// path before an address must not end as an address can begin: a token then says one
// thing only.
package securetoken

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// What a token can lack. Only ErrNone leaves the request to whoever comes next.
var (
	// ErrNone: the request has no token of this kind.
	ErrNone = errors.New("there is no such token")
	// ErrForged: the token is not of these secrets, or for another path or viewer.
	ErrForged = errors.New("the token is not for this path and viewer, or of another secret")
	// ErrExpired: its time is over.
	ErrExpired = errors.New("the token has expired")
	// ErrAmbiguous: the path ends as an address can begin, so that the token could have
	// been made for another of both.
	ErrAmbiguous = errors.New("the path ends as an address can begin, so the token may be for another path and viewer: " +
		"let it end in .m3u8 or another extension")
	// ErrEarly: its time has not begun.
	ErrEarly = errors.New("the token is not valid yet: compare the clocks")
)

// Leeway is by how much the clock of who makes tokens may be ahead.
const Leeway = time.Minute

// Tokens checks the tokens of one kind. It is not changed after it was made, and so is
// safe for concurrent use.
type Tokens struct {
	secrets [][]byte
	// link is nil for Alta's.
	link *link
}

// Alta checks tokens as Cesbo Alta's securetoken has them, in the parameter token. Any
// of the secrets is good; there is at least one.
func Alta(secrets [][]byte) *Tokens { return &Tokens{secrets: secrets} }

// Check tells until when the token of a request is good, which is after now. The
// error is one of this package's.
func (t *Tokens) Check(r *check.Request, now time.Time) (until time.Time, err error) {
	if t.link != nil {
		return t.checkLink(r, now)
	}
	return t.checkAlta(r, now)
}

// until tells when a token with an end is over: with the second after it, as nginx
// has it.
func until(end int64, now time.Time) (time.Time, error) {
	over := time.Unix(end+1, 0)
	if !now.Before(over) {
		return time.Time{}, ErrExpired
	}
	return over, nil
}

// digits is how many a time has, in seconds since 1970.
const digits = 10

// seconds reads a time.
func seconds(text string) (int64, bool) {
	if len(text) != digits || text[0] == '0' || strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// isAmbiguous tells whether a path that an address follows could end earlier, or the
// address begin later. Nobody makes tokens for an entry with its last
// character cut off, or with a digit after it.
func isAmbiguous(path string, addr netip.Addr) bool {
	if strings.HasSuffix(path, ".m3u8") || strings.HasSuffix(path, ".mpd") {
		return false
	}
	of := "0123456789."
	if addr.Is6() {
		of += "abcdefABCDEF:"
	}
	return path == "" || strings.IndexByte(of, path[len(path)-1]) >= 0
}

// parameter gives the first value of a query's parameter, as it came. The name is
// compared without regard to case, as nginx does.
func parameter(query, name string) (string, bool) {
	for part := range strings.SplitSeq(query, "&") {
		if key, value, ok := strings.Cut(part, "="); ok && strings.EqualFold(key, name) {
			return value, true
		}
	}
	return "", false
}

// decoded is a normalized path with its escapes decoded, as nginx has it in $uri.
func decoded(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if n, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

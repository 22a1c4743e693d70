package securetoken

import (
	"crypto/md5" //nolint:gosec // It is what nginx computes.
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// The defaults of a link, those of nginx's documentation with $secret in place of the
// secret.
const (
	DefaultExpression = "$secure_link_expires$uri$remote_addr $secret"
	DefaultHash       = "md5"
	DefaultExpires    = "expires"
)

// The variables of an expression.
const (
	expires    = "secure_link_expires"
	uri        = "uri"
	remoteAddr = "remote_addr"
	userAgent  = "http_user_agent"
	secret     = "secret"
)

// link is nginx's secure_link and secure_link_md5.
type link struct {
	parts []part
	// hash and expires name the parameters.
	hash, expires string
	// tight is set where the address follows the path with nothing between.
	tight bool
}

// part is a piece of an expression: a variable, or text as it is.
type part struct {
	variable string
	text     string
}

// SecureLink checks links as nginx's secure_link has them: the parameter hash is the
// base64url of the md5 of the expression, which is nginx's secure_link_md5 with $secret
// in place of the secret, and the parameter expires is the time in it. Any of the
// secrets is good; there is at least one. It fails on an expression that it cannot
// compute or that leaves out the time or the secret; the error shows nothing of it.
func SecureLink(secrets [][]byte, expression, hash, expires string) (*Tokens, error) {
	parts, err := parse(expression)
	if err != nil {
		return nil, err
	}
	l := &link{parts: parts, hash: hash, expires: expires}
	for i := range parts[1:] {
		l.tight = l.tight || parts[i].variable == uri && parts[i+1].variable == remoteAddr
	}
	return &Tokens{secrets: secrets, link: l}, nil
}

// parse reads an expression as nginx reads a value with variables.
func parse(expression string) ([]part, error) {
	known := []string{expires, uri, remoteAddr, userAgent, secret}
	var parts []part
	for rest := expression; rest != ""; {
		before, after, found := strings.Cut(rest, "$")
		if before != "" {
			parts = append(parts, part{text: before})
		}
		if !found {
			break
		}
		name := after
		if braced, closed := strings.CutPrefix(after, "{"); closed {
			name, rest, closed = strings.Cut(braced, "}")
			if !closed {
				return nil, errors.New("has a ${ without }")
			}
		} else {
			if i := strings.IndexFunc(after, isNotOfName); i >= 0 {
				name = after[:i]
			}
			rest = after[len(name):]
		}
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("has a variable that is none of $%s", strings.Join(known, ", $"))
		}
		parts = append(parts, part{variable: name})
	}
	for _, need := range []string{expires, secret} {
		if !slices.Contains(parts, part{variable: need}) {
			return nil, fmt.Errorf("has no $%s: what is not hashed is for everybody to choose", need)
		}
	}
	return parts, apart(parts)
}

// apart fails where the path and the User-Agent have nothing between them: a viewer
// chooses the User-Agent that a link is made for, and the one to show.
func apart(parts []part) error {
	for i := range len(parts) - 1 {
		if a, b := parts[i].variable, parts[i+1].variable; a == uri && b == userAgent || a == userAgent && b == uri {
			return fmt.Errorf("has $%s and $%s with nothing between: a viewer could move text from one to the other, "+
				"and so have a link for another path", a, b)
		}
	}
	return nil
}

func isNotOfName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
}

// checkLink checks the link of a request. It has one if both parameters are there.
func (t *Tokens) checkLink(r *check.Request, now time.Time) (time.Time, error) {
	hash, hashed := parameter(r.Query, t.link.hash)
	end, ends := parameter(r.Query, t.link.expires)
	if !hashed || !ends {
		return time.Time{}, ErrNone
	}
	at, ok := seconds(end)
	// As nginx: with or without padding, and whatever the last bits.
	sum, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(hash, "="))
	if !ok || err != nil || len(sum) != md5.Size || !t.isLink(r, sum, end) {
		return time.Time{}, ErrForged
	}
	if t.link.tight && isAmbiguous(r.Path, r.Addr) {
		return time.Time{}, ErrAmbiguous
	}
	return until(at, now)
}

// isLink tells whether a link is for a request, by any of the secrets.
func (t *Tokens) isLink(r *check.Request, sum []byte, end string) bool {
	good := 0
	for _, s := range t.secrets {
		var text []byte
		for _, p := range t.link.parts {
			switch p.variable {
			case "":
				text = append(text, p.text...)
			case expires:
				text = append(text, end...)
			case uri:
				text = append(text, decoded(r.Path)...)
			case remoteAddr:
				text = r.Addr.AppendTo(text)
			case userAgent:
				text = append(text, r.UserAgent...)
			case secret:
				text = append(text, s...)
			}
		}
		own := md5.Sum(text) //nolint:gosec // See above.
		good |= subtle.ConstantTimeCompare(own[:], sum)
	}
	return good == 1
}

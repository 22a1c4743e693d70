package securetoken

import (
	"crypto/sha1" //nolint:gosec // It is what Alta computes.
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// altaParameter carries Alta's token, and the tokens of portals as well: what does not
// look like one of Alta's is not for us.
const altaParameter = "token"

// altaToken is hash-salt-end-start. The salt is any text, "-" included.
type altaToken struct {
	hash             [sha1.Size]byte
	salt, end, start string
}

// maxSalt is the longest salt in bytes.
const maxSalt = 128

// readAlta takes a token apart, and tells whether it is one.
func readAlta(text string) (t altaToken, ok bool) {
	const head, tail = 2*sha1.Size + 1, 2*digits + 2
	if len(text) < head+tail || len(text) > head+tail+maxSalt {
		return t, false
	}
	hash, rest := text[:head], text[head:]
	salt, times := rest[:len(rest)-tail], rest[len(rest)-tail:]
	if hash[head-1] != '-' || times[0] != '-' || times[digits+1] != '-' {
		return t, false
	}
	if _, err := hex.Decode(t.hash[:], []byte(hash[:head-1])); err != nil {
		return t, false
	}
	// What a query has escaped could be meant as it is or decoded.
	if strings.ContainsAny(salt, "%+;") {
		return t, false
	}
	t.salt, t.end, t.start = salt, times[1:digits+1], times[digits+2:]
	return t, true
}

// checkAlta checks sha1(path + address + start + end + secret + salt).
func (t *Tokens) checkAlta(r *check.Request, now time.Time) (time.Time, error) {
	text, _ := parameter(r.Query, altaParameter)
	token, ok := readAlta(text)
	if !ok {
		return time.Time{}, ErrNone
	}
	start, fine := seconds(token.start)
	end, ok := seconds(token.end)
	if !ok || !fine {
		return time.Time{}, ErrNone
	}
	if !slices.ContainsFunc(spellings(r.Path), func(path string) bool { return t.isAlta(&token, path, r.Addr.String()) }) {
		return time.Time{}, ErrForged
	}
	if isAmbiguous(r.Path, r.Addr) {
		return time.Time{}, ErrAmbiguous
	}
	if now.Add(Leeway).Before(time.Unix(start, 0)) {
		return time.Time{}, ErrEarly
	}
	return until(end, now)
}

// spellings are those in which a portal may have signed a path: as it is asked for, and
// decoded, unless that would be another path's.
func spellings(path string) []string {
	plain := decoded(path)
	if plain == path || strings.Contains(plain, "%") {
		return []string{path}
	}
	return []string{path, plain}
}

// isAlta tells whether a token is for a path and an address, by any of the secrets.
func (t *Tokens) isAlta(token *altaToken, path, addr string) bool {
	good := 0
	for _, secret := range t.secrets {
		h := sha1.New() //nolint:gosec // See above.
		for _, part := range []string{path, addr, token.start, token.end, string(secret), token.salt} {
			h.Write([]byte(part))
		}
		good |= subtle.ConstantTimeCompare(h.Sum(nil), token.hash[:])
	}
	return good == 1
}

package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// ID names a session: 128 random bits, the X-Session-Id. It opens nothing by
// itself. The zero ID names none.
type ID [16]byte

// String is the ID as headers and logs have it, 32 lower-case hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// parseID reads an ID as String gives it, and no other spelling.
func parseID(text string) (ID, bool) {
	var id ID
	if len(text) != hex.EncodedLen(len(id)) {
		return ID{}, false
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil || id.String() != text {
		return ID{}, false
	}
	return id, true
}

// newID makes a random ID.
func newID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // It never fails; the process ends if it cannot give random bytes.
	return id
}

// A signed id is "v1.KEY.PAYLOAD.MAC", all after the version in base64url
// without padding, so that it needs no escapes in a cookie or a query:
//
//	KEY      6 bytes that name the key
//	PAYLOAD  the ID, and until when it is good, in seconds of Unix time
//	MAC      HMAC-SHA256 of all before it, without its "."
const (
	signedVersion = "v1."

	keyNameSize  = 8  // of 6 bytes
	payloadSize  = 32 // of 24 bytes
	macSize      = 43 // of 32 bytes
	payloadStart = len(signedVersion) + keyNameSize + 1
	macStart     = payloadStart + payloadSize + 1
	macedSize    = macStart - 1
	signedSize   = macStart + macSize
)

// What a secret is used for, so that nothing made for one use is good for
// another.
const (
	purposeSign = "altagate session id v1: sign"
	purposeName = "altagate session id v1: name of the key"
)

// The bounds on the secrets that an operator gives.
const (
	MinSecret = 32
	MaxKeys   = 16
)

// Keys sign the ids that viewers carry, and read them. The first signs, all
// read. Replicas that have the same secrets read each other's. Keys do not
// change and are safe for concurrent use; nil and the zero value sign and read
// nothing.
type Keys struct{ keys []key }

// key is one secret, ready for use.
type key struct {
	name [keyNameSize]byte
	// inner and outer are the secret as HMAC-SHA256 pads it (RFC 2104).
	inner, outer [sha256.BlockSize]byte
}

// NewKeys makes the Keys of 1 to MaxKeys secrets, each of at least MinSecret
// bytes and no two of them the same. No error holds any of a secret.
func NewKeys(secrets [][]byte) (*Keys, error) {
	switch n := len(secrets); {
	case n == 0:
		return nil, errors.New("there is no key: give at least one")
	case n > MaxKeys:
		return nil, fmt.Errorf("there are %d keys, and %d is the most: remove the oldest", n, MaxKeys)
	}
	k := &Keys{keys: make([]key, len(secrets))}
	for i, secret := range secrets {
		if len(secret) < MinSecret {
			return nil, fmt.Errorf("key %d has %d bytes: give at least %d random ones", i+1, len(secret), MinSecret)
		}
		k.keys[i] = newKey(secret)
		for j := range i {
			if k.keys[j].name == k.keys[i].name {
				return nil, fmt.Errorf("key %d is the same as key %d: remove one of them", i+1, j+1)
			}
		}
	}
	return k, nil
}

func newKey(secret []byte) key {
	var k key
	base64.RawURLEncoding.Encode(k.name[:], derive(secret, purposeName)[:6])
	copy(k.inner[:], derive(secret, purposeSign))
	k.outer = k.inner
	for i := range k.inner {
		k.inner[i] ^= 0x36
		k.outer[i] ^= 0x5c
	}
	return k
}

func derive(secret []byte, purpose string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(purpose))
	return h.Sum(nil)
}

// mac appends the MAC of a signed id's first part in base64url. It is written
// out because crypto/hmac allocates at each use, and this is on every check that
// carries an id.
func (k *key) mac(buf []byte, text *[macedSize]byte) []byte {
	var in [sha256.BlockSize + macedSize]byte
	copy(in[:], k.inner[:])
	copy(in[sha256.BlockSize:], text[:])
	inside := sha256.Sum256(in[:])

	var out [sha256.BlockSize + sha256.Size]byte
	copy(out[:], k.outer[:])
	copy(out[sha256.BlockSize:], inside[:])
	sum := sha256.Sum256(out[:])
	return base64.RawURLEncoding.AppendEncode(buf, sum[:])
}

// Sign gives the signed id that a viewer carries, good until a time, in whole
// seconds. It is empty where there is no key or no ID.
func (k *Keys) Sign(id ID, until time.Time) string {
	if k == nil || len(k.keys) == 0 || id == (ID{}) {
		return ""
	}
	first := &k.keys[0]
	var room [signedSize]byte
	text := append(room[:0], signedVersion...)
	text = append(text, first.name[:]...)
	text = append(text, '.')
	seconds := uint64(until.Unix()) //nolint:gosec // Read turns the same bits back.
	payload := binary.BigEndian.AppendUint64(id[:], seconds)
	text = base64.RawURLEncoding.AppendEncode(text, payload)
	maced := [macedSize]byte(text)
	text = append(text, '.')
	return string(first.mac(text, &maced))
}

// Read gives the ID that a signed id holds. What is forged, of other keys, out of
// time, or no signed id at all is as if there were none.
func (k *Keys) Read(text string, now time.Time) (ID, bool) {
	if k == nil || len(text) != signedSize || text[macStart-1] != '.' {
		return ID{}, false
	}
	var maced [macedSize]byte
	copy(maced[:], text)
	if !k.signed(&maced, text[macStart:]) {
		return ID{}, false
	}
	var payload [24]byte
	n, err := base64.RawURLEncoding.Decode(payload[:], maced[payloadStart:])
	if err != nil || n != len(payload) {
		return ID{}, false
	}
	id := ID(payload[:16])
	until := int64(binary.BigEndian.Uint64(payload[16:])) //nolint:gosec // Sign turned the same bits.
	if id == (ID{}) || now.Unix() >= until {
		return ID{}, false
	}
	return id, true
}

// signed says whether the key that a signed id names has made its MAC. It
// compares texts, so that each id has one text only.
func (k *Keys) signed(maced *[macedSize]byte, mac string) bool {
	name := [keyNameSize]byte(maced[len(signedVersion):])
	for i := range k.keys {
		if k.keys[i].name != name {
			continue
		}
		var want, got [macSize]byte
		k.keys[i].mac(want[:0], maced)
		copy(got[:], mac)
		return subtle.ConstantTimeCompare(want[:], got[:]) == 1
	}
	return false
}

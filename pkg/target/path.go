package target

import (
	"bytes"
	"strings"
)

// shape is what reading a path found besides its text.
type shape struct {
	spelling bool // some bytes have another normal spelling
	dots     bool // a plain "." or ".." segment
	repeated bool // two slashes in a row
}

// normalize gives the normal form of a path, or says why it has none. The
// caller has refused raw control bytes and spaces.
func normalize(path string) (string, error) {
	if !strings.HasPrefix(path, "/") {
		return "", malformed("path does not begin with /")
	}
	var s shape
	if err := s.readBytes(path); err != nil {
		return "", err
	}
	if err := s.readSegments(path); err != nil {
		return "", err
	}
	switch {
	case s.dots && s.repeated:
		// nginx merges slashes before it resolves dots, Envoy after.
		return "", malformed("path has a dot segment and a repeated slash")
	case s == shape{}:
		return path, nil
	default:
		return rewrite(path)
	}
}

// readBytes refuses what readers of a path take in different ways, byte by
// byte and escape by escape.
func (s *shape) readBytes(path string) error {
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\':
			return malformed("path has a backslash")
		case c >= 0x80:
			s.spelling = true
		case c == '%':
			decoded, ok := escaped(path[i:])
			if !ok {
				return malformed("path has a broken escape")
			}
			if err := checkEscaped(decoded); err != nil {
				return err
			}
			if isUnreserved(decoded) || isLower(path[i+1]) || isLower(path[i+2]) {
				s.spelling = true
			}
			i += 2
		}
	}
	return nil
}

func checkEscaped(decoded byte) error {
	switch {
	case decoded == '/':
		return malformed("path has an escaped slash")
	case decoded == '\\':
		return malformed("path has an escaped backslash")
	case isControl(decoded):
		return malformed("path has an escaped control byte")
	}
	return nil
}

func (s *shape) readSegments(path string) error {
	rest, more := path[1:], true
	for more {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		switch {
		case segment == "" && more:
			s.repeated = true
		case isDots(segment):
			s.dots = true
		case hidesDots(segment):
			return malformed("path has a hidden dot segment")
		}
	}
	return nil
}

// hidesDots says whether a segment without slashes, which is no dot segment
// itself, is or holds one for a reader that decodes once or twice, cuts at
// ";", or both. A slash or backslash that shows only at the second decoding
// (%252f) is no escaped slash to readers that decode once, and so is not
// malformed in itself; dots beside it are.
func hidesDots(segment string) bool {
	if strings.IndexByte(segment, '%') < 0 {
		before, _, found := strings.Cut(segment, ";")
		return found && isDots(before)
	}
	var room [256]byte // on the stack: common segments cost no allocation
	text := append(room[:0], segment...)
	for range 2 {
		text = decodeInPlace(text)
		if holdsDots(text) {
			return true
		}
	}
	return false
}

// holdsDots says whether any piece between slashes or backslashes, cut at ";",
// is a dot segment.
func holdsDots(text []byte) bool {
	for len(text) > 0 {
		end := bytes.IndexAny(text, `/\`)
		if end < 0 {
			end = len(text)
		}
		piece, _, _ := bytes.Cut(text[:end], []byte(";"))
		if isDots(string(piece)) {
			return true
		}
		text = text[min(end+1, len(text)):]
	}
	return false
}

// decodeInPlace decodes each escape once; what is no escape stays.
func decodeInPlace(text []byte) []byte {
	out := text[:0]
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]) {
			c = unhex(text[i+1])<<4 | unhex(text[i+2])
			i += 2
		}
		out = append(out, c)
	}
	return out
}

// rewrite writes the normal form. It keeps the trailing slash that a dot
// segment at the end leaves, as nginx does: "/a/.." is "/", "/a/." is "/a/".
func rewrite(path string) (string, error) {
	out := append(make([]byte, 0, len(path)+16), '/')
	rest, more := path[1:], true
	for more {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		switch segment {
		case "", ".":
		case "..":
			if len(out) == 1 {
				return "", malformed("path leads above the root")
			}
			out = out[:bytes.LastIndexByte(out[:len(out)-1], '/')+1]
		default:
			out = appendSegment(out, segment)
			if more {
				out = append(out, '/')
			}
		}
	}
	return string(out), nil
}

func appendSegment(out []byte, segment string) []byte {
	const upper = "0123456789ABCDEF"
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		raw := c < 0x80
		if c == '%' {
			c, _ = escaped(segment[i:])
			raw = isUnreserved(c)
			i += 2
		}
		if raw {
			out = append(out, c)
		} else {
			out = append(out, '%', upper[c>>4], upper[c&15])
		}
	}
	return out
}

// escaped reads the escape that s begins with.
func escaped(s string) (byte, bool) {
	if len(s) < 3 || !isHex(s[1]) || !isHex(s[2]) {
		return 0, false
	}
	return unhex(s[1])<<4 | unhex(s[2]), true
}

func isDots(segment string) bool { return segment == "." || segment == ".." }

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func isAlphanumeric(c byte) bool {
	return isLower(c|0x20) || '0' <= c && c <= '9'
}

// isUnreserved names the characters that mean the same raw and escaped
// (RFC 3986, section 2.3).
func isUnreserved(c byte) bool {
	return isAlphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return (c | 0x20) - 'a' + 10
}

package target

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is the name of a query parameter as the laxest reader takes it, from
// its raw spelling before the "=": decoded, with "+" a space, left-trimmed of
// spaces, cut at NUL and at "[", without case, and with ".", space and "+" as
// "_". Names that are equal to any common reader of one part give the same
// Name, save for the readings that only AppendNames, Names and Without know of.
func Name(raw string) string {
	if isPlainName(raw) {
		return raw
	}
	name, _, _ := bytes.Cut(appendFolded(nil, decodeName([]byte(raw), true)), []byte("["))
	return string(name)
}

// AppendNames appends to buf every name by which some reader knows a parameter
// of one part between "&", each with a NUL after it, which no name has. PHP
// knows "a;b=1" by the name "a;b", older readers by "a" and "b". A name may be
// there twice. Where buf has room and names are not longer than 256 bytes,
// nothing is allocated.
func AppendNames(buf []byte, part string) []byte {
	name, _, _ := strings.Cut(part, "=")
	buf = appendReadings(buf, name)
	more := strings.IndexByte(part, ';') >= 0
	for more {
		var piece string
		piece, part, more = strings.Cut(part, ";")
		name, _, _ := strings.Cut(piece, "=")
		buf = appendReadings(buf, name)
	}
	return buf
}

// Names gives every name by which some reader knows a parameter of the query.
// Use it for the query that an operator wrote, and its result in Without; a
// single name that altagate adds itself is map[Name(name)] = true.
func Names(rawQuery string) map[string]bool {
	names := make(map[string]bool)
	for part := range strings.SplitSeq(rawQuery, "&") {
		for name := range bytes.SplitSeq(AppendNames(nil, part), []byte{0}) {
			if len(name) > 0 {
				names[string(name)] = true
			}
		}
	}
	return names
}

// Without takes out each part between "&" that some reader would give one of
// the names. It looks at the part as a whole and at its pieces between ";".
// All else stays byte for byte, in its order. The names are those of Names or
// Name; with none of them the query is returned as it is.
func Without(rawQuery string, names map[string]bool) string {
	if len(names) == 0 || rawQuery == "" {
		return rawQuery
	}
	var kept []string
	dropped, at := false, 0
	for part := range strings.SplitSeq(rawQuery, "&") {
		drop := hasName(part, names)
		switch {
		case drop && !dropped:
			dropped = true
			if at > 0 {
				kept = append(kept, rawQuery[:at-1])
			}
		case !drop && dropped:
			kept = append(kept, part)
		}
		at += len(part) + 1
	}
	if !dropped {
		return rawQuery
	}
	return strings.Join(kept, "&")
}

// Tangled says whether Without would take out a part that has a ";" in it. What
// else such a part says is lost to the backend, but not to an origin that splits
// at ";", so the query can be read in two ways.
func Tangled(rawQuery string, names map[string]bool) bool {
	if len(names) == 0 || strings.IndexByte(rawQuery, ';') < 0 {
		return false
	}
	for part := range strings.SplitSeq(rawQuery, "&") {
		if strings.IndexByte(part, ';') >= 0 && hasName(part, names) {
			return true
		}
	}
	return false
}

// hasName says whether some reader would give a part one of the names.
func hasName(part string, names map[string]bool) bool {
	var room [128]byte // on the stack: common names cost no allocation
	list := AppendNames(room[:0], part)
	for len(list) > 0 {
		end := bytes.IndexByte(list, 0)
		if names[string(list[:end])] {
			return true
		}
		list = list[end+1:]
	}
	return false
}

// appendReadings appends each reading of a raw name. Besides that of Name there
// are three: PHP takes a "[" that is never closed as "_" ("a[b" is a_b), a
// reader that does not know "+" as a space does not trim it, and a reader that
// works with characters has U+FFFD for what is no UTF-8.
func appendReadings(buf []byte, raw string) []byte {
	if raw == "" {
		return buf
	}
	if isPlainName(raw) {
		return append(append(buf, raw...), 0)
	}
	var room [256]byte
	buf = appendSpellings(buf, decodeName(append(room[:0], raw...), true))
	if strings.IndexByte(raw, '+') < 0 {
		return buf
	}
	return appendSpellings(buf, decodeName(append(room[:0], raw...), false))
}

// appendSpellings appends the readings of a decoded name.
func appendSpellings(buf, name []byte) []byte {
	buf = appendBracketings(buf, name)
	if !bytes.ContainsRune(name, utf8.RuneError) {
		return buf
	}
	var room [256]byte
	return appendBracketings(buf, appendReplaced(room[:0], name))
}

// appendReplaced appends a name with one U+FFFD for each run of what is no
// UTF-8: some readers put one for each byte, others one for several.
func appendReplaced(buf, name []byte) []byte {
	replaced := false
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRune(name[i:])
		if r != utf8.RuneError || !replaced {
			buf = utf8.AppendRune(buf, r)
		}
		replaced = r == utf8.RuneError
		i += size
	}
	return buf
}

// appendBracketings appends a decoded name with each "[" as "_" and, if there
// is one, the name before it. One of spaces or behind a NUL, which PHP takes for
// none, is "_": others know it by what it is.
func appendBracketings(buf, name []byte) []byte {
	start := len(buf)
	buf = appendFolded(buf, name)
	if len(buf) == start {
		return append(buf, '_', 0)
	}
	whole := len(buf)
	buf = append(buf, 0)
	if at := bytes.IndexByte(buf[start:whole], '['); at > 0 {
		buf = append(append(buf, buf[start:start+at]...), 0)
	}
	for i := start; i < whole; i++ {
		if buf[i] == '[' {
			buf[i] = '_'
		}
	}
	return buf
}

// isPlainName says that a name reads the same to everybody.
func isPlainName(raw string) bool {
	for i := range len(raw) {
		if c := raw[i]; !isLower(c) && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// decodeName decodes a raw name in place.
func decodeName(text []byte, plus bool) []byte {
	if plus {
		for i, c := range text {
			if c == '+' {
				text[i] = ' '
			}
		}
	}
	text = decodeInPlace(text)
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	return bytes.TrimLeft(text, " ")
}

// appendFolded appends a decoded name without its case, and with what PHP maps
// mapped. Upper case first: some letters have a lower case only by way of it.
// Bytes that are no UTF-8 stay apart from each other.
func appendFolded(buf, name []byte) []byte {
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRune(name[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			buf = append(buf, name[i])
		case r == '.' || r == ' ' || r == '+':
			buf = append(buf, '_')
		default:
			buf = utf8.AppendRune(buf, unicode.ToLower(unicode.ToUpper(r)))
		}
		i += size
	}
	return buf
}

package target

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is the name of a query parameter as the laxest reader takes it, from
// its raw spelling before the "=": decoded, with "+" a space, left-trimmed of
// spaces, cut at NUL and at "[", without case, and with ".", space and "+" as
// "_". Names that are equal to any common reader of one part give the same
// Name, save for the readings that only Names and Without know of.
func Name(raw string) string {
	if isPlainName(raw) {
		return raw
	}
	name, _, _ := strings.Cut(fold(decodeName(raw, true)), "[")
	return name
}

// Names gives every name by which some reader knows a parameter of the query.
// Use it for the query that an operator wrote, and its result in Without; a
// single name that altagate adds itself is map[Name(name)] = true.
func Names(rawQuery string) map[string]bool {
	names := make(map[string]bool)
	for part := range strings.SplitSeq(rawQuery, "&") {
		anyName(part, func(name string) bool {
			names[name] = true
			return false
		})
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
	named := func(name string) bool { return names[name] }
	var kept []string
	dropped, at := false, 0
	for part := range strings.SplitSeq(rawQuery, "&") {
		drop := anyName(part, named)
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

// anyName calls visit with the names of one part until it returns true, and
// says whether it did. PHP knows "a;b=1" by the name "a;b", older readers by
// "a" and "b".
func anyName(part string, visit func(string) bool) bool {
	name, _, _ := strings.Cut(part, "=")
	if anyReading(name, visit) {
		return true
	}
	if strings.IndexByte(part, ';') < 0 {
		return false
	}
	for piece := range strings.SplitSeq(part, ";") {
		name, _, _ := strings.Cut(piece, "=")
		if anyReading(name, visit) {
			return true
		}
	}
	return false
}

// anyReading calls visit with each reading of a raw name, until it returns
// true. Besides that of Name there are two: PHP takes a "[" that is never
// closed as "_" ("a[b" is a_b), and a reader that does not know "+" as a space
// does not trim it.
func anyReading(raw string, visit func(string) bool) bool {
	if raw == "" {
		return false
	}
	if isPlainName(raw) {
		return visit(raw)
	}
	if anyBracketing(fold(decodeName(raw, true)), visit) {
		return true
	}
	if strings.IndexByte(raw, '+') < 0 {
		return false
	}
	return anyBracketing(fold(decodeName(raw, false)), visit)
}

func anyBracketing(name string, visit func(string) bool) bool {
	short, _, found := strings.Cut(name, "[")
	if short != "" && visit(short) {
		return true
	}
	return found && visit(strings.ReplaceAll(name, "[", "_"))
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

func decodeName(raw string, plus bool) string {
	text := []byte(raw)
	if plus {
		for i, c := range text {
			if c == '+' {
				text[i] = ' '
			}
		}
	}
	name, _, _ := strings.Cut(string(decodeInPlace(text)), "\x00")
	return strings.TrimLeft(name, " ")
}

// fold takes the case away and maps what PHP maps. Upper case first: some
// letters have a lower case only by way of it. Bytes that are no UTF-8 stay
// apart from each other.
func fold(name string) string {
	var b strings.Builder
	b.Grow(len(name))
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteByte(name[i])
		case r == '.' || r == ' ' || r == '+':
			b.WriteByte('_')
		default:
			b.WriteRune(unicode.ToLower(unicode.ToUpper(r)))
		}
		i += size
	}
	return b.String()
}

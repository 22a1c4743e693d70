package session

import (
	"bytes"
	"slices"
	"strings"

	"github.com/altagate/altagate/pkg/target"
)

// terms is what the query that the backend allowed demands of the queries of
// later requests. It does not change. The zero value is that of an empty query.
type terms struct {
	// query is the allowed one, stripped.
	query string
	// known are the names of query to any reader, with a NUL before and after
	// each.
	known string
	// clear are the parts of query, between "&", that choose the same thing
	// wherever they stand: everybody reads them by one name, which no other part
	// of query has.
	clear string
	// closed is set where query has more names than are read. Then whatever has
	// a name may have one of them.
	closed bool
}

// newTerms makes the terms of a raw query that the backend allowed. It keeps
// nothing of the string it is given.
func newTerms(allowed string) terms {
	t := terms{query: strings.Clone(stripped(allowed))}
	left := budget(maxNames)
	list := []byte{0}
	for part := range strings.SplitSeq(t.query, "&") {
		if !left.pay(part) {
			t.closed = true
			return t
		}
		list = target.AppendNames(list, part)
	}
	if len(list) > 1 {
		t.known, t.clear = string(list), clearParts(t.query)
	}
	return t
}

// same says whether a query is the allowed one: what a request must have on the
// path that the backend was asked about. It may be stripped already.
func (t *terms) same(raw string) bool { return stripped(raw) == t.query }

// fits says whether a query may stand on the stream's other paths: each part
// that has, to any reader, a name of the allowed query or of an archive is one of
// the allowed parts, byte for byte. Where such a part's meaning hangs on the
// others, only the allowed query fits. It takes the query as it came: stripped,
// it lacks what some reader could take for a name of the allowed one.
func (t *terms) fits(raw string) bool {
	left := budget(maxNames)
	for part := range strings.SplitSeq(raw, "&") {
		if !left.pay(part) || t.has(part) && !isPart(t.clear, part) {
			return t.same(raw)
		}
	}
	return true
}

// names says whether a query has any name of the allowed query or of an archive,
// to any reader. One without is any session's of its viewer on the stream. It
// takes the query as it came.
func (t *terms) names(raw string) bool {
	left := budget(maxNames)
	for part := range strings.SplitSeq(raw, "&") {
		if !left.pay(part) || t.has(part) {
			return true
		}
	}
	return false
}

// has says whether a part has one of the names, to any reader.
func (t *terms) has(part string) bool {
	var room [128]byte // on the stack: common names cost no allocation
	list := target.AppendNames(append(room[:0], 0), part)
	for len(list) > 1 {
		end := 1 + bytes.IndexByte(list[1:], 0)
		if t.closed || isArchive(list[1:end]) || t.knows(list[1:end]) {
			return true
		}
		list = list[end:]
	}
	return false
}

// knows says whether a name is one of the allowed query's.
func (t *terms) knows(name []byte) bool {
	more := strings.TrimPrefix(t.known, "\x00")
	for more != "" {
		var one string
		if one, more, _ = strings.Cut(more, "\x00"); one == string(name) {
			return true
		}
	}
	return false
}

// isArchive says whether a name chooses a time of the stream. Names are as
// target.AppendNames gives them.
func isArchive(name []byte) bool {
	switch string(name) {
	case "start", "duration", "utc", "lutc":
		return true
	}
	return false
}

// isPart says whether one of the parts between "&" is this one, byte for byte.
func isPart(parts, part string) bool {
	for more := true; more; {
		var one string
		if one, parts, more = strings.Cut(parts, "&"); one == part {
			return true
		}
	}
	return false
}

// clearParts gives the clear parts of a query.
func clearParts(query string) string {
	owners := map[string]string{} // of each name; empty where several parts have it
	for part := range strings.SplitSeq(query, "&") {
		for _, name := range readings(part) {
			if owner, known := owners[name]; known && owner != part {
				owners[name] = ""
			} else {
				owners[name] = part
			}
		}
	}
	var parts []string
	for part := range strings.SplitSeq(query, "&") {
		if names := readings(part); len(names) == 1 && owners[names[0]] == part {
			parts = append(parts, part)
		}
	}
	if all := strings.Join(parts, "&"); all != query {
		return all
	}
	return query // One string is kept, not two.
}

// readings are the different names of a part.
func readings(part string) []string {
	list := string(target.AppendNames(nil, part))
	names := strings.FieldsFunc(list, func(r rune) bool { return r == 0 })
	slices.Sort(names)
	return slices.Compact(names)
}

// maxNames bounds what is read of one query's names, in bytes. Nobody who only
// watches has more, and to compare them would cost more than to ask the backend.
const maxNames = 1024

// budget is what is left to read of a query's names.
type budget int

// pay takes off what it costs to read the names of a part, and says whether
// enough was left. A part costs something for itself, so that there are few.
func (b *budget) pay(part string) bool {
	const each = 16
	text := part
	if strings.IndexByte(part, ';') < 0 {
		text, _, _ = strings.Cut(part, "=")
	}
	*b -= budget(each + len(text))
	return *b >= 0
}

// stripped is a query without what a player changes from one refresh of a
// playlist to the next, and without altagate's own parameter. Only the exact
// spelling counts, and no part with a raw ";", which some readers split. If
// another part has one of those names to some reader, or there are too many
// names to tell, all stays. Stripped once more, the result is the same.
func stripped(raw string) string {
	from, to, at, gap, some := -1, 0, 0, false, false
	for part := range strings.SplitSeq(raw, "&") {
		switch {
		case isPassing(part):
			some = true
		case from < 0:
			from, to = at, at+len(part)
		default:
			gap = gap || to+1 != at
			to = at + len(part)
		}
		at += len(part) + 1
	}
	switch {
	case !some || hasLookalike(raw):
		return raw
	case from < 0:
		return ""
	case gap:
		return strings.Join(slices.DeleteFunc(strings.Split(raw, "&"), isPassing), "&")
	default:
		return raw[from:to]
	}
}

// isPassing says whether a part is left out when queries are compared.
func isPassing(part string) bool {
	name, _, _ := strings.Cut(part, "=")
	switch name {
	case "_HLS_msn", "_HLS_part", "_HLS_skip", "_HLS_push", "_HLS_start_offset", "CMCD", Parameter:
		return strings.IndexByte(part, ';') < 0
	}
	return false
}

// hasLookalike says whether a part that is not passing has, to some reader, the
// name of one that is: for that reader either could decide.
func hasLookalike(raw string) bool {
	left := budget(maxNames)
	for part := range strings.SplitSeq(raw, "&") {
		if isPassing(part) {
			continue
		}
		if !left.pay(part) || looksPassing(part) {
			return true
		}
	}
	return false
}

func looksPassing(part string) bool {
	var room [128]byte
	list := target.AppendNames(room[:0], part)
	for len(list) > 0 {
		end := bytes.IndexByte(list, 0)
		switch string(list[:end]) {
		case "_hls_msn", "_hls_part", "_hls_skip", "_hls_push", "_hls_start_offset", "cmcd", Parameter:
			return true
		}
		list = list[end+1:]
	}
	return false
}

// Package stream says which stream a path names: what an allow for one path is
// an allow for. A Layout holds the rules of one route.
//
// # What all layouts share
//
// An entry is a path that ends in ".m3u8" or ".mpd", unless a regular
// expression says otherwise. An allow for an entry opens the entry's stream, an
// allow for any other path opens that one path. A request may belong to the
// stream that it would open itself, and to the streams around it that the layout
// names. Paths are as package target gives them, and are compared byte for byte:
// "/live/CH1/" and "/live/ch1/" are two streams, and ".M3U8" is no entry. Where a
// server takes two spellings for one file, the second is asked about once more,
// which is safe.
//
// # auto
//
// An entry "D/name.m3u8" opens one of two streams.
//
//   - The directory D, if the name is generic, and D is neither the root nor at
//     or above one of the route's paths. All that is below D belongs to it.
//   - Else the stem "D/name". To it belong "D/name.m3u8" and "D/name.mpd", all
//     that is below "D/name/" (unless that is at or above one of the route's
//     paths), the segments "D/name-N.EXT" and "D/name_N.EXT", where N is digits,
//     and the init files "D/name-init.mp4" and "D/name_init.mp4".
//
// An entry without a name ("D/.m3u8") opens its one path. The generic names are
// these, and no others:
//
//	chunklist chunks index llhls manifest Manifest master media mono playlist
//	prog_index variant video
//
// The extensions of segments, EXT, are these, and no others:
//
//	aac cmfa cmft cmfv m4s ts vtt
//
// So an allow for "/live/ch1/index.m3u8" is an allow for all below "/live/ch1/".
// A folder that holds channels, as "/live/" does, belongs in the route's paths:
// then "/live/index.m3u8" opens no more than "/live/index". A channel with the
// name of another and a number behind it, pulled as "sport_1.ts" beside
// "sport.m3u8", would pass for a segment of sport: such a folder needs a regular
// expression.
//
// # path
//
// Every path is a stream of its own.
//
// # A regular expression
//
// It is of Go's syntax (RE2), and has to match the whole path, from the "/" that
// every path begins with. The group "stream", as in (?P<stream>[^/]+), names the
// stream: paths for which it gives the same text are of the same stream. With a
// group "entry", an entry is a path on which that group matches something. Both
// names may stand in several alternatives; if two of one path give different
// streams, it counts as not matched. A path that is not matched, or for which
// the stream would have an empty name, is its own one path and no entry. The
// route's paths mean nothing to it.
//
// A path is of one such stream only. Where live and archive are served by the
// same segments' paths, and only the playlists' differ, no expression can keep
// the one from who may watch the other.
package stream

import (
	"fmt"
	"strings"
)

// Kind is how a Name says which paths belong to the stream.
type Kind uint8

// The kinds. The zero Kind names no stream.
const (
	// Path is the one path of Text.
	Path Kind = iota + 1
	// Directory is all below Text, which begins and ends with "/".
	Directory
	// Stem is an entry and its segments; Text is the entry's path without its
	// extension.
	Stem
	// Pattern is what the group "stream" of a regular expression matched.
	Pattern
)

// Name names a stream within one route and host. Names are equal if they name
// the same stream, so a Name can be the key of a map.
type Name struct {
	Kind Kind
	Text string
}

// The marks that tell kinds apart in text; a directory's is the "/" at its end.
const (
	pathMark    = "="
	patternMark = "~"
	stemMark    = ".*"
)

// String gives the one text of a stream, for logs and for operators, much as
// nginx spells locations:
//
//	=/live/poster.jpg   the one path
//	/live/ch1/          all below that directory
//	/live/sport.*       an entry with its segments
//	~ch1                what a regular expression gave
//
// ParseName reads it back. The text of the zero Name is empty.
func (n Name) String() string {
	switch n.Kind {
	case Path:
		return pathMark + n.Text
	case Directory:
		return n.Text
	case Stem:
		return n.Text + stemMark
	case Pattern:
		return patternMark + n.Text
	default:
		return ""
	}
}

// ParseName reads what String gives. The error says how streams are spelled.
func ParseName(text string) (Name, error) {
	n := unmarked(text)
	absolute := strings.HasPrefix(n.Text, "/")
	switch {
	case n.Kind == Pattern && n.Text != "",
		n.Kind == Path && absolute,
		n.Kind == Directory && absolute && n.Text != "/",
		n.Kind == Stem && absolute && !strings.HasSuffix(n.Text, "/"):
		return n, nil
	}
	return Name{}, fmt.Errorf("%q is not how a stream is spelled: want /live/ch1/ for a directory, /live/sport.* for an entry with "+
		"its segments, =/live/poster.jpg for one path, or ~ch1 for what a regular expression gave", text)
}

// unmarked takes the mark of a kind off.
func unmarked(text string) Name {
	if path, ok := strings.CutPrefix(text, pathMark); ok {
		return Name{Path, path}
	}
	if match, ok := strings.CutPrefix(text, patternMark); ok {
		return Name{Pattern, match}
	}
	if stem, ok := strings.CutSuffix(text, stemMark); ok {
		return Name{Stem, stem}
	}
	if strings.HasSuffix(text, "/") {
		return Name{Directory, text}
	}
	return Name{}
}

package stream

import (
	"slices"
	"strings"
)

// floor is how much of a path is the root, or is shared with one of the route's
// paths: a directory no longer than that is at or above one of these, and is no
// stream.
func (l *Layout) floor(path string) int {
	// Among sorted texts, those beside the place of another share the most with
	// it.
	at, _ := slices.BinarySearch(l.folders, path)
	shared := 1
	for _, folder := range l.folders[max(at-1, 0):min(at+1, len(l.folders))] {
		shared = max(shared, common(folder, path))
	}
	return shared
}

// common is how many bytes two texts begin with alike.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func opensAuto(path string, floor int) (name Name, entry bool) {
	stem, entry := cutManifest(path)
	file := strings.LastIndexByte(stem, '/') + 1
	switch {
	case !entry || file == len(stem):
		return Name{Path, path}, entry
	case isGeneric(stem[file:]) && file > floor:
		return Name{Directory, path[:file]}, true
	default:
		return Name{Stem, stem}, true
	}
}

func appendAuto(buf []Name, path string, floor int) []Name {
	first, entry := opensAuto(path, floor)
	full := len(buf) + MaxJoins
	buf = append(buf, first)
	if stem := cutSegment(path); stem != "" && !entry {
		buf = append(buf, Name{Stem, stem})
	}
	for at := above(path, len(path)); at > floor && len(buf) < full; at = above(path, at) {
		if directory := (Name{Directory, path[:at]}); directory != first {
			buf = append(buf, directory)
		}
		if len(buf) < full {
			buf = append(buf, Name{Stem, path[:at-1]})
		}
	}
	return buf
}

// above is the length of the directory that holds the first bytes of a path, 0
// if none does. The directory itself is in the one above it.
func above(path string, length int) int {
	return strings.LastIndexByte(path[:max(length-1, 0)], '/') + 1
}

// cutManifest takes a manifest's extension off. Extensions are compared with
// their case: the less is taken for an entry, the less an allow opens.
func cutManifest(path string) (stem string, found bool) {
	if stem, found = strings.CutSuffix(path, ".m3u8"); found {
		return stem, true
	}
	return strings.CutSuffix(path, ".mpd")
}

// isGeneric tells whether a manifest of that name stands for its directory. The
// names are such as packagers give and nobody gives to a channel: "stream",
// "live" and "main", which some packagers write too, are left out.
func isGeneric(name string) bool {
	switch name {
	case "chunklist", "chunks", "index", "llhls", "manifest", "Manifest", "master", "media", "mono", "playlist",
		"prog_index", "variant", "video":
		return true
	default:
		return false
	}
}

// isSegment tells whether an extension is one that packagers give to numbered
// segments, and that is not common for whole files: "film_2.mp4" beside
// "film.m3u8" may be the next film.
func isSegment(extension string) bool {
	switch extension {
	case "aac", "cmfa", "cmft", "cmfv", "m4s", "ts", "vtt":
		return true
	default:
		return false
	}
}

// cutSegment gives the stem whose segment or init file a path is, empty if it is
// none.
func cutSegment(path string) (stem string) {
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 {
		return ""
	}
	stem, extension := path[:dot], path[dot+1:]
	number := strings.TrimRight(stem, "0123456789")
	switch {
	case isSegment(extension) && number != stem:
		stem = number
	case extension == "mp4" && strings.HasSuffix(stem, "init"):
		stem = strings.TrimSuffix(stem, "init")
	default:
		return ""
	}
	if !strings.HasSuffix(stem, "-") && !strings.HasSuffix(stem, "_") {
		return ""
	}
	stem = stem[:len(stem)-1]
	if strings.HasSuffix(stem, "/") {
		return "" // nameless, as no stem is
	}
	return stem
}

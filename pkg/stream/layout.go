package stream

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// MaxJoins is how many streams Joins gives at most.
const MaxJoins = 64

// Layout says which stream a path names. It never changes and is safe for
// concurrent use. To the nil and to the zero Layout every path is a stream of
// its own.
type Layout struct {
	auto bool
	// folders are those of the route's paths, with a "/" at the end, sorted.
	folders []string
	pattern *pattern
}

// Parse reads a layout: "auto" or "", "path", or a regular expression with a
// group named "stream". The paths are the route's match.paths, spelled as
// requests for them are; "/live" and "/live/" both stand for the folder "/live/".
// The error says what to write instead.
func Parse(layout string, paths []string) (*Layout, error) {
	switch layout {
	case "", "auto":
		return &Layout{auto: true, folders: folders(paths)}, nil
	case "path":
		return &Layout{}, nil
	}
	p, err := parsePattern(layout)
	if err != nil {
		return nil, fmt.Errorf("layout %q: %w", layout, err)
	}
	return &Layout{pattern: p}, nil
}

func folders(paths []string) []string {
	found := make([]string, 0, len(paths))
	for _, p := range paths {
		found = append(found, strings.TrimSuffix(p, "/")+"/")
	}
	slices.Sort(found)
	return found
}

// Opens gives the stream that an allow for a path opens, and whether the path is
// an entry. The Name's text is the path or a part of it: nothing is allocated,
// save by a regular expression.
func (l *Layout) Opens(path string) (name Name, entry bool) {
	switch {
	case l != nil && l.pattern != nil:
		text, entry := l.pattern.find(path)
		return opensMatch(path, text, entry), entry
	case l != nil && l.auto:
		return opensAuto(path, l.floor(path))
	default:
		_, entry := cutManifest(path)
		return Name{Path, path}, entry
	}
}

// Joins appends to buf the streams that a request for a path may belong to: what
// Opens gives, then the others, the nearest first. There are at most MaxJoins;
// of a path so deep that it has more, those farthest up are left out. With room
// in buf nothing is allocated, save by a regular expression.
func (l *Layout) Joins(buf []Name, path string) []Name {
	switch {
	case l != nil && l.pattern != nil:
		text, entry := l.pattern.find(path)
		buf = append(buf, opensMatch(path, text, entry))
		if text != "" && !entry {
			buf = append(buf, Name{Pattern, text})
		}
		return buf
	case l != nil && l.auto:
		return appendAuto(buf, path, l.floor(path))
	default:
		return append(buf, Name{Path, path})
	}
}

// Title is what a portal is told as the name of a path's stream: what a regular
// expression gave, for segments too, and else the text of what Opens gives, without
// the "/" before and after it. It is a part of the path, and spelled as there.
func (l *Layout) Title(path string) string {
	if l != nil && l.pattern != nil {
		if text, _ := l.pattern.find(path); text != "" {
			return text
		}
	}
	name, _ := l.Opens(path)
	return strings.Trim(name.Text, "/")
}

func opensMatch(path, text string, entry bool) Name {
	if entry {
		return Name{Pattern, text}
	}
	return Name{Path, path}
}

// pattern is a layout's regular expression.
type pattern struct {
	expression *regexp.Regexp
	// streams and entries are the numbers of the groups with those names.
	streams, entries []int
}

func parsePattern(text string) (*pattern, error) {
	const want = "want auto, path, or a regular expression with a group named stream, as in /live/(?P<stream>[^/]+)/.*"
	alone, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, want)
	}
	if prefix, _ := alone.LiteralPrefix(); prefix != "" && prefix[0] != '/' {
		return nil, fmt.Errorf("it has to match the whole path, which begins with /, and it begins with %q: %s", prefix, want)
	}
	whole, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, want)
	}
	p := &pattern{expression: whole}
	for number, name := range whole.SubexpNames() {
		switch name {
		case "":
		case "stream":
			p.streams = append(p.streams, number)
		case "entry":
			p.entries = append(p.entries, number)
		default:
			return nil, fmt.Errorf("it has a group named %q: the names that mean something are stream and entry", name)
		}
	}
	if len(p.streams) == 0 {
		return nil, fmt.Errorf("it has no group named stream: %s", want)
	}
	return p, nil
}

// find gives the text that names a path's stream, and whether the path is an
// entry. The text is empty if the path is a stream of its own, and then it is no
// entry.
func (p *pattern) find(path string) (text string, entry bool) {
	at := p.expression.FindStringSubmatchIndex(path)
	if at == nil {
		return "", false
	}
	for _, group := range p.streams {
		switch found := matched(path, at, group); {
		case found == "":
		case text != "" && text != found:
			return "", false
		default:
			text = found
		}
	}
	switch {
	case text == "":
		return "", false
	case p.entries == nil:
		_, entry = cutManifest(path)
		return text, entry
	default:
		return text, slices.ContainsFunc(p.entries, func(group int) bool { return matched(path, at, group) != "" })
	}
}

// matched is what a group matched, empty if it took no part.
func matched(path string, at []int, group int) string {
	from, to := at[2*group], at[2*group+1]
	if from < 0 {
		return ""
	}
	return path[from:to]
}

package stream_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/stream"
	"github.com/altagate/altagate/pkg/target"
)

// rules is the package's doc read once more, in another way: by regular
// expressions over whole paths, without a thought for speed.
type rules struct {
	layout     string
	expression *regexp.Regexp // the layout, if it is one
	paths      []string
}

func newRules(layout string, paths ...string) rules {
	r := rules{layout: layout, paths: paths}
	if layout != "auto" && layout != "path" {
		r.expression = regexp.MustCompile(`^(?:` + layout + `)$`)
	}
	return r
}

var (
	manifest = regexp.MustCompile(`^(.*/)([^/]*)\.(?:m3u8|mpd)$`)
	segment  = regexp.MustCompile(`^(.*)[-_](?:[0-9]+\.(?:aac|cmf[atv]|m4s|ts|vtt)|init\.mp4)$`)
	generic  = regexp.MustCompile(`^(?:chunklist|chunks|index|llhls|[mM]anifest|master|media|mono|playlist|prog_index|variant|video)$`)
)

// closed tells whether a directory is never a stream.
func (r rules) closed(directory string) bool {
	return directory == "/" || slices.ContainsFunc(r.paths, func(p string) bool {
		return strings.HasPrefix(p+"/", directory) || strings.HasPrefix(p, directory)
	})
}

// reading is what the rules say of one path.
type reading struct {
	path string
	// opens is what an allow opens.
	opens stream.Name
	entry bool
	// group is what the expression names; empty without one.
	group string
}

func (r rules) read(path string) reading {
	is := reading{path: path, opens: stream.Name{Kind: stream.Path, Text: path}}
	m := manifest.FindStringSubmatch(path)
	switch {
	case r.expression != nil:
		is.group, is.entry = r.group(path)
		if is.entry {
			is.opens = stream.Name{Kind: stream.Pattern, Text: is.group}
		}
	case m == nil:
	case r.layout == "path", m[2] == "":
		is.entry = true
	case generic.MatchString(m[2]) && !r.closed(m[1]):
		is.opens, is.entry = stream.Name{Kind: stream.Directory, Text: m[1]}, true
	default:
		is.opens, is.entry = stream.Name{Kind: stream.Stem, Text: m[1] + m[2]}, true
	}
	return is
}

// group gives what the expression says of a path; the expressions here have each
// group once.
func (r rules) group(path string) (name string, entry bool) {
	e := r.expression
	m := e.FindStringSubmatch(path)
	if m == nil || m[e.SubexpIndex("stream")] == "" {
		return "", false
	}
	if at := e.SubexpIndex("entry"); at > 0 {
		return m[e.SubexpIndex("stream")], m[at] != ""
	}
	return m[e.SubexpIndex("stream")], manifest.MatchString(path)
}

// admits tells whether an allow for one path is one for another.
func (r rules) admits(allowed, asked reading) bool {
	text := allowed.opens.Text
	switch {
	case allowed.opens == asked.opens:
		return true
	case allowed.opens.Kind == stream.Pattern:
		return asked.group == text
	case allowed.opens.Kind == stream.Path || !strings.HasPrefix(asked.path, text):
		return false
	case allowed.opens.Kind == stream.Directory:
		return asked.path != text
	case strings.HasPrefix(asked.path, text+"/"):
		return asked.path != text+"/" && !r.closed(text+"/")
	default:
		m := segment.FindStringSubmatch(asked.path)
		return m != nil && m[1] == text
	}
}

// checkPath holds what a layout says of one path against the rules, and gives
// both.
func (r rules) checkPath(t *testing.T, l *stream.Layout, path string) (reading, []stream.Name) {
	is := r.read(path)
	opened, entry := l.Opens(path)
	if entry != is.entry || opened != is.opens {
		t.Fatalf("%q: Opens(%q) = %#v, %v; by the rules it opens %#v, %v", r.layout, path, opened, entry, is.opens, is.entry)
	}
	names := l.Joins(nil, path)
	if len(names) == 0 || len(names) > stream.MaxJoins || names[0] != opened {
		t.Fatalf("%q: Joins(%q) = %v, and Opens gives %v", r.layout, path, names, opened)
	}
	for i, n := range names {
		if slices.Contains(names[:i], n) {
			t.Fatalf("%q: Joins(%q) = %v, with one twice", r.layout, path, names)
		}
		if i > 0 && n.Kind != stream.Pattern && len(n.Text) >= len(names[i-1].Text) {
			t.Fatalf("%q: Joins(%q) = %v, not the nearest first", r.layout, path, names)
		}
		if back, err := stream.ParseName(n.String()); err != nil || back != n {
			t.Fatalf("%#v is %q in text, which is read as %#v, %v", n, n, back, err)
		}
	}
	return is, names
}

// checkPair holds whether an allow for one path is one for another against the
// rules. Of a path too deep for MaxJoins a layout may say less.
func (r rules) checkPair(t *testing.T, allowed, asked reading, names []stream.Name) {
	got, want := slices.Contains(names, allowed.opens), r.admits(allowed, asked)
	if got && !want || want && !got && len(names) < stream.MaxJoins {
		t.Fatalf("%q, %v: an allow for %q is one for %q: %v; by the rules %v", r.layout, r.paths, allowed.path, asked.path, got, want)
	}
}

func layouts() []string {
	return []string{
		"auto",
		"path",
		`/live/(?P<stream>[^/]+)/.*`,
		`/live/(?P<stream>[^/]*?)(?:_(?:low|hi))?(?:\.m3u8|-\d+\.ts|/.+)`,
		`(?P<stream>/.*\.isml?)/(?:(?P<entry>[^/]*\.(?:m3u8|mpd)|[Mm]anifest)|.+)`,
	}
}

// FuzzStreams holds that an allow for one path is one for another just where the
// rules say so, whatever the paths.
func FuzzStreams(f *testing.F) {
	for layout := range layouts() {
		f.Add(byte(layout), "/live/", "/live/ch1/index.m3u8", "/live/ch1/720p/1.ts")
		f.Add(byte(layout), "/live", "/live/ch1.m3u8", "/live/ch1_low-17.ts")
		f.Add(byte(layout), "/", "/live/a.isml/Manifest", "/live/a.isml/QualityLevels(1)/Fragments(video=1)")
	}
	f.Fuzz(func(t *testing.T, layout byte, paths, allowed, asked string) {
		r := newRules(layouts()[int(layout)%len(layouts())])
		for _, raw := range strings.Fields(paths) {
			if p, ok := normal(raw); ok {
				r.paths = append(r.paths, p)
			}
		}
		allowed, ok := normal(allowed)
		asked, ok2 := normal(asked)
		if !ok || !ok2 {
			return
		}
		l := parse(t, r.layout, append([]string{"/"}, r.paths...)...)
		one, ofOne := r.checkPath(t, l, allowed)
		other, ofOther := r.checkPath(t, l, asked)
		r.checkPair(t, one, other, ofOther)
		r.checkPair(t, other, one, ofOne)
		r.checkPair(t, one, one, ofOne)
	})
}

// normal gives the path of a target as requests have it.
func normal(raw string) (string, bool) {
	read, err := target.Parse(raw)
	return read.Path, err == nil
}

// FuzzAnything holds that nothing panics, whatever the bytes, and that what is
// read as a stream's name is written the same.
func FuzzAnything(f *testing.F) {
	f.Add("auto", "/live/", "/live/ch1/index.m3u8")
	f.Add("/(?P<stream>.*)", "", "")
	f.Add("(?P<stream>a)|(?P<stream>b)", "live", "-1.ts")
	f.Add("path", "//", "index.m3u8")
	f.Add("", "/live", "/live/ch1.*")
	f.Fuzz(func(t *testing.T, layout, paths, text string) {
		if n, err := stream.ParseName(text); err == nil && n.String() != text {
			t.Errorf("%q is read as %#v, which is %q in text", text, n, n)
		}
		l, err := stream.Parse(layout, strings.Fields(paths))
		if err != nil && (l != nil || err.Error() == "") {
			t.Errorf("Parse(%q) = %v, %v", layout, l, err)
		}
		for _, l := range []*stream.Layout{l, parse(t, "auto", strings.Fields(paths+" /")...)} {
			first, _ := l.Opens(text)
			if names := l.Joins(nil, text); len(names) == 0 || len(names) > stream.MaxJoins || names[0] != first {
				t.Errorf("Joins(%q) = %v, and Opens gives %v", text, names, first)
			}
		}
	})
}

// TestEachPairOfPathsByTheRules goes through all pairs of many paths that are
// made to be taken for each other.
func TestEachPairOfPathsByTheRules(t *testing.T) {
	var paths []string
	for _, directory := range []string{"/", "/live/", "/live/ch1/", "/live/ch10/", "/live/ch1-1/", "/live/ch1/v/", "/live/index/", "/live/sports/", "/live/sports/ch1/"} {
		for _, file := range []string{
			"", "index.m3u8", "manifest.mpd", "ch1.m3u8", "ch1.mpd", "ch1-1.m3u8", "ch1_hd.m3u8", "v.m3u8", "live.m3u8", "sports.m3u8", ".m3u8",
			"ch1-1.ts", "ch1_1.ts", "ch1-1-1.ts", "ch1_hd-1.ts", "ch1-init.mp4", "ch1-1.mp4", "ch1-1.ts.m3u8", "index-1.ts", "-1.ts", "1.ts", "ch1", "v",
		} {
			paths = append(paths, directory+file)
		}
	}
	for _, layout := range layouts() {
		for _, of := range [][]string{{"/"}, {"/live"}, {"/live/", "/live/sports/"}, {"/live/ch1"}, {"/live/index.m3u8", "/"}} {
			if layout != "auto" && of[0] != "/" {
				continue // The route's paths mean nothing there.
			}
			r, l := newRules(layout, of...), parse(t, layout, of...)
			readings, names := make([]reading, len(paths)), make([][]stream.Name, len(paths))
			for i, path := range paths {
				readings[i], names[i] = r.checkPath(t, l, path)
			}
			for i, asked := range readings {
				for _, allowed := range readings {
					r.checkPair(t, allowed, asked, names[i])
				}
			}
		}
	}
}

// TestNoAllowForAChannelIsOneForAnother makes names of channels from few bytes,
// so that they are close to each other.
func TestNoAllowForAChannelIsOneForAnother(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	pieces := []string{"ch", "1", "0", "-", "_", ".", "hd", "4k", "ts", "m3u8", "init", "index", "%20", "%41", ";", "~", "CH"}
	name := func() string {
		var text strings.Builder
		for range 1 + random.IntN(4) {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}
		return text.String()
	}
	l := parse(t, "auto")
	compared := 0
	for range 20_000 {
		a, b := name(), name()
		one, ok := normal("/live/" + a)
		other, ok2 := normal("/live/" + b)
		if !ok || !ok2 || one == other || strings.HasSuffix(one, "/") || strings.HasSuffix(other, "/") {
			continue
		}
		compared++
		for _, entry := range []string{"/index.m3u8", ".m3u8", ".mpd", "/v.m3u8"} {
			for _, file := range []string{"/index.m3u8", "/1.ts", "/v-1.ts", "/v/index.m3u8", ".m3u8", ".mpd", "-7.ts", "_7.m4s", "-init.mp4", "/v/1.ts"} {
				if admits(l, one+entry, other+file) {
					t.Fatalf("an allow for %s is one for %s", one+entry, other+file)
				}
			}
		}
	}
	if compared < 10_000 {
		t.Errorf("only %d pairs of channels were compared", compared)
	}
}

package stream_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/stream"
)

// parse makes a layout with the route's paths, "/live/" unless others are given.
func parse(t testing.TB, layout string, paths ...string) *stream.Layout {
	t.Helper()
	if len(paths) == 0 {
		paths = []string{"/live/"}
	}
	l, err := stream.Parse(layout, paths)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// joins gives the texts of what a request may belong to, in order.
func joins(l *stream.Layout, path string) []string {
	var texts []string
	for _, n := range l.Joins(nil, path) {
		texts = append(texts, n.String())
	}
	return texts
}

// admits tells whether an allow for one path is one for another.
func admits(l *stream.Layout, allowed, asked string) bool {
	opened, _ := l.Opens(allowed)
	for _, n := range l.Joins(nil, asked) {
		if n == opened {
			return true
		}
	}
	return false
}

func TestWhatAnAllowOpens(t *testing.T) {
	tests := []struct {
		name, path, opens string
		entry             bool
	}{
		{"a generic name stands for its directory", "/live/ch1/index.m3u8", "/live/ch1/", true},
		{"so does one of DASH", "/live/ch1/manifest.mpd", "/live/ch1/", true},
		{"and one in a directory of a directory", "/live/tv/ch1/master.m3u8", "/live/tv/ch1/", true},
		{"another name stands for itself", "/live/ch1.m3u8", "/live/ch1.*", true},
		{"in any directory", "/live/ch1/720p.m3u8", "/live/ch1/720p.*", true},
		{"HLS and DASH of one name are one stream", "/live/ch1.mpd", "/live/ch1.*", true},
		{"a generic name in the route's own folder stands for itself", "/live/index.m3u8", "/live/index.*", true},
		{"and in the root", "/index.m3u8", "/index.*", true},
		{"and in a folder above the route's, which a named route may see", "/playlist.m3u8", "/playlist.*", true},
		{"a name that only begins like a generic one is not generic", "/live/ch1/index2.m3u8", "/live/ch1/index2.*", true},
		{"nor one that ends like it", "/live/ch1/my-index.m3u8", "/live/ch1/my-index.*", true},
		{"nor one with more dots", "/live/ch1/index.fmp4.m3u8", "/live/ch1/index.fmp4.*", true},
		{"nor one in another case", "/live/ch1/INDEX.m3u8", "/live/ch1/INDEX.*", true},
		{"an entry without a name is one path", "/live/ch1.isml/.m3u8", "=/live/ch1.isml/.m3u8", true},
		{"an extension in another case makes no entry", "/live/ch1/index.M3U8", "=/live/ch1/index.M3U8", false},
		{"nor does one with something behind it", "/live/ch1/index.m3u8;v=1", "=/live/ch1/index.m3u8;v=1", false},
		{"nor one of a directory", "/live/index.m3u8/", "=/live/index.m3u8/", false},
		{"nor one without its dot", "/live/ch1m3u8", "=/live/ch1m3u8", false},
		{"nor the older list of players", "/live/ch1.m3u", "=/live/ch1.m3u", false},
		{"a manifest named like a segment is an entry", "/live/ch1-1.ts.m3u8", "/live/ch1-1.ts.*", true},
		{"and a manifest named like one with a number", "/live/ch1_1.m3u8", "/live/ch1_1.*", true},
		{"a segment is one path", "/live/ch1/1.ts", "=/live/ch1/1.ts", false},
		{"a poster is one path", "/live/ch1/poster.jpg", "=/live/ch1/poster.jpg", false},
		{"a directory is one path", "/live/ch1/", "=/live/ch1/", false},
		{"escapes are part of a name", "/live/%D1%82%D0%B2/index.m3u8", "/live/%D1%82%D0%B2/", true},
		{"and may stand in the entry's", "/live/a%20b.m3u8", "/live/a%20b.*", true},
	}
	l := parse(t, "auto")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name, entry := l.Opens(tt.path)
			if name.String() != tt.opens || entry != tt.entry {
				t.Errorf("Opens(%q) = %v, %v; want %v, %v", tt.path, name, entry, tt.opens, tt.entry)
			}
		})
	}
}

func TestGenericNamesAreAClosedList(t *testing.T) {
	l := parse(t, "auto")
	for _, name := range strings.Fields("chunklist chunks index llhls manifest Manifest master media mono playlist prog_index variant video") {
		for _, extension := range []string{".m3u8", ".mpd"} {
			if opened, _ := l.Opens("/live/ch1/" + name + extension); opened.String() != "/live/ch1/" {
				t.Errorf("%s%s opens %v", name, extension, opened)
			}
		}
	}
	for _, name := range strings.Fields("stream live main hls dash audio ch1 chunklist_w1 index_1 Index MASTER index.ll mono- 1 init") {
		if opened, _ := l.Opens("/live/ch1/" + name + ".m3u8"); opened.String() != "/live/ch1/"+name+".*" {
			t.Errorf("%s opens %v", name, opened)
		}
	}
}

func TestWhatARequestMayBelongToTheNearestFirst(t *testing.T) {
	tests := []struct {
		name, path string
		want       string
	}{
		{"an entry: what it opens, then the directories above", "/live/ch1/v/index.m3u8", "/live/ch1/v/ /live/ch1/v.* /live/ch1/ /live/ch1.*"},
		{"an entry by its own name", "/live/ch1.m3u8", "/live/ch1.*"},
		{"a segment in a directory", "/live/ch1/5.ts", "=/live/ch1/5.ts /live/ch1/ /live/ch1.*"},
		{"a segment by its name, with a dash", "/live/ch1-5.ts", "=/live/ch1-5.ts /live/ch1.*"},
		{"a segment by its name, with an underscore", "/live/ch1_00005.m4s", "=/live/ch1_00005.m4s /live/ch1.*"},
		{"an init file by its name", "/live/ch1-init.mp4", "=/live/ch1-init.mp4 /live/ch1.*"},
		{"an init file with an underscore", "/live/ch1_init.mp4", "=/live/ch1_init.mp4 /live/ch1.*"},
		{"a named segment in a directory", "/live/ch1/v-5.ts", "=/live/ch1/v-5.ts /live/ch1/v.* /live/ch1/ /live/ch1.*"},
		{"only the last number is a segment's", "/live/ch1-4_5.ts", "=/live/ch1-4_5.ts /live/ch1-4.*"},
		{"a directory is not below itself", "/live/ch1/v/", "=/live/ch1/v/ /live/ch1/ /live/ch1.*"},
		{"the route's folder is no stream", "/live/", "=/live/"},
		{"nor is the root, nor what has no folder", "/live", "=/live"},
		{"a manifest named like a segment belongs to no stem", "/live/ch1-5.m3u8", "/live/ch1-5.*"},
		{"a segment without a number", "/live/ch1-.ts", "=/live/ch1-.ts"},
		{"a number without a dash", "/live/ch10.ts", "=/live/ch10.ts"},
		{"a number that is none", "/live/ch1-4k.ts", "=/live/ch1-4k.ts"},
		{"a number with a dot in it", "/live/ch1-4.5.ts", "=/live/ch1-4.5.ts"},
		{"a number of other digits", "/live/ch1-%D9%A1.ts", "=/live/ch1-%D9%A1.ts"},
		{"a segment without a stem", "/live/-5.ts", "=/live/-5.ts"},
		{"an init file without a stem", "/live/_init.mp4", "=/live/_init.mp4"},
		{"an init file of all streams", "/live/init.mp4", "=/live/init.mp4"},
		{"an init file with a number", "/live/ch1-init1.mp4", "=/live/ch1-init1.mp4"},
		{"an init file with another extension", "/live/ch1-init.m4s", "=/live/ch1-init.m4s"},
		{"a whole film beside another", "/live/film_2.mp4", "=/live/film_2.mp4"},
		{"an extension in another case", "/live/ch1-5.TS", "=/live/ch1-5.TS"},
		{"an extension that is not a segment's", "/live/ch1-5.jpg", "=/live/ch1-5.jpg"},
		{"no extension", "/live/ch1-5", "=/live/ch1-5"},
		{"a segment's name of a directory", "/live/ch1-5.ts/x", "=/live/ch1-5.ts/x /live/ch1-5.ts/ /live/ch1-5.ts.*"},
	}
	l := parse(t, "auto")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(strings.Fields(tt.want), joins(l, tt.path)); diff != "" {
				t.Errorf("Joins(%q), - wanted, + got:\n%s", tt.path, diff)
			}
		})
	}
}

func TestSegmentExtensionsAreAClosedList(t *testing.T) {
	l := parse(t, "auto")
	for _, extension := range strings.Fields("aac cmfa cmft cmfv m4s ts vtt") {
		if !admits(l, "/live/ch1.m3u8", "/live/ch1-5."+extension) {
			t.Errorf("a segment with the extension %s does not belong to its stream", extension)
		}
	}
	for _, extension := range strings.Fields("m3u8 mpd mp4 m4v m4a mp3 webm mkv jpg key srt m3u TS") {
		if admits(l, "/live/ch1.m3u8", "/live/ch1-5."+extension) {
			t.Errorf("%s is taken for a segment's extension", extension)
		}
	}
}

func TestAnAllowForAChannelIsNoneForAnother(t *testing.T) {
	l := parse(t, "auto")
	channels := []string{"ch1", "ch10", "ch1_hd", "ch1-4k", "ch1.5", "CH1", "ch1.", "ch1%2B", "ch1;a", "ch", "ch1-", "xch1", "ch1.m3u8"}
	for _, a := range channels {
		for _, b := range channels {
			for _, of := range []string{"/index.m3u8", "/v/index.m3u8", "/1.ts", ".m3u8", ".mpd", "-7.ts", "_7.ts", "-init.mp4", "/v/ch1-1.ts"} {
				if a != b && (admits(l, "/live/"+a+"/index.m3u8", "/live/"+b+of) || admits(l, "/live/"+a+".m3u8", "/live/"+b+of)) {
					t.Errorf("an allow for %s is one for %s%s", a, b, of)
				}
			}
			if a == b && !admits(l, "/live/"+a+".m3u8", "/live/"+b+"-7.ts") {
				t.Errorf("an allow for %s.m3u8 is none for its segment", a)
			}
		}
	}
}

func TestAPullWithANumberPassesForASegment(t *testing.T) {
	if !admits(parse(t, "auto"), "/live/sport.m3u8", "/live/sport_1.ts") {
		t.Error("sport_1.ts is no segment of sport.m3u8: then the package's doc warns of nothing")
	}
	if admits(parse(t, `(?P<stream>/live/[^/]+?)(?:\.m3u8|-\d+\.ts)`), "/live/sport.m3u8", "/live/sport_1.ts") {
		t.Error("with an expression that knows segments by their dash, sport_1.ts still passes for one")
	}
}

func TestALadderInNestedDirectoriesIsOneStream(t *testing.T) {
	l := parse(t, "auto")
	for _, path := range []string{
		"/live/ch1/720p/index.m3u8", "/live/ch1/720p/3/5.ts", "/live/ch1/audio/en/playlist.m3u8", "/live/ch1/audio/en/init.mp4",
		"/live/ch1/720p.m3u8", "/live/ch1/720p-5.ts", "/live/ch1/keys/1.key", "/live/ch1/subs.vtt", "/live/ch1/master.m3u8",
	} {
		if !admits(l, "/live/ch1/index.m3u8", path) {
			t.Errorf("%s is not of the stream /live/ch1/", path)
		}
		if !admits(l, "/live/ch1.m3u8", path) {
			t.Errorf("%s is not of the stream /live/ch1.*, in whose folder it is", path)
		}
	}
	if admits(l, "/live/ch1/720p/index.m3u8", "/live/ch1/1080p/5.ts") {
		t.Error("an allow for one rung is one for another")
	}
	if admits(l, "/live/ch1/720p/index.m3u8", "/live/ch1/index.m3u8") {
		t.Error("an allow for one rung is one for the ladder")
	}
}

func TestAFreePosterOpensNothingOfThePaidStream(t *testing.T) {
	l := parse(t, "auto")
	for _, free := range []string{"/live/ch1/poster.jpg", "/live/ch1/", "/live/ch1/5.ts", "/live/ch1-5.ts", "/live/ch1"} {
		for _, paid := range []string{"/live/ch1/index.m3u8", "/live/ch1/6.ts", "/live/ch1.m3u8", "/live/ch1-6.ts", "/live/ch1/poster.png"} {
			if admits(l, free, paid) {
				t.Errorf("an allow for %s is one for %s", free, paid)
			}
		}
		if !admits(l, free, free) {
			t.Errorf("an allow for %s is none for itself", free)
		}
	}
}

func TestTheRoutesPathsHoldStreamsAndAreNone(t *testing.T) {
	tests := []struct {
		name           string
		paths          []string
		path           string
		opens, belongs string
	}{
		{"without a slash at the end", []string{"/live"}, "/live/index.m3u8", "/live/index.*", "/live/index.*"},
		{"with one", []string{"/live/"}, "/live/index.m3u8", "/live/index.*", "/live/index.*"},
		{"one folder in another", []string{"/live/", "/live/sports/"}, "/live/sports/index.m3u8", "/live/sports/index.*", "/live/sports/index.*"},
		{"a channel beside the inner folder", []string{"/live/", "/live/sports/"}, "/live/sport/index.m3u8", "/live/sport/", "/live/sport/ /live/sport.*"},
		{"a channel in the inner folder", []string{"/live/sports/", "/live/"}, "/live/sports/ch1/1.ts", "=/live/sports/ch1/1.ts",
			"=/live/sports/ch1/1.ts /live/sports/ch1/ /live/sports/ch1.*"},
		{"a stem with the name of a folder has nothing below it", []string{"/", "/live/"}, "/live.m3u8", "/live.*", "/live.*"},
		{"and what is in the folder is not the stem's", []string{"/", "/live/"}, "/live/1.ts", "=/live/1.ts", "=/live/1.ts"},
		{"a folder above the route's", []string{"/tv/live/"}, "/tv/index.m3u8", "/tv/index.*", "/tv/index.*"},
		{"a folder beside the route's", []string{"/tv/live/"}, "/tv/vod/index.m3u8", "/tv/vod/", "/tv/vod/ /tv/vod.*"},
		{"a folder that begins like the route's", []string{"/live/"}, "/lively/index.m3u8", "/lively/", "/lively/ /lively.*"},
		{"a path of a file keeps its directory from being a stream", []string{"/live/ch1/index.m3u8"}, "/live/ch1/index.m3u8", "/live/ch1/index.*", "/live/ch1/index.*"},
		{"the root alone", []string{"/"}, "/ch1/1.ts", "=/ch1/1.ts", "=/ch1/1.ts /ch1/ /ch1.*"},
		{"no paths at all are the root", nil, "/live/index.m3u8", "/live/", "/live/ /live.*"},
		{"and the root is no stream", nil, "/index.m3u8", "/index.*", "/index.*"},
		{"a folder in another case is another", []string{"/live/"}, "/LIVE/index.m3u8", "/LIVE/", "/LIVE/ /LIVE.*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := stream.Parse("", tt.paths)
			if err != nil {
				t.Fatal(err)
			}
			if name, _ := l.Opens(tt.path); name.String() != tt.opens {
				t.Errorf("Opens(%q) = %v, want %v", tt.path, name, tt.opens)
			}
			if diff := cmp.Diff(strings.Fields(tt.belongs), joins(l, tt.path)); diff != "" {
				t.Errorf("Joins(%q), - wanted, + got:\n%s", tt.path, diff)
			}
		})
	}
}

func TestARouteMayHaveManyPaths(t *testing.T) {
	var paths []string
	for a := range 26 {
		for b := range 26 {
			paths = append(paths, "/"+string(rune('a'+a))+"/"+string(rune('a'+b)))
		}
	}
	l := parse(t, "auto", paths...)
	for _, p := range paths {
		if name, _ := l.Opens(p + "/index.m3u8"); name.Kind != stream.Stem {
			t.Errorf("the folder %s is opened as %v", p, name)
		}
		if name, _ := l.Opens(p + "/x/index.m3u8"); name.String() != p+"/x/" {
			t.Errorf("the channel %s/x is opened as %v", p, name)
		}
	}
}

func TestADeepPathHasABoundedNumberOfStreams(t *testing.T) {
	l := parse(t, "auto")
	directory := "/live/" + strings.Repeat("a/", 8000)
	for _, path := range []string{directory + "x-1.ts", directory + "x.ts", directory + "index.m3u8", directory} {
		buf := []stream.Name{{Kind: stream.Path, Text: "/kept"}}
		names := l.Joins(buf, path)
		if names[0] != buf[0] {
			t.Errorf("what was in the buffer is gone")
		}
		names = names[1:]
		if len(names) != stream.MaxJoins {
			t.Fatalf("%d streams, want %d", len(names), stream.MaxJoins)
		}
		if first, _ := l.Opens(path); names[0] != first {
			t.Errorf("the first is not what the path opens")
		}
		if path != directory && !admits(l, directory+"index.m3u8", path) {
			t.Errorf("the nearest directory is left out")
		}
		for i, n := range names[1:] {
			if len(n.Text) >= len(names[i].Text) {
				t.Fatalf("stream %d is not farther than the one before", i+1)
			}
		}
	}
}

func TestToThePathLayoutEveryPathIsAStream(t *testing.T) {
	var none *stream.Layout
	for name, l := range map[string]*stream.Layout{"path": parse(t, "path"), "nil": none, "zero": {}} {
		for path, entry := range map[string]bool{
			"/live/ch1/index.m3u8": true, "/live/ch1.mpd": true, "/live/ch1/1.ts": false, "/live/ch1": false, "/": false,
		} {
			opened, isEntry := l.Opens(path)
			if opened != (stream.Name{Kind: stream.Path, Text: path}) || isEntry != entry {
				t.Errorf("%s: Opens(%q) = %v, %v", name, path, opened, isEntry)
			}
			if diff := cmp.Diff([]string{"=" + path}, joins(l, path)); diff != "" {
				t.Errorf("%s: Joins(%q), - wanted, + got:\n%s", name, path, diff)
			}
		}
	}
}

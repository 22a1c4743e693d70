package stream_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/stream"
)

func TestWhatARegularExpressionSays(t *testing.T) {
	const folder = `/live/(?P<stream>[^/]+)/.*`
	tests := []struct {
		name, layout, path string
		entry              bool
		belongs            string
	}{
		{"a manifest opens what the group matched", folder, "/live/ch1/index.m3u8", true, "~ch1"},
		{"whatever its name", folder, "/live/ch1/a/b.mpd", true, "~ch1"},
		{"anything else opens itself, and belongs to the stream", folder, "/live/ch1/1.ts", false, "=/live/ch1/1.ts ~ch1"},
		{"what is not matched is its own", folder, "/vod/ch1/1.ts", false, "=/vod/ch1/1.ts"},
		{"and no entry", folder, "/vod/ch1/index.m3u8", false, "=/vod/ch1/index.m3u8"},
		{"a match of the beginning is none", `/live/(?P<stream>[^/]+)`, "/live/ch1/index.m3u8", false, "=/live/ch1/index.m3u8"},
		{"nor is one of the end", `/(?P<stream>[^/]+)/index.m3u8`, "/live/ch1/index.m3u8", false, "=/live/ch1/index.m3u8"},
		{"nor is one of an alternative", `/a|/live/(?P<stream>[^/]+)/1\.ts|/b`, "/live/ch1/1.ts/b", false, "=/live/ch1/1.ts/b"},
		{"anchors of its own do no harm", `^/live/(?P<stream>[^/]+)/.*$`, "/live/ch1/1.ts", false, "=/live/ch1/1.ts ~ch1"},
		{"the newer spelling of a group", `/live/(?<stream>[^/]+)/.*`, "/live/ch1/1.ts", false, "=/live/ch1/1.ts ~ch1"},
		{"a stream without a name is none", `/live/(?P<stream>[^/]*).*`, "/live//index.m3u8", false, "=/live//index.m3u8"},
		{"the group entry decides alone what an entry is", `/(?P<stream>[^/]+)/(?:(?P<entry>Manifest)|.*)`, "/ch1/Manifest", true, "~ch1"},
		{"and a manifest is none without it", `/(?P<stream>[^/]+)/(?:(?P<entry>Manifest)|.*)`, "/ch1/index.m3u8", false, "=/ch1/index.m3u8 ~ch1"},
		{"an entry of nothing is none", `/(?P<stream>[^/]+)/(?P<entry>x?).*`, "/ch1/index.m3u8", false, "=/ch1/index.m3u8 ~ch1"},
		{"an entry in one of several alternatives", `/(?P<stream>[^/]+)/(?:(?P<entry>a)|(?P<entry>b)|.*)`, "/ch1/b", true, "~ch1"},
		{"a stream in one of several alternatives", `/live/(?P<stream>[^/]+)/.*|/keys/(?P<stream>[^/]+)\.key`, "/keys/ch1.key", false, "=/keys/ch1.key ~ch1"},
		{"which is that of the other", `/live/(?P<stream>[^/]+)/.*|/keys/(?P<stream>[^/]+)\.key`, "/live/ch1/index.m3u8", true, "~ch1"},
		{"one stream named twice", `/(?P<stream>[^/]+)/(?P<stream>[^/]+)\.m3u8`, "/ch1/ch1.m3u8", true, "~ch1"},
		{"two streams named at once are none", `/(?P<stream>[^/]+)/(?P<stream>[^/]+)\.m3u8`, "/ch1/ch2.m3u8", false, "=/ch1/ch2.m3u8"},
		{"upper case is not lower", folder, "/LIVE/ch1/index.m3u8", false, "=/LIVE/ch1/index.m3u8"},
		{"unless it is said so", `(?i)/live/(?P<stream>[^/]+)/.*`, "/LIVE/ch1/index.m3u8", true, "~ch1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := parse(t, tt.layout)
			opened, entry := l.Opens(tt.path)
			if want := strings.Fields(tt.belongs); opened.String() != want[0] || entry != tt.entry {
				t.Errorf("Opens(%q) = %v, %v; want %v, %v", tt.path, opened, entry, want[0], tt.entry)
			}
			if diff := cmp.Diff(strings.Fields(tt.belongs), joins(l, tt.path)); diff != "" {
				t.Errorf("Joins(%q), - wanted, + got:\n%s", tt.path, diff)
			}
		})
	}
}

func TestALayoutThatMeansNothingIsRefused(t *testing.T) {
	tests := []struct{ name, layout, says string }{
		{"a misspelled word", "Auto", "want auto, path, or a regular expression"},
		{"another word", "/live/", "no group named stream"},
		{"no group", `/live/[^/]+/.*`, "no group named stream"},
		{"a group without a name", `/live/([^/]+)/.*`, "no group named stream"},
		{"a misspelled group", `/live/(?P<stream>[^/]+)/(?P<enrty>index\.m3u8)`, `a group named "enrty"`},
		{"broken", `/live/(?P<stream>[^/]+/.*`, "missing closing )"},
		{"what only the anchors around it would close", `/a)|(?:(?P<stream>b)`, "unexpected )"},
		{"a quote that nothing ends", `/(?P<stream>a)\Qb`, "missing closing )"},
		{"lookahead, which Go has not", `/(?!x)(?P<stream>a)`, "invalid or unsupported Perl syntax"},
		{"a match in the middle", `live/(?P<stream>[^/]+)/.*`, `it begins with "live/"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := stream.Parse(tt.layout, nil)
			if err == nil || l != nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Parse(%q) = %v, %v; want an error that says %q", tt.layout, l, err, tt.says)
			}
		})
	}
}

func TestNamesOfDifferentKindsAreNeverEqual(t *testing.T) {
	names := map[stream.Name]bool{}
	texts := map[string]bool{}
	for _, n := range []stream.Name{
		{Kind: stream.Path, Text: "/live/ch1/"}, {Kind: stream.Directory, Text: "/live/ch1/"}, {Kind: stream.Pattern, Text: "/live/ch1/"},
		{Kind: stream.Path, Text: "/live/ch1"}, {Kind: stream.Stem, Text: "/live/ch1"}, {Kind: stream.Pattern, Text: "/live/ch1"},
		{Kind: stream.Path, Text: "/live/ch1.*"}, {Kind: stream.Stem, Text: "/live/ch1.*"}, {Kind: stream.Pattern, Text: "/live/ch1.*"},
		{Kind: stream.Pattern, Text: "=/live/ch1/"}, {Kind: stream.Pattern, Text: "~ch1"}, {Kind: stream.Pattern, Text: "ch1"}, {},
	} {
		if names[n] || texts[n.String()] {
			t.Errorf("%#v, %q, is another's name or text", n, n)
		}
		names[n], texts[n.String()] = true, true
	}
}

func TestANameIsReadBack(t *testing.T) {
	for text, want := range map[string]stream.Name{
		"=/live/poster.jpg":   {Kind: stream.Path, Text: "/live/poster.jpg"},
		"=/live/ch1/":         {Kind: stream.Path, Text: "/live/ch1/"},
		"=/live/ch1.*":        {Kind: stream.Path, Text: "/live/ch1.*"},
		"=/":                  {Kind: stream.Path, Text: "/"},
		"/live/ch1/":          {Kind: stream.Directory, Text: "/live/ch1/"},
		"/live/ch1.*/":        {Kind: stream.Directory, Text: "/live/ch1.*/"},
		"/live/sport.*":       {Kind: stream.Stem, Text: "/live/sport"},
		"/live/sport.*.*":     {Kind: stream.Stem, Text: "/live/sport.*"},
		"~ch1":                {Kind: stream.Pattern, Text: "ch1"},
		"~=/live/ch1/":        {Kind: stream.Pattern, Text: "=/live/ch1/"},
		"~/live/sport.*":      {Kind: stream.Pattern, Text: "/live/sport.*"},
		"/%D1%82%D0%B2 1;a/":  {Kind: stream.Directory, Text: "/%D1%82%D0%B2 1;a/"},
		"/live/index.m3u8.*":  {Kind: stream.Stem, Text: "/live/index.m3u8"},
		"=/live/index.m3u8/x": {Kind: stream.Path, Text: "/live/index.m3u8/x"},
	} {
		got, err := stream.ParseName(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseName(%q) = %#v, %v; want %#v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "=", "~", "/", "ch1", "ch1/", "/live/ch1", "/live/ch1.m3u8", "=live", ".*", "live.*", "/.*", "/live/.*", "*"} {
		if got, err := stream.ParseName(text); err == nil || got != (stream.Name{}) || !strings.Contains(err.Error(), "/live/sport.*") {
			t.Errorf("ParseName(%q) = %#v, %v; want an error that says how streams are spelled", text, got, err)
		}
	}
}

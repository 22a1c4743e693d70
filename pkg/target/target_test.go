package target

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestParseGivesTheOnePathThatIsServed(t *testing.T) {
	tests := []struct{ name, raw, path string }{
		{"a normal path stays", "/live/a.m3u8", "/live/a.m3u8"},
		{"the root stays", "/", "/"},
		{"a dot segment goes", "/a/./b", "/a/b"},
		{"a double dot takes its parent along", "/a/../b", "/b"},
		{"a dot at the end leaves the slash", "/a/.", "/a/"},
		{"a double dot at the end leaves the slash", "/a/b/..", "/a/"},
		{"a double dot may lead to the root", "/a/..", "/"},
		{"a double dot with a slash may lead to the root", "/a/../", "/"},
		{"several double dots", "/a/b/c/../../d", "/a/d"},
		{"more dots are a name", "/a/.../b", "/a/.../b"},
		{"a name may begin with a dot", "/.well-known/..a", "/.well-known/..a"},
		{"repeated slashes merge", "//a///b//", "/a/b/"},
		{"only slashes are the root", "///", "/"},
		{"an authority is none", "//evil.example/x", "/evil.example/x"},
		{"escaped unreserved characters are decoded", "/%61%7E%2d%2E%5f%39", "/a~-._9"},
		{"an escaped dot inside a name is decoded", "/a%2em3u8", "/a.m3u8"},
		{"three escaped dots are a name", "/%2e%2e%2e", "/..."},
		{"other escapes stay, in upper case", "/%c3%a9%2c%3b%3f%23%20%22", "/%C3%A9%2C%3B%3F%23%20%22"},
		{"an escape with one upper-case digit", "/%cA%A9", "/%CA%A9"},
		{"a lower-case second digit", "/%3b", "/%3B"},
		{"a lower-case first digit", "/%a9", "/%A9"},
		{"an escaped percent is not decoded twice", "/%2561", "/%2561"},
		{"raw bytes outside ASCII are escaped", "/é\xff", "/%C3%A9%FF"},
		{"other printable bytes stay raw", "/!$&'()*+,;=:@\"<>^`{|}[]", "/!$&'()*+,;=:@\"<>^`{|}[]"},
		{"parameters of a segment stay", "/a;x=1/b", "/a;x=1/b"},
		{"a segment may be nothing but a parameter", "/a/;x/b", "/a/;x/b"},
		{"a doubly escaped slash is a name", "/a%252fb", "/a%252fb"},
		{"a doubly escaped control byte is a name", "/a%2500", "/a%2500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.raw)
			if err != nil || got.Path != tt.path {
				t.Errorf("Parse(%q) = %q, %v; want %q", tt.raw, got.Path, err, tt.path)
			}
		})
	}
}

func TestParseSplitsAtTheFirstQuestionMarkAndKeepsTheQuery(t *testing.T) {
	tests := []struct {
		raw, query string
		has        bool
	}{
		{"/a", "", false},
		{"/a?", "", true},
		{"/a?token=1", "token=1", true},
		{"/a??x", "?x", true},
		{"/a?x=1?y=2", "x=1?y=2", true},
		{"/a?x=%zz&%", "x=%zz&%", true},
		{"/a?/../%2f\\%00//;a=1;&&é\xff", "/../%2f\\%00//;a=1;&&é\xff", true},
		{"/a%3Fb", "", false},
	}
	for _, tt := range tests {
		got, err := Parse(tt.raw)
		if err != nil || got.Query != tt.query || got.HasQuery != tt.has {
			t.Errorf("Parse(%q) = %q, %v, %v; want %q, %v", tt.raw, got.Query, got.HasQuery, err, tt.query, tt.has)
		}
	}
}

func TestParseRefusesWhatCanBeReadInTwoWays(t *testing.T) {
	tests := []struct {
		rule string
		raws []string
	}{
		{"path has an escaped slash", []string{"/a%2fb", "/a%2Fb", "/%2f"}},
		{"path has a backslash", []string{`/a\b`, `/a\..\b`, `/\`}},
		{"path has an escaped backslash", []string{"/a%5cb", "/%5C"}},
		{"path has an escaped control byte", []string{"/a%00b", "/%0a", "/%0D%0ax", "/%1f", "/%7f"}},
		{"path has a broken escape", []string{"/%", "/a%2", "/%zz", "/%4g", "/%%34%31", "/%2?x"}},
		{"path has a hidden dot segment", []string{
			"/a/%2e%2e/b", "/a/%2E/b", "/a/.%2e", "/%2e.", "/%2e",
			"/a/%252e%252e/b", "/a/%252e", "/a/.%252E/",
			"/a/..;/b", "/a/..;x=1/b", "/.;", "/a/..;x;y", "/..;%41",
			"/a/%2e.;/b", "/a/%2e%2e%3bx/b", "/a/..%3b/b", "/a/%252e%252e%253bx", "/a/..%253b",
			"/a/..%252fb", "/a/%252e%252e%252fb", "/x%252f..%252fy", "/x%255c..", "/x%252f..;y",
			"/" + strings.Repeat("x", 1000) + "%252f..",
			"/../%2e", "//%2e%2e/",
		}},
		{"path has a dot segment and a repeated slash", []string{"/a//../b", "//./", "/a/../b//", "/..//a"}},
		{"path leads above the root", []string{"/..", "/../", "/../a", "/a/../..", "/a/../../b", "/./../a"}},
		{"path does not begin with /", []string{"", "?token=1", "a", "*", "http://h/a", "%2fa", "./a"}},
		{"target has a raw #", []string{"/a#b", "/a?token=1#f", "/#/../admin", "#"}},
		{"target has a raw space", []string{"/a b", "/a?x= 1", " /a", "/a "}},
		{"target has a raw control byte", []string{"/a\x00", "/a\tb", "/a\r\nX: 1", "/a?x=\x01", "/a?\x7f", "/\x1f"}},
		{"target is longer than 16384 bytes", []string{"/" + strings.Repeat("a", MaxTarget), "/?" + strings.Repeat("a", MaxTarget)}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			for _, raw := range tt.raws {
				got, err := Parse(raw)
				if !errors.Is(err, ErrMalformed) || !strings.HasSuffix(err.Error(), tt.rule) {
					t.Errorf("Parse(%.60q): error %v, want one that says %q", raw, err, tt.rule)
				}
				if got != (Target{}) {
					t.Errorf("Parse(%.60q) = %+v beside an error", raw, got)
				}
			}
		})
	}
}

func TestParseTakesTheLongestTarget(t *testing.T) {
	if _, err := Parse("/" + strings.Repeat("a", MaxTarget-1)); err != nil {
		t.Error(err)
	}
}

func TestParseOfANormalTargetDoesNotAllocate(t *testing.T) {
	for _, raw := range []string{"/live/sport/index.m3u8?token=123", "/a%20b/caf%C3%A9.ts;x=1/%252F?x"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = Parse(raw) }); n != 0 {
			t.Errorf("Parse(%q) allocates %v times", raw, n)
		}
	}
}

// FuzzParse holds every accepted path against the properties that routes and
// sessions rely on, and against a decoder of its own.
func FuzzParse(f *testing.F) {
	for _, raw := range []string{
		"/live/a.m3u8?token=1", "/a/../b", "//a//b/", "/a/%2e%2e/b", "/a/%252e%252e%252fb", "/a/..;x/b",
		"/%61%c3%a9é", "/a%2fb", `/a\b`, "/a#b", "/a/.", "/a/b/..", "?token=1", "", "/a;/./b", "/x%255c..%253b",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := Parse(raw)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || got != (Target{}) {
				t.Fatalf("Parse(%q) = %+v, %v", raw, got, err)
			}
			return
		}
		if path, query, has := strings.Cut(raw, "?"); got.Query != query || got.HasQuery != has || plain.MatchString(path) && got.Path != path {
			t.Fatalf("Parse(%q) = %+v", raw, got)
		}
		checkNormal(t, got.Path)
		if len(got.Path) > MaxTarget {
			return // escaping can make it longer than what Parse takes
		}
		again, err := Parse(got.Path)
		if err != nil || again.Path != got.Path {
			t.Fatalf("Parse(%q) gave %q, which gives %q, %v", raw, got.Path, again.Path, err)
		}
	})
}

// plain matches paths that are surely normal already.
var plain = regexp.MustCompile(`^(/[a-z0-9]+)+/?$`)

func checkNormal(t *testing.T, path string) {
	t.Helper()
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") {
		t.Fatalf("path %q: slashes", path)
	}
	for i := range len(path) {
		if path[i] <= ' ' || path[i] >= 0x7f || strings.IndexByte(`\?#`, path[i]) >= 0 {
			t.Fatalf("path %q has byte %#x", path, path[i])
		}
	}
	text := path
	for range 3 {
		for segment := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '/' || r == '\\' }) {
			if before, _, _ := strings.Cut(segment, ";"); before == "." || before == ".." {
				t.Fatalf("path %q has a dot segment for some reader", path)
			}
		}
		text = phpDecode(text, false)
	}
	once := phpDecode(path, false)
	if strings.Count(once, "/") != strings.Count(path, "/") || strings.ContainsAny(once, "\x00\r\n\\") {
		t.Fatalf("path %q decodes to %q", path, once)
	}
}

func BenchmarkParse(b *testing.B) {
	for name, raw := range map[string]string{
		"normal":  "/live/sport/index.m3u8?token=0123456789abcdef",
		"escaped": "/live/caf%C3%A9/index.m3u8?token=1",
		"rewrite": "/live/./caf%c3%a9/%69ndex.m3u8?token=1",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Parse(raw)
			}
		})
	}
}

package target

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestWithoutDropsAPartByEveryReadingOfItsName(t *testing.T) {
	tests := []struct{ name, operator, query, want string }{
		{"plain", "key=s", "a=1&key=2&b=3", "a=1&b=3"},
		{"without a value", "key=s", "key&a", "a"},
		{"each of several", "key=s", "key=1&a=1&key=2", "a=1"},
		{"all", "key=s", "key=1", ""},
		{"any case", "Key=s", "kEY=1&a", "a"},
		{"letters that have the same lower case", "kiss=s", "\u212ai\u017fs=1&%e2%84%aaiss=2&a", "a"},
		{"percent-encoded", "key=s", "%6bey=1&k%65Y=2&a", "a"},
		{"spaces before it", "key=s", "+key=1&%20+key=2& key=3&a", "a"},
		{"cut at NUL", "key=s", "key%00x=1&a", "a"},
		{"as an array", "key=s", "key[]=1&key[x][y]=1&key%5Bx%5D=1&a", "a"},
		{"an array that is never closed", "a_b=s", "a[b=1&a%5bb=2&c", "c"},
		{"nested brackets that are never closed", "a_b_c=s", "a[b[c=1&a[b.c=2&c", "c"},
		{"the operator's bracket is never closed", "a[b=s", "a_b=1&a.b=2&a=3&c", "c"},
		{"dot, space and plus as underscore", "a_b=s", "a.b=1&a+b=2&a%20b=3&a b=4&a%2Bb=5&a%2eb=6&c", "c"},
		{"the operator's dot", "a.b=s", "a_b=1&c", "c"},
		{"plus that is no space", "%2Bkey=s", "+key=1&c", "c"},
		{"a piece after a semicolon", "key=s", "a=1;key=2&b", "b"},
		{"a piece before a semicolon", "key=s", "key;a=1&b", "b"},
		{"the operator's semicolon", "x=1;key=s", "key=2&b", "b"},
		{"a name with a semicolon", "a;b=s", "a%3Bb=1&c", "c"},
		{"an operator's escaped semicolon", "a%3Bb=s", "a;b=1&c", "c"},
		{"bytes that are no UTF-8, which some readers replace", "%ff=s", "%fe=1&\ufffd\ufffd=2&c", "c"},
		{"a broken escape in the name", "k%zz=s", "K%Zz=1&c", "c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Without(tt.query, Names(tt.operator)); got != tt.want {
				t.Errorf("Without(%q, Names(%q)) = %q, want %q", tt.query, tt.operator, got, tt.want)
			}
		})
	}
}

func TestWithoutKeepsTheRestByteForByte(t *testing.T) {
	names := Names("key=s&[a=t&%00=u")
	tests := []struct{ query, want string }{
		{"", ""},
		{"&&", "&&"},
		{"=key", "=key"},
		{"a=key&b=&key=1&&c=%zz&%&d=1;2+3&", "a=key&b=&&c=%zz&%&d=1;2+3&"},
		{"b=2&a=1&b=1", "b=2&a=1&b=1"},
		{"&key=1&", "&"},
		{"&key=1", ""},
		{"key=1&", ""},
		{"keys=1&akey=2&_key=3&key]=4&%256bey=5", "keys=1&akey=2&_key=3&key]=4&%256bey=5"},
		{"[b=1&%00x=2&+=3", "[b=1"},
		{"\xff=1&\xfe=2", "\xff=1&\xfe=2"},
	}
	for _, tt := range tests {
		if got := Without(tt.query, names); got != tt.want {
			t.Errorf("Without(%q) = %q, want %q", tt.query, got, tt.want)
		}
	}
}

func TestWithoutNamesReturnsTheQueryAndDoesNotAllocate(t *testing.T) {
	const query = "Token=%61&a[b]=1;c&+d"
	for _, names := range []map[string]bool{nil, {}, Names(""), Names("&=1&&")} {
		if n := testing.AllocsPerRun(100, func() {
			if Without(query, names) != query {
				t.Fatal("the query changed")
			}
		}); n != 0 {
			t.Errorf("Without with %d names allocates %v times", len(names), n)
		}
	}
}

func TestWithoutOfCommonNamesDoesNotAllocate(t *testing.T) {
	names := Names("key=s")
	const query = "token=A1b2&start_2=1&x-y=%61&sessionId=1&CMCD=2&+a[b]=3"
	if n := testing.AllocsPerRun(100, func() { _ = Without(query, names) }); n != 0 {
		t.Errorf("Without(%q) allocates %v times", query, n)
	}
}

func TestAppendNamesGivesEveryReadingOfAPart(t *testing.T) {
	tests := []struct{ name, part, want string }{
		{"no name", "=1", ""},
		{"nothing", "", ""},
		{"a name behind a NUL, which PHP takes for none", "%00a=1", "_|"},
		{"a name of spaces, which PHP takes for none", "%20%20=1", "_|"},
		{"plain", "token=1", "token|"},
		{"without a value", "token", "token|"},
		{"any case", "Token=1", "token|"},
		{"an array", "a[b]=1", "a_b]|a|"},
		{"a bracket first", "[a=1", "_a|"},
		{"a plus before it", "+a=1", "a|_a|"},
		{"an array with a plus before it", "+a[=1", "a_|a|_a_|_a|"},
		{"pieces between semicolons", "a;b=1;c", "a;b|a|b|c|"},
		{"a semicolon in the value", "a=1;b=2", "a|a|b|"},
		{"bytes that are no UTF-8", "\xff%fea=1", "\xff\xfea|\ufffda|"},
		{"the character for bytes that are no UTF-8", "%ef%bf%bd%ff=1", "\ufffd\xff|\ufffd|"},
		{"an escaped semicolon separates nothing", "a%3Bb=1", "a;b|"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.ReplaceAll(string(AppendNames([]byte("kept|"), tt.part)), "\x00", "|")
			if want := "kept|" + tt.want; got != want {
				t.Errorf("AppendNames(%q) = %q, want %q", tt.part, got, want)
			}
		})
	}
}

func TestAppendNamesWithRoomDoesNotAllocate(t *testing.T) {
	room := make([]byte, 0, 2048)
	for _, part := range []string{"token=1", "CMCD=1", "+Token[%61]=1;a.b=2", "%ff", strings.Repeat("A", 256)} {
		if n := testing.AllocsPerRun(100, func() { _ = AppendNames(room, part) }); n != 0 {
			t.Errorf("AppendNames(%.40q) allocates %v times", part, n)
		}
	}
}

func TestNamesThatNobodyTakesForEachOtherStayApart(t *testing.T) {
	for _, pair := range [][2]string{{"token", "tokens"}, {"a_b", "ab"}, {"a-b", "a_b"}, {"%ff", "%fe"}, {"a", "_a"}, {"a]", "a"}} {
		if Name(pair[0]) == Name(pair[1]) {
			t.Errorf("%q and %q are both %q", pair[0], pair[1], Name(pair[0]))
		}
	}
}

func TestNameIsFoundByItsOwnNames(t *testing.T) {
	for _, raw := range []string{"token", "Session_ID", "+a.b[c]", "a%00b"} {
		if names := Names(raw + "=1"); !names[Name(raw)] {
			t.Errorf("Names(%q) = %v, without %q", raw, names, Name(raw))
		}
	}
}

// phpDecode is PHP's urldecode, written apart from the code under test.
func phpDecode(s string, plus bool) string {
	if plus {
		s = strings.ReplaceAll(s, "+", " ")
	}
	return escapePattern.ReplaceAllStringFunc(s, func(e string) string {
		const digits = "0123456789abcdef"
		e = strings.ToLower(e)
		return string([]byte{byte(strings.IndexByte(digits, e[1])<<4 | strings.IndexByte(digits, e[2]))})
	})
}

var (
	escapePattern  = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	firstSubscript = regexp.MustCompile(`(?s)^([^\[]*)\[[^\]]*\]`)
)

// phpKeys are the names that PHP 8 gives the variables of a query, as
// parse_str and $_GET have them; the test against php proves it right.
func phpKeys(query string) map[string]bool {
	keys := map[string]bool{}
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		name, _, _ = strings.Cut(phpDecode(name, true), "\x00")
		name = strings.TrimLeft(name, " ")
		if name == "" || name[0] == '[' {
			continue
		}
		mangle := strings.NewReplacer(".", "_", " ", "_", "[", "_")
		if m := firstSubscript.FindStringSubmatch(name); m != nil {
			name = m[1]
		}
		keys[mangle.Replace(name)] = true
	}
	return keys
}

func common(a, b map[string]bool) []string {
	return slices.Collect(func(yield func(string) bool) {
		for name := range maps.Keys(a) {
			if b[name] && !yield(name) {
				return
			}
		}
	})
}

// FuzzWithout takes a query of an operator and one of a viewer.
func FuzzWithout(f *testing.F) {
	for _, tt := range oddQueries() {
		f.Add("token=1&a_b=2&a[c", tt)
		f.Add(tt, "Token=1;x&a.b=2&+[c=3")
	}
	f.Fuzz(func(t *testing.T, operator, query string) {
		got := Without(query, Names(operator))
		if c := common(phpKeys(got), phpKeys(operator)); len(c) > 0 {
			t.Fatalf("Without(%q, Names(%q)) = %q lets PHP see %q", query, operator, got, c)
		}
		if got != query && !isSubsequence(strings.Split(got, "&"), strings.Split(query, "&")) {
			t.Fatalf("Without(%q, …) = %q has other parts", query, got)
		}
		if again := Without(got, Names(operator)); again != got {
			t.Fatalf("Without(%q, …) = %q, and then %q", query, got, again)
		}
		fixed := Without(query, Names("token=1&a_b=2"))
		if c := common(phpKeys(fixed), map[string]bool{"token": true, "a_b": true}); len(c) > 0 {
			t.Fatalf("Without(%q, token, a_b) = %q lets PHP see %q", query, fixed, c)
		}
		if fixed != query && !anyForbidden.MatchString(phpDecode(query, false)) {
			t.Fatalf("Without(%q, token, a_b) = %q, and there was nothing to drop", query, fixed)
		}
	})
}

// anyForbidden matches whatever could be token or a_b.
var anyForbidden = regexp.MustCompile("(?i)to[k\u212a]en|a[_. +[]b")

func isSubsequence(some, all []string) bool {
	for _, part := range all {
		if len(some) > 0 && some[0] == part {
			some = some[1:]
		}
	}
	return len(some) == 0 || len(some) == 1 && some[0] == ""
}

func BenchmarkWithout(b *testing.B) {
	names := Names("key=secret&mode=live")
	for name, query := range map[string]string{
		"plain": "token=0123456789abcdef&start=1&duration=60",
		"odd":   "Token=1&%6bey=2&a[b]=3&c;d",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = Without(query, names)
			}
		})
	}
}

func TestAPartThatIsDroppedWithOthersInItIsTangled(t *testing.T) {
	names := map[string]bool{Name("key"): true}
	for query, want := range map[string]bool{
		"": false, "key=1": false, "id=1&key=2": false, "id=1;a=2": false, "id=1;a=2&key=3": false, ";": false,
		"key=1;id=99": true, "id=99;key=1": true, "id=1&key;id=99": true, "KEY=1;": true, "a=1&;key=2": true, "k%65y=1;id=2": true,
	} {
		if got := Tangled(query, names); got != want {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
	}
	if Tangled("key=1;id=2", nil) {
		t.Error("without names nothing is dropped")
	}
}

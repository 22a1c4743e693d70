package session

import (
	"strings"
	"testing"
	"unsafe"
)

func TestOnTheAskedPathOnlyTheAllowedQueryIsServed(t *testing.T) {
	const allowed = "token=1&id=7"
	tests := []struct {
		name, raw string
		same      bool
	}{
		{"the allowed query", "token=1&id=7", true},
		{"with where a low-latency player is", "token=1&id=7&_HLS_msn=5&_HLS_part=2", true},
		{"with what a low-latency player skips", "_HLS_skip=v2&token=1&id=7", true},
		{"with a push and an offset", "token=1&_HLS_push=1&id=7&_HLS_start_offset=-4", true},
		{"with a player's metrics", "token=1&id=7&CMCD=bl%3D21300%2Csid%3D%22x%22", true},
		{"with altagate's own id", "token=1&id=7&altagate_id=v1.x", true},
		{"with a name of low-latency HLS and no value", "token=1&id=7&_HLS_msn", true},
		{"no query", "", false},
		{"a part less", "token=1", false},
		{"a part more", "token=1&id=7&x=1", false},
		{"another value", "token=1&id=8", false},
		{"a longer value", "token=1&id=77", false},
		{"another order", "id=7&token=1", false},
		{"a part twice", "token=1&id=7&id=7", false},
		{"an empty part more", "token=1&id=7&", false},
		{"a value spelled with an escape", "token=1&id=%37", false},
		{"low-latency names in another case", "token=1&id=7&_hls_msn=5", false},
		{"metrics in another case", "token=1&id=7&cmcd=5", false},
		{"an escaped spelling of a name that is left out", "token=1&id=7&CMC%44=5", false},
		{"a name that only begins like one that is left out", "token=1&id=7&CMCDx=5", false},
		{"a semicolon in the metrics", "token=1&id=7&CMCD=1;id=8", false},
		{"a semicolon in a low-latency part", "token=1&id=7&_HLS_msn=1;id=8", false},
		{"a semicolon in altagate's own id", "token=1&id=7&altagate_id=1;id=8", false},
		{"altagate's own id as an array", "token=1&id=7&altagate_id[]=1", false},
		{"start, which chooses what is served", "token=1&id=7&start=100", false},
	}
	terms := newTerms(allowed)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := terms.same(tt.raw); got != tt.same {
				t.Errorf("allowed %q: same(%q) = %v", allowed, tt.raw, got)
			}
			if got := terms.same(stripped(tt.raw)); got != tt.same {
				t.Errorf("allowed %q: same(%q), stripped before, = %v", allowed, tt.raw, got)
			}
		})
	}
}

func TestOnOtherPathsAQueryFitsIfItChoosesNothingElse(t *testing.T) {
	tests := []struct {
		name, allowed, raw string
		fits               bool
	}{
		{"no query: players do not repeat it on segments", "token=1", "", true},
		{"the allowed query", "token=1&id=7", "token=1&id=7", true},
		{"some of it", "token=1&id=7", "id=7", true},
		{"another order", "token=1&id=7", "id=7&token=1", true},
		{"the token twice: in the playlist, and appended by the player", "token=1", "token=1&token=1", true},
		{"names of the origin's own", "token=1", "seq=5&v=abc", true},
		{"names of the origin's own beside the token", "token=1", "seq=5&token=1&v=abc", true},
		{"another token", "token=1", "token=2", false},
		{"the token, and another", "token=1", "token=1&token=2", false},
		{"another token, and the token", "token=1", "token=2&token=1", false},
		{"another id", "token=1&id=1", "id=99", false},
		{"an empty value", "id=1", "id=", false},
		{"no value", "id=1", "id", false},
		{"a longer value", "id=1", "id=11", false},
		{"two parts as one value", "id=1&x=2", "id=1%26x=2", false},
		{"a name in another case", "id=1", "ID=99", false},
		{"a name in another case with the same value", "id=1", "ID=1", false},
		{"an escaped name", "id=1", "%69d=99", false},
		{"a value spelled with an escape", "id=1", "id=%31", false},
		{"an array", "id=1", "id[]=99", false},
		{"PHP's other spellings of a name", "my_id=1", "my.id=99", false},
		{"PHP's other spellings of a name, a plus", "my_id=1", "my+id=99", false},
		{"PHP's other spellings of a name, an open bracket", "my_id=1", "my[id=99", false},
		{"the name cut at NUL", "id=1", "id%00x=99", false},
		{"a space before the name", "id=1", "+id=99", false},
		{"bytes that are no UTF-8, which readers replace by one character", "%dd=1", "%ff=99", false},
		{"a piece after a semicolon", "id=1", "x=1;id=99", false},
		{"a piece before a semicolon", "id=1", "id=99;x=1", false},
		{"a piece in metrics", "id=1", "CMCD=1;id=99", false},
		{"a piece in altagate's own id", "id=1", "altagate_id=1;id=99", false},
		{"a part of the allowed query's value", "x=1;id=2", "id=2", false},

		{"start, of a live session", "token=1", "start=100", false},
		{"duration, of a live session", "token=1", "token=1&duration=60", false},
		{"utc, of a live session", "token=1", "utc=100", false},
		{"lutc, of a live session", "", "lutc=100", false},
		{"start in another case", "token=1", "Start=100", false},
		{"start as it was allowed", "token=1&start=100", "start=100", true},
		{"start as it was not allowed", "token=1&start=100", "start=200", false},
		{"start of the archive, and no query", "token=1&start=100", "", true},
		{"a name that only begins like start", "token=1", "start_number=5", true},

		{"a player's metrics", "token=1", "CMCD=bl%3D1", true},
		{"a player's metrics, and the backend was asked with others", "token=1&CMCD=bl%3D1", "token=1&CMCD=bl%3D2", true},
		{"low-latency parts on a rendition", "token=1", "token=1&_HLS_msn=9&_HLS_part=0", true},
		{"altagate's own id on a segment", "token=1", "altagate_id=v1.x", true},
		{"metrics that a reader takes for an allowed name", "cmcd=1", "CMCD=2", false},
		{"metrics beside an allowed name that looks like it", "cmcd=1", "cmcd=1&CMCD=2", false},

		{"the first of duplicates alone", "id=1&id=99", "id=1", false},
		{"the last of duplicates alone", "id=1&id=99", "id=99", false},
		{"duplicates the other way round", "id=1&id=99", "id=99&id=1", false},
		{"duplicates as they were allowed", "id=1&id=99", "id=1&id=99", true},
		{"duplicates as they were allowed, with metrics", "id=1&id=99", "id=1&id=99&CMCD=5", true},
		{"duplicates in two spellings, one alone", "id=1&ID=99", "ID=99", false},
		{"the token beside duplicates", "token=1&id=1&id=99", "token=1", true},
		{"the same part twice was allowed, and it comes once", "id=1&id=1", "id=1", true},
		{"an element of an allowed array", "a[]=1&a[]=2", "a[]=2", false},
		{"an allowed array", "a[]=1&a[]=2", "a[]=1&a[]=2", true},
		{"one piece of a part with a semicolon", "a=1;b=2", "a=1", false},
		{"a part with a semicolon", "a=1;b=2", "a=1;b=2", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			terms := newTerms(tt.allowed)
			if got := terms.fits(tt.raw); got != tt.fits {
				t.Errorf("allowed %q: fits(%q) = %v", tt.allowed, tt.raw, got)
			}
		})
	}
}

func TestAQueryWithoutTheNamesIsAnySessionsOfItsViewer(t *testing.T) {
	tests := []struct {
		name, allowed, raw string
		names              bool
	}{
		{"no query", "token=1", "", false},
		{"names of the origin's own", "token=1", "seq=5&v=abc", false},
		{"metrics and altagate's own id", "token=1&CMCD=1", "CMCD=2&altagate_id=v1.x", false},
		{"the token", "token=1", "token=1", true},
		{"another token", "token=1", "x&token=2", true},
		{"an odd spelling of the token", "token=1", "Token[]=2", true},
		{"start", "", "start=1", true},
		{"a piece after a semicolon", "token=1", "x;token=1", true},
		{"parts without a name", "token=1&=5", "&=5&&", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			terms := newTerms(tt.allowed)
			if got := terms.names(tt.raw); got != tt.names {
				t.Errorf("allowed %q: names(%q) = %v", tt.allowed, tt.raw, got)
			}
		})
	}
}

func TestStrippedKeepsTheRestByteForByte(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"nothing", "", ""},
		{"nothing to take out", "token=%61&&x;y&", "token=%61&&x;y&"},
		{"only what is taken out", "_HLS_msn=1&CMCD=2", ""},
		{"at the end", "token=1&_HLS_msn=1", "token=1"},
		{"at the beginning", "_HLS_msn=1&token=1", "token=1"},
		{"in the middle", "a=1&CMCD=x&b=2", "a=1&b=2"},
		{"at several places", "CMCD&a=1&_HLS_msn=1&_HLS_part=2&b=2&altagate_id=x&c&", "a=1&b=2&c&"},
		{"empty parts stay", "&CMCD=1&&a", "&&a"},
		{"a part with a semicolon stays", "CMCD=1;x", "CMCD=1;x"},
		{"all stays beside a part with a semicolon", "CMCD=1;x&CMCD=2", "CMCD=1;x&CMCD=2"},
		{"all stays beside another spelling", "cmcd=1&CMCD=2&_HLS_msn=3", "cmcd=1&CMCD=2&_HLS_msn=3"},
		{"all stays beside an array of the name", "altagate_id[x=1&altagate_id=2", "altagate_id[x=1&altagate_id=2"},
		{"all stays beside more names than are read", strings.Repeat("x&", 100) + "CMCD=2", strings.Repeat("x&", 100) + "CMCD=2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := stripped(tt.raw); got != tt.want {
				t.Errorf("stripped(%q) = %q, want %q", tt.raw, got, tt.want)
			}
		})
	}
}

func TestAQueryOfMoreNamesThanAreReadFitsOnlyAsItWasAllowed(t *testing.T) {
	many := strings.Repeat("a=1&", 100) + "b=2"
	long := strings.Repeat("x", maxNames) + "=1"
	pieces := strings.Repeat("a=1;", maxNames)
	for name, query := range map[string]string{"many parts": many, "a long name": long, "many pieces": pieces} {
		t.Run(name, func(t *testing.T) {
			huge, small := newTerms(query), newTerms("token=1")
			if !huge.same(query) || !huge.fits(query) {
				t.Error("the allowed query does not fit itself")
			}
			if huge.fits("b=3") || huge.fits("other=1") || !huge.names("other=1") {
				t.Error("a name fits that may be one of those that were not read")
			}
			if !huge.fits("") || huge.names("") {
				t.Error("no query does not fit")
			}
			if small.fits(query) || !small.names(query) {
				t.Error("what was not read to its end fits")
			}
		})
	}
}

func TestAPartCountsForWhatIsReadOfIt(t *testing.T) {
	value := "token=" + strings.Repeat("x", 8000)
	terms := newTerms(value)
	if !terms.fits(value+"&seq=1") || terms.fits("token=1") {
		t.Error("a long value counts as a long name")
	}
}

func TestTheZeroTermsAreThoseOfAnEmptyQuery(t *testing.T) {
	var zero terms
	empty := newTerms("")
	for _, raw := range []string{"", "a=1", "start=1", "CMCD=1"} {
		if zero.same(raw) != empty.same(raw) || zero.fits(raw) != empty.fits(raw) || zero.names(raw) != empty.names(raw) {
			t.Errorf("the zero terms differ from those of an empty query for %q", raw)
		}
	}
}

// The request's strings may be parts of all that a proxy sent, and a session
// lasts for hours.
func TestTermsHoldTheQueryOnceAndNothingElseOfTheRequest(t *testing.T) {
	raw := "token=1&id=7"
	terms := newTerms(raw)
	if unsafe.StringData(terms.query) == unsafe.StringData(raw) {
		t.Error("the request's own string is kept")
	}
	if unsafe.StringData(terms.query) != unsafe.StringData(terms.clear) {
		t.Error("the query is kept twice")
	}
}

// joinedQueries are what players send once they play, beside the allowed query.
func joinedQueries() map[string]string {
	return map[string]string{
		"nothing":       "",
		"the token":     "token=0123456789abcdef&User_Id=7",
		"low latency":   "token=0123456789abcdef&User_Id=7&_HLS_msn=1234&_HLS_part=2",
		"metrics first": "CMCD=bl%3D21300%2Cbr%3D3200&token=0123456789abcdef&User_Id=7",
		"another's":     "sequenceNumber=7&My.Name[%61]=1;x",
		"another order": "User_Id=7&token=0123456789abcdef&v=1",
		"another token": "token=1&Token=2",
	}
}

const joinedAllowed = "token=0123456789abcdef&User_Id=7"

func TestFittingAQueryDoesNotAllocate(t *testing.T) {
	terms := newTerms(joinedAllowed)
	for name, raw := range joinedQueries() {
		for what, f := range map[string]func(string) bool{"same": terms.same, "fits": terms.fits, "names": terms.names} {
			if n := testing.AllocsPerRun(100, func() { f(raw) }); n != 0 {
				t.Errorf("%s: %s(%q) allocates %v times", name, what, raw, n)
			}
		}
	}
}

func BenchmarkFit(b *testing.B) {
	queries := joinedQueries()
	queries["hostile"] = strings.Repeat("Xy=1&", maxNames/18) + "token=0123456789abcdef"
	terms := newTerms(joinedAllowed)
	for name, raw := range queries {
		for what, f := range map[string]func(string) bool{"same": terms.same, "fits": terms.fits, "names": terms.names} {
			b.Run(what+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					f(raw)
				}
			})
		}
	}
}

func BenchmarkNewTerms(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = newTerms(joinedAllowed)
	}
}

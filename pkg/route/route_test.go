package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func rules() []Rule[string] {
	return []Rule[string]{
		{Name: "live", Hosts: []string{"tv.example"}, Paths: []string{"/live/"}, Value: "live"},
		{Name: "sport", Hosts: []string{"tv.example"}, Paths: []string{"/live/sport", "/extra"}, Value: "sport"},
		{Name: "port", Hosts: []string{"tv.example:8080"}, Paths: []string{"/live/", "/live/news/"}, Value: "port"},
		{Name: "v6", Hosts: []string{"[::1]"}, Value: "v6"},
		{Name: "vod", Paths: []string{"/vod/"}, Value: "vod"},
		{Hosts: []string{"whole.example"}, Value: "whole"},
		{Name: "rest", Paths: []string{"/live", "/long/path/here/"}, Value: "rest"},
	}
}

func TestFindByHostAndPath(t *testing.T) {
	tests := []struct{ name, host, path, want string }{
		{"a path below one with a slash", "tv.example", "/live/a.m3u8", "live"},
		{"the path with a slash itself", "tv.example", "/live/", "live"},
		{"the longest path wins", "tv.example", "/live/sport/a", "sport"},
		{"a path without a slash matches itself", "tv.example", "/live/sport", "sport"},
		{"and what it is followed by with a slash", "tv.example", "/live/sport/", "sport"},
		{"but is no prefix of a longer segment", "tv.example", "/live/sports/a", "live"},
		{"the second path of a rule", "tv.example", "/extra/x", "sport"},
		{"a host without port matches any port", "tv.example:9000", "/live/a", "live"},
		{"a host with its port goes first at the same path", "tv.example:8080", "/live/a", "port"},
		{"the longest path wins over the port", "tv.example:8080", "/live/sport/a", "sport"},
		{"a longer path with the port", "tv.example:8080", "/live/news/a", "port"},
		{"a host with a port matches no other", "tv.example", "/live/news/a", "live"},
		{"an IPv6 host", "[::1]", "/x", "v6"},
		{"an IPv6 host on any port", "[::1]:8080", "/x", "v6"},
		{"no paths are all paths", "whole.example", "/", "whole"},
		{"a rule that names the host wins over a longer path", "whole.example", "/vod/a", "whole"},
		{"rules without hosts come second", "tv.example", "/vod/a", "vod"},
		{"and match any host", "other.example", "/live", "rest"},
		{"a path without a slash does not match below its name", "other.example", "/livestream", ""},
		{"a path with a slash does not match without it", "tv.example", "/vod", ""},
		{"paths have a case", "tv.example", "/Live/a", ""},
		{"a host's parent domain is another host", "www.tv.example", "/extra/x", ""},
		{"nothing at the root", "tv.example", "/", ""},
		{"no path", "tv.example", "", ""},
		{"no host", "", "/vod/", "vod"},
		{"a deep path", "other.example", "/long/path/here/" + strings.Repeat("x/", 5000), "rest"},
	}
	table := New(rules())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := table.Find("", tt.host, tt.path)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("Find(%q, %.40q) = %q, %v; want %q", tt.host, tt.path, got, ok, tt.want)
			}
		})
	}
}

func TestANameDecidesAlone(t *testing.T) {
	table := New(rules())
	if got, ok := table.Find("vod", "tv.example", "/live/a"); got != "vod" || !ok {
		t.Errorf("a named route: %q, %v", got, ok)
	}
	if got, ok := table.Find("typo", "tv.example", "/live/a"); got != "" || ok {
		t.Errorf("an unknown name: %q, %v", got, ok)
	}
}

func TestTheFirstOfTwoRulesStands(t *testing.T) {
	table := New([]Rule[int]{{Name: "a", Value: 1}, {Name: "a", Value: 2}})
	byName, _ := table.Find("a", "h", "/")
	byPath, _ := table.Find("", "h", "/")
	if byName != 1 || byPath != 1 {
		t.Errorf("by name %d, by path %d", byName, byPath)
	}
}

func TestAnEmptyTableFindsNothing(t *testing.T) {
	if _, ok := New[int](nil).Find("", "h", "/"); ok {
		t.Error("found a value in an empty table")
	}
}

// TestFindAgreesWithTryingEveryRule compares the maps with the rule's own
// words, over few hosts and segments so that they often meet.
func TestFindAgreesWithTryingEveryRule(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	host := func() string { return []string{"a", "b", "a:1", "b:1", "[::1]", "[::1]:1"}[r.IntN(6)] }
	path := func() string {
		var b strings.Builder
		for range r.IntN(4) {
			b.WriteString("/" + []string{"x", "xy", "y"}[r.IntN(3)])
		}
		if b.Len() == 0 || r.IntN(2) == 0 {
			b.WriteByte('/')
		}
		return b.String()
	}
	for range 2000 {
		rules := make([]Rule[int], 1+r.IntN(6))
		for i := range rules {
			rules[i].Value = i
			for range r.IntN(3) {
				rules[i].Hosts = append(rules[i].Hosts, host())
			}
			for range r.IntN(3) {
				rules[i].Paths = append(rules[i].Paths, path())
			}
		}
		table := New(rules)
		for range 10 {
			h, p := host(), path()
			got, ok := table.Find("", h, p)
			if want, found := tryAll(rules, h, p); got != want || ok != found {
				t.Fatalf("%+v: Find(%q, %q) = %d, %v; want %d, %v", rules, h, p, got, ok, want, found)
			}
		}
	}
}

func tryAll(rules []Rule[int], host, path string) (value int, found bool) {
	best := 0
	for _, r := range rules {
		rank := hostRank(r.Hosts, host)
		paths := r.Paths
		if len(paths) == 0 {
			paths = []string{"/"}
		}
		for _, p := range paths {
			matches := p == path || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/")
			if score := rank + 10*len(p); matches && rank > 0 && score > best {
				best, value, found = score, r.Value, true
			}
		}
	}
	return value, found
}

func hostRank(hosts []string, host string) int {
	switch {
	case len(hosts) == 0:
		return 1
	case slices.Contains(hosts, host):
		return 1003
	case slices.Contains(hosts, strings.TrimSuffix(host, ":1")):
		return 1002
	default:
		return 0
	}
}

func manyRules() []Rule[int] {
	var all []Rule[int]
	for i := range 1000 {
		all = append(all, Rule[int]{Hosts: []string{fmt.Sprintf("h%d.example", i%10)}, Paths: []string{fmt.Sprintf("/live/%d/", i)}, Value: i})
	}
	return append(all, Rule[int]{Value: -1})
}

func TestFindDoesNotAllocate(t *testing.T) {
	table := New(manyRules())
	for _, host := range []string{"h7.example", "h7.example:8080", "unknown.example"} {
		if n := testing.AllocsPerRun(100, func() { table.Find("", host, "/live/507/a/b/index.m3u8") }); n != 0 {
			t.Errorf("Find with host %s allocates %v times", host, n)
		}
	}
}

func BenchmarkFindAmongAThousandRoutes(b *testing.B) {
	table := New(manyRules())
	for name, path := range map[string]string{
		"found":  "/live/507/a/b/index.m3u8",
		"deep":   "/live/507/" + strings.Repeat("x/", 8000),
		"absent": "/other/507/index.m3u8",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Find("", "h7.example:8080", path)
			}
		})
	}
}

func TestNamesAreThoseOfTheRulesThatHaveOne(t *testing.T) {
	if got, want := New(rules()).Names(), []string{"live", "port", "rest", "sport", "v6", "vod"}; !slices.Equal(got, want) {
		t.Errorf("names are %q, want %q", got, want)
	}
}

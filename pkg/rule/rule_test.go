package rule

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	vlc     = "VLC/3.0.20 LibVLC/3.0.20"
	germany = "192.0.2.7"
	france  = "198.51.100.7"
	nowhere = "10.0.0.7"
)

func countryOf(a netip.Addr) string {
	return map[string]string{germany: "DE", france: "FR", "2001:db8::7": "DE"}[a.String()]
}

func networks(all ...string) (in []netip.Prefix) {
	for _, one := range all {
		in = append(in, netip.MustParsePrefix(one))
	}
	return in
}

func TestTheFirstRuleThatFitsDecides(t *testing.T) {
	all := []Rule{
		{Action: Allow, Networks: networks("10.0.0.0/8", "2001:db8:1::/48")},
		{Action: Deny, UserAgents: []string{"curl", "Wget/", ""}},
		{Action: Pass, Networks: networks("192.0.2.0/25"), UserAgents: []string{"vlc"}, Countries: []string{"DE", "AT"}},
		{Action: Deny, Countries: []string{"FR"}},
		{Action: Pass, Networks: networks("203.0.113.0/24")},
		{Action: Deny, Networks: networks("2001:db8::/32")},
	}
	for _, test := range []struct {
		name, addr, userAgent string
		want                  Action
		rule                  int
	}{
		{"a network", nowhere, vlc, Allow, 0},
		{"a network comes before the User-Agent", nowhere, "curl/8.5", Allow, 0},
		{"a User-Agent", germany, "curl/8.5", Deny, 1},
		{"a part of it in another case", germany, "Mozilla/5.0 CURL", Deny, 1},
		{"its part with other characters", germany, "GNU wget/1.21", Deny, 1},
		{"none", germany, "", Deny, 1},
		{"all three lists", germany, vlc, Pass, 2},
		{"two of three: the country is another's", "192.0.2.8", vlc, Pass, -1},
		{"two of three: the User-Agent is another", germany, "mpv", Pass, -1},
		{"a country", france, vlc, Deny, 3},
		{"a later network", "203.0.113.9", "mpv", Pass, 4},
		{"an IPv6 address", "2001:db8::7", "mpv", Deny, 5},
		{"an IPv6 address of the first", "2001:db8:1::7", "mpv", Allow, 0},
		{"nothing fits", "203.0.112.9", "mpv", Pass, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, i := New(all, countryOf).Decide(netip.MustParseAddr(test.addr), test.userAgent)
			if got != test.want || i != test.rule {
				t.Errorf("got %v by rule %d, want %v by %d", got, i, test.want, test.rule)
			}
		})
	}
}

func TestARuleWithoutConditionsFitsEveryRequest(t *testing.T) {
	for _, addr := range []string{germany, nowhere, "2001:db8::7"} {
		if got, i := New([]Rule{{}}, nil).Decide(netip.MustParseAddr(addr), ""); got != Deny || i != 0 {
			t.Errorf("%s: got %v by rule %d", addr, got, i)
		}
	}
}

func TestAnAddressWithoutACountryIsInNone(t *testing.T) {
	for name, l := range map[string]*List{
		"not known":    New([]Rule{{Action: Deny, Countries: []string{"", "DE"}}}, countryOf),
		"no countries": New([]Rule{{Action: Deny, Countries: []string{"DE"}}}, nil),
	} {
		if got, i := l.Decide(netip.MustParseAddr(nowhere), vlc); got != Pass || i != -1 {
			t.Errorf("%s: got %v by rule %d", name, got, i)
		}
	}
}

func TestWithoutRulesEveryRequestPasses(t *testing.T) {
	var none *List
	for _, l := range []*List{none, New(nil, nil)} {
		if got, i := l.Decide(netip.MustParseAddr(nowhere), vlc); got != Pass || i != -1 {
			t.Errorf("got %v by rule %d", got, i)
		}
	}
}

// TestDecideIsWhatTheListsSay compares with rules read one by one.
func TestDecideIsWhatTheListsSay(t *testing.T) {
	addresses := rapid.SampledFrom([]string{germany, france, nowhere, "2001:db8::7", "192.0.2.130"})
	nets := rapid.SliceOfN(rapid.SampledFrom([]string{"192.0.2.0/24", "192.0.2.128/25", "0.0.0.0/0", "::/0", "2001:db8::/64", "10.0.0.7/32"}), 0, 2)
	agents := rapid.SliceOfN(rapid.SampledFrom([]string{"vlc", "LIB", "mpv", "", "/3.0"}), 0, 2)
	countries := rapid.SliceOfN(rapid.SampledFrom([]string{"DE", "FR", "AT"}), 0, 2)
	rapid.Check(t, func(t *rapid.T) {
		var all []Rule
		for range rapid.IntRange(0, 4).Draw(t, "rules") {
			all = append(all, Rule{
				Action: Action(rapid.IntRange(0, 2).Draw(t, "action")), Networks: networks(nets.Draw(t, "networks")...),
				UserAgents: agents.Draw(t, "user agents"), Countries: countries.Draw(t, "countries"),
			})
		}
		addr := netip.MustParseAddr(addresses.Draw(t, "address"))
		ua := rapid.SampledFrom([]string{vlc, "MPV 0.38", "", strings.Repeat("x", usual) + "vlc"}).Draw(t, "user agent")
		want, which := Pass, -1
		for i, r := range all {
			if fits(r, addr, ua) {
				want, which = r.Action, i
				break
			}
		}
		if got, i := New(all, countryOf).Decide(addr, ua); got != want || i != which {
			t.Fatalf("got %v by rule %d, want %v by %d", got, i, want, which)
		}
	})
}

// fits reads one rule as its documentation says.
func fits(r Rule, addr netip.Addr, ua string) bool {
	in, named, at := len(r.Networks) == 0, len(r.UserAgents) == 0, len(r.Countries) == 0
	for _, n := range r.Networks {
		in = in || n.Contains(addr)
	}
	for _, part := range r.UserAgents {
		named = named || part == "" && ua == "" || part != "" && strings.Contains(strings.ToLower(ua), strings.ToLower(part))
	}
	for _, c := range r.Countries {
		at = at || c == countryOf(addr)
	}
	return in && named && at
}

// many are rules of a size that operators have, none of which fits.
func many() *List {
	var all []Rule
	for i := range 20 {
		r := Rule{Countries: []string{"FR", "AT"}, UserAgents: []string{"curl", "wget", "bot"}}
		for j := range 50 {
			r.Networks = append(r.Networks, netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(i), byte(j), 0}), 24))
		}
		all = append(all, r, Rule{UserAgents: []string{"python", "java/"}}, Rule{Countries: []string{"FR"}})
	}
	return New(all, func(netip.Addr) string { return "DE" })
}

func TestDecidingAllocatesNothing(t *testing.T) {
	l, addr := many(), netip.MustParseAddr(germany)
	if n := testing.AllocsPerRun(100, func() { l.Decide(addr, vlc) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	l, addr := many(), netip.MustParseAddr(germany)
	b.ReportAllocs()
	for b.Loop() {
		l.Decide(addr, vlc)
	}
}

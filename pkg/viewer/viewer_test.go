package viewer

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestCallersMayAsk(t *testing.T) {
	tests := []struct {
		name     string
		prefixes []string
		peer     string
		may      bool
	}{
		{"loopback by default", nil, "127.0.0.1", true},
		{"all of loopback by default", nil, "127.9.9.9", true},
		{"IPv6 loopback by default", nil, "::1", true},
		{"mapped loopback by default", nil, "::ffff:127.0.0.1", true},
		{"nobody else by default", nil, "10.0.0.1", false},
		{"nobody else over IPv6 by default", nil, "::2", false},
		{"within a prefix", []string{"192.0.2.0/24", "10.0.0.0/8"}, "10.1.2.3", true},
		{"outside of all prefixes", []string{"192.0.2.0/24", "10.0.0.0/8"}, "11.0.0.1", false},
		{"loopback is not let in beside others", []string{"10.0.0.0/8"}, "127.0.0.1", false},
		{"mapped peer in an IPv4 prefix", []string{"10.0.0.0/8"}, "::ffff:10.0.0.1", true},
		{"mapped prefix", []string{"::ffff:10.0.0.0/104"}, "10.0.0.1", true},
		{"all of a mapped prefix", []string{"::ffff:10.0.0.0/104"}, "10.9.9.9", true},
		{"a prefix that is wider than the mapped ones", []string{"::ffff:0:0/90"}, "::ffc1:0:1", true},
		{"and holds no IPv4", []string{"::ffff:0:0/90"}, "10.0.0.1", false},
		{"outside of a mapped prefix", []string{"::ffff:10.0.0.0/104"}, "11.0.0.1", false},
		{"a prefix with host bits", []string{"10.1.2.3/8"}, "10.9.9.9", true},
		{"all of IPv6 holds no IPv4", []string{"::/0"}, "10.0.0.1", false},
		{"all of IPv6", []string{"::/0"}, "2001:db8::1", true},
		{"a zone does not matter", []string{"fe80::/10"}, "fe80::1%eth0", true},
		{"an invalid prefix holds nobody", []string{""}, "127.0.0.1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var prefixes []netip.Prefix
			for _, p := range tt.prefixes {
				prefix, _ := netip.ParsePrefix(p) // "" gives the invalid one
				prefixes = append(prefixes, prefix)
			}
			peer := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(tt.peer), 1234))
			if got := NewCallers(prefixes).May(peer); got != tt.may {
				t.Errorf("May(%v) = %v, want %v", peer, got, tt.may)
			}
		})
	}
}

func TestAnyPeerOfAUnixSocketMayAsk(t *testing.T) {
	if !NewCallers([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}).May(&net.UnixAddr{Net: "unix"}) {
		t.Error("a Unix peer may not ask")
	}
}

func TestPeersWithoutAnAddressMayNotAsk(t *testing.T) {
	all := NewCallers([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")})
	for _, peer := range []net.Addr{nil, (*net.TCPAddr)(nil), &net.TCPAddr{}, &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}} {
		if all.May(peer) {
			t.Errorf("%#v may ask", peer)
		}
	}
	if new(Callers).May(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}) {
		t.Error("the zero Callers let a peer ask")
	}
}

func TestCallersKeepTheirOwnPrefixes(t *testing.T) {
	prefixes := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	callers := NewCallers(prefixes)
	prefixes[0] = netip.MustParsePrefix("0.0.0.0/0")
	if callers.May(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}) {
		t.Error("a later change of the list let a peer ask")
	}
}

func TestAddressReadsOneAddress(t *testing.T) {
	for raw, want := range map[string]string{
		"192.0.2.1":               "192.0.2.1",
		"2001:DB8::1":             "2001:db8::1",
		"::ffff:192.0.2.1":        "192.0.2.1",
		"::FFFF:c000:0201":        "192.0.2.1",
		"::1":                     "::1",
		"0:0:0:0:0:0:0:1":         "::1",
		"2001:db8:0:0:0:0:0:ffff": "2001:db8::ffff",
	} {
		if got, err := Address(raw); err != nil || got != netip.MustParseAddr(want) {
			t.Errorf("Address(%q) = %v, %v; want %s", raw, got, err, want)
		}
	}
}

func TestAddressRefusesEverythingElse(t *testing.T) {
	for _, raw := range []string{
		"", " ", "-", "unix:", "example.com", "192.0.2.1 ", " 192.0.2.1", "192.0.2.1,192.0.2.2", "192.0.2.1, 10.0.0.1",
		"192.0.2.1:80", "[2001:db8::1]", "[2001:db8::1]:80", "192.0.2.1/32", "192.0.2", "192.0.2.256", "192.0.02.1", "3221225985",
		"fe80::1%eth0", "::ffff:192.0.2.1%1", "fe80::1%", "2001:db8::1::", "192.0.2.1\x00",
	} {
		if got, err := Address(raw); !errors.Is(err, ErrAddress) || got.IsValid() {
			t.Errorf("Address(%q) = %v, %v; want an error", raw, got, err)
		}
	}
}

// FuzzForwarded holds the reading of a list against a plain one: split it, walk from
// the right, and take the first that is not trusted.
func FuzzForwarded(f *testing.F) {
	f.Add("203.0.113.9, 192.0.2.1")
	f.Add("192.0.2.1,, fe80::1%e,::ffff:192.0.2.1")
	f.Add("")
	f.Add("192.0.2.1,192.0.2.2 ,\t192.0.2.1")
	f.Fuzz(func(t *testing.T, list string) {
		trusted := func(addr netip.Addr) bool { return addr.Is4() && addr.As4()[3]%2 == 1 }
		got, err := Forwarded(list, trusted)
		parts := strings.Split(list, ",")
		var want netip.Addr
		for i := len(parts) - 1; i >= 0; i-- {
			addr, err := netip.ParseAddr(strings.Trim(parts[i], " \t"))
			if err != nil || addr.Zone() != "" {
				break
			}
			if addr = addr.Unmap(); !trusted(addr) {
				want = addr
				break
			}
		}
		if got != want || (err == nil) != want.IsValid() {
			t.Errorf("%q: %v, %v; want %v", list, got, err, want)
		}
		if got.Is4In6() || got.Zone() != "" || got.IsValid() && trusted(got) {
			t.Errorf("%q gave %v", list, got)
		}
	})
}

package rig

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// Countries writes an MMDB file in which networks have the country codes given, as
// GeoLite2 has them, and gives its path.
func Countries(t testing.TB, codes map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "countries.mmdb")
	record := func(code string) []byte {
		return mapping(text("country"), mapping(text("geoname_id"), number(1), text("iso_code"), text(code)))
	}
	if err := os.WriteFile(path, MMDB(codes, record), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// MMDB makes a file of the MaxMind DB format (version 2.0, IPv6, records of 24 bits)
// in which each network has the record that its value gives. Networks must not
// overlap.
func MMDB(values map[string]string, record func(value string) []byte) []byte {
	tree := [][2]int{{}} // a node's branches: 0 is none, -n the n-th byte of data, from 1
	var data []byte
	for in, value := range values {
		p := netip.MustParsePrefix(in)
		bits := p.Bits()
		if p.Addr().Is4() {
			bits += 96
		}
		leaf := -len(data) - 1
		data = append(data, record(value)...)
		addr := p.Addr().As16()
		if p.Addr().Is4() {
			addr = [16]byte{12: addr[12], 13: addr[13], 14: addr[14], 15: addr[15]}
		}
		node := 0
		for i := range bits {
			branch := int(addr[i/8]>>(7-i%8)) & 1
			switch {
			case i == bits-1:
				tree[node][branch] = leaf
			case tree[node][branch] == 0:
				tree = append(tree, [2]int{})
				tree[node][branch] = len(tree) - 1
				fallthrough
			default:
				node = tree[node][branch]
			}
		}
	}
	var file []byte
	for _, node := range tree {
		for _, branch := range node {
			switch {
			case branch == 0:
				branch = len(tree)
			case branch < 0:
				branch = len(tree) + 16 - branch - 1
			}
			file = append(file, byte(branch>>16), byte(branch>>8), byte(branch)) //nolint:gosec // Files of tests are small.
		}
	}
	file = append(append(file, make([]byte, 16)...), data...)
	return append(append(file, "\xab\xcd\xefMaxMind.com"...), mapping(
		text("binary_format_major_version"), number(2), text("binary_format_minor_version"), number(0),
		text("build_epoch"), []byte{0x04, 0x02, 0x65, 0, 0, 0}, text("database_type"), text("Test-Country"),
		text("description"), mapping(text("en"), text("for tests")), text("ip_version"), number(6),
		text("languages"), []byte{0x01, 0x04, 0x42, 'e', 'n'}, text("node_count"), number(len(tree)), text("record_size"), number(24),
	)...)
}

func mapping(keysAndValues ...[]byte) []byte {
	all := []byte{7<<5 | byte(len(keysAndValues)/2)} //nolint:gosec // A few.
	for _, one := range keysAndValues {
		all = append(all, one...)
	}
	return all
}

func text(s string) []byte {
	return append([]byte{2<<5 | byte(len(s))}, s...) //nolint:gosec // Less than 29.
}

// number is an unsigned integer of 32 bits.
func number(n int) []byte {
	return []byte{6<<5 | 4, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} //nolint:gosec // Byte by byte.
}

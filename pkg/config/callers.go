package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// readNetworks reads a list of addresses and CIDRs.
func readNetworks(v value, example string) []netip.Prefix {
	var networks []netip.Prefix
	for _, item := range v.list(example) {
		text, ok := item.text()
		if !ok {
			continue
		}
		prefix, err := ParseCaller(text)
		if err != nil {
			item.wrong("%v", err)
			continue
		}
		networks = append(networks, prefix)
	}
	return networks
}

// ParseCaller reads one address, or one network as a CIDR, whose peers may
// ask. A network with bits set after its prefix is refused, for it is not
// clear how much was meant.
func ParseCaller(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, notCaller(text)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, notCaller(text)
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%s is a network of IPv4-mapped addresses: write the IPv4 network", quote(text))
	}
	if masked := prefix.Masked(); masked != prefix {
		return netip.Prefix{}, fmt.Errorf("%s is an address within a network: write %s for the network, %s for the address",
			quote(text), masked, prefix.Addr())
	}
	return prefix, nil
}

func notCaller(text string) error {
	return fmt.Errorf("%s is neither an address nor a CIDR: write 10.0.0.5, 10.0.0.0/8 or fd00::/8", quote(text))
}

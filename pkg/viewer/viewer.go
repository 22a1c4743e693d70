// Package viewer knows who may ask altagate, and reads the viewer's address
// that a proxy vouches for.
package viewer

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Callers are the proxies that may ask. The zero value lets nobody ask over
// TCP. Callers never change and are safe for concurrent use.
type Callers struct {
	prefixes []netip.Prefix
}

// NewCallers makes the callers whose address is in one of the prefixes.
// Without any prefix they are those on loopback. A prefix of IPv4-mapped IPv6
// addresses is the IPv4 prefix it stands for; "::/0" holds no IPv4 address.
func NewCallers(prefixes []netip.Prefix) *Callers {
	if len(prefixes) == 0 {
		return &Callers{prefixes: []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8),
			netip.PrefixFrom(netip.IPv6Loopback(), 128),
		}}
	}
	own := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		own = append(own, unmap(p))
	}
	return &Callers{prefixes: own}
}

const mappedBits = 96 // the length of ::ffff:0:0/96

func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= mappedBits {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
	}
	return p
}

// May says whether the peer of a connection may ask. Whoever can open a Unix
// socket may: its file mode decides. An IPv4-mapped peer is compared as IPv4,
// and one with a zone without it.
func (c *Callers) May(peer net.Addr) bool {
	switch peer := peer.(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		return c.has(peer.AddrPort().Addr().Unmap().WithZone(""))
	default:
		return false
	}
}

func (c *Callers) has(addr netip.Addr) bool {
	for _, p := range c.prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// ErrAddress is wrapped by the errors of Address.
var ErrAddress = errors.New("not a viewer's address")

// Address reads exactly one IP address, without a port, brackets or spaces. An
// IPv4-mapped IPv6 address is its IPv4 address; one with a zone is an error,
// because a zone has a meaning only on the proxy's own machine.
func Address(raw string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(raw)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: not one IP address", ErrAddress)
	}
	if addr.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%w: IPv6 address with a zone", ErrAddress)
	}
	return addr.Unmap(), nil
}

// Forwarded reads the viewer's address from a list of them, each of which was
// added by the proxy that had a request from it: the right-most that is not
// trusted. An address that is met on the way and does not parse is an error, and
// so is a list that is trusted as a whole: nothing in it can be the viewer.
func Forwarded(list string, trusted func(netip.Addr) bool) (netip.Addr, error) {
	for {
		at := strings.LastIndexByte(list, ',')
		addr, err := Address(strings.Trim(list[at+1:], " \t"))
		if err != nil || !trusted(addr) {
			return addr, err
		}
		if at < 0 {
			return netip.Addr{}, fmt.Errorf("%w: every address of the list is in trusted", ErrAddress)
		}
		list = list[:at]
	}
}

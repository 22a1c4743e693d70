package session

import (
	"hash/maphash"
	"net/netip"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
)

// viewer is who watches: address and User-Agent.
type viewer struct {
	addr network
	// userAgent is empty where the route joins by the address alone.
	userAgent string
}

func viewerOf(rules *Rules, r *check.Request) viewer {
	v := viewer{addr: share(r.Addr), userAgent: r.UserAgent}
	if rules.Join.Address {
		v.userAgent = ""
	}
	return v
}

// network is the part of the address space that counts as one viewer's: an address, or
// an IPv6 address's /64. The zero network is that of no address.
type network struct {
	addr [16]byte
	bits uint8
}

// share is the network of an address.
func share(a netip.Addr) network {
	n := network{a.As16(), uint8(a.BitLen())} //nolint:gosec // 128 at the most
	if a.Is6() {
		clear(n.addr[8:])
		n.bits = 64
	}
	return n
}

// prefix is the network as others know it.
func (n network) prefix() netip.Prefix {
	switch n.bits {
	case 0:
		return netip.Prefix{}
	case 32:
		return netip.PrefixFrom(netip.AddrFrom16(n.addr).Unmap(), 32)
	default:
		return netip.PrefixFrom(netip.AddrFrom16(n.addr), 64)
	}
}

func networkOf(p netip.Prefix) network { return share(p.Addr()) }

func (n network) hash(seed maphash.Seed) uint64 { return maphash.Comparable(seed, n) }

// place is one viewer on one stream. Sessions in the same place differ in the
// query that the backend allowed.
type place struct {
	route, scheme, host string
	stream              stream.Name
	viewer              viewer
}

func placeOf(rules *Rules, r *check.Request, name stream.Name) place {
	return place{route: rules.Route, scheme: r.Scheme, host: r.Host, stream: name, viewer: viewerOf(rules, r)}
}

func (p *place) hash(seed maphash.Seed) uint64 { return maphash.Comparable(seed, *p) }

// exact is a place and the allowed query of the one session there that has it.
type exact struct {
	place place
	query string
}

func (e *exact) hash(seed maphash.Seed) uint64 { return maphash.Comparable(seed, *e) }

func (n *session) address() netip.Addr {
	switch n.addrBits {
	case 0:
		return netip.Addr{}
	case 32:
		return netip.AddrFrom4([4]byte(n.addr[12:]))
	default:
		return netip.AddrFrom16(n.addr)
	}
}

func (n *session) network() network { return share(n.address()) }

func (s *Store) viewer(n *session) viewer {
	v := viewer{addr: n.network(), userAgent: s.agent(n)}
	if n.byAddress {
		v.userAgent = ""
	}
	return v
}

func (s *Store) place(n *session) place {
	at := s.scene(n)
	return place{route: at.route, scheme: at.scheme, host: at.host, stream: at.stream, viewer: s.viewer(n)}
}

func (s *Store) isAt(n *session, p *place) bool {
	at := s.scene(n)
	return at.stream == p.stream && s.isOf(n, p)
}

// isOf tells whether a session is of a place's viewer, route and host.
func (s *Store) isOf(n *session, p *place) bool {
	at := s.scene(n)
	return at.host == p.host && at.scheme == p.scheme && at.route == p.route && s.viewer(n) == p.viewer
}

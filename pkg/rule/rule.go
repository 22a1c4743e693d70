// Package rule decides by what is known of a viewer without asking anybody: the
// address, the User-Agent and the country. It runs for each request, those of a
// session too.
package rule

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// Action is what a rule makes of a request. The zero value is Deny.
type Action uint8

// The actions.
const (
	Deny Action = iota
	Allow
	// Pass leaves the request to what comes after the rules.
	Pass
)

// Rule says what is made of the requests that fit it. Each of the three lists that
// is not empty must have what the request has; a rule with none fits every request.
type Rule struct {
	Action Action
	// Networks are masked, and not IPv4-mapped.
	Networks []netip.Prefix
	// UserAgents are parts of a User-Agent, without regard to the case of ASCII
	// letters. "" is a request that has none, and fits no other.
	UserAgents []string
	// Countries are ISO 3166-1 alpha-2 codes in upper case. An address whose country
	// is not known is in none of them.
	Countries []string
}

// List is rules in their order. It is not changed after it was made, and so is safe
// for concurrent use. A nil List passes every request.
type List struct {
	rules   []compiled
	country func(netip.Addr) string
	// named is set if any rule has User-Agents.
	named bool
}

type compiled struct {
	action Action
	// networks is nil where the rule has none.
	networks *bart.Lite
	// named is set where the rule has User-Agents.
	named      bool
	userAgents [][]byte // in lower case
	// nameless is set where a request without a User-Agent fits.
	nameless  bool
	countries []string
}

// New makes a List. country gives the code of an address's country, or "" where it is
// not known; it may be nil if no rule has countries.
func New(rules []Rule, country func(netip.Addr) string) *List {
	l := &List{country: country}
	for _, r := range rules {
		c := compiled{action: r.Action, named: len(r.UserAgents) > 0, countries: slices.Clone(r.Countries)}
		l.named = l.named || c.named
		if len(r.Networks) > 0 {
			c.networks = new(bart.Lite)
		}
		for _, n := range r.Networks {
			c.networks.Insert(n)
		}
		for _, ua := range r.UserAgents {
			if ua == "" {
				c.nameless = true
				continue
			}
			c.userAgents = append(c.userAgents, lower(nil, ua))
		}
		l.rules = append(l.rules, c)
	}
	return l
}

// usual is the length in bytes of a User-Agent up to which Decide allocates nothing.
const usual = 512

// Decide gives the action of the first rule that fits, and which it is, from 0; Pass
// and -1 if none does.
func (l *List) Decide(addr netip.Addr, userAgent string) (Action, int) {
	if l == nil {
		return Pass, -1
	}
	var buffer [usual]byte
	var lowered []byte
	if l.named {
		lowered = lower(buffer[:0], userAgent)
	}
	country, located := "", false
	for i := range l.rules {
		c := &l.rules[i]
		if c.networks != nil && !c.networks.Contains(addr) || c.named && !c.names(lowered) {
			continue
		}
		if len(c.countries) > 0 && !located {
			country, located = l.locate(addr), true
		}
		if len(c.countries) == 0 || country != "" && slices.Contains(c.countries, country) {
			return c.action, i
		}
	}
	return Pass, -1
}

// names tells whether a User-Agent, in lower case, is one of the rule's.
func (c *compiled) names(userAgent []byte) bool {
	if len(userAgent) == 0 {
		return c.nameless
	}
	for _, part := range c.userAgents {
		if bytes.Contains(userAgent, part) {
			return true
		}
	}
	return false
}

func (l *List) locate(addr netip.Addr) string {
	if l.country == nil {
		return ""
	}
	return l.country(addr)
}

// lower appends s with its ASCII letters in lower case. Other bytes stay as they are.
func lower(to []byte, s string) []byte {
	for i := range len(s) {
		b := s[i]
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		to = append(to, b)
	}
	return to
}

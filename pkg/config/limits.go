package config

import (
	"fmt"
	"net/netip"
)

// The defaults of limits. Nobody's household comes near them.
const (
	DefaultQuestions  = 256
	DefaultQueue      = 256
	DefaultPerAddress = 32
	DefaultRate       = 20
)

// The bounds on limits.
const (
	maxQuestions = 10_000
	maxRate      = 1_000_000
	maxTimes     = 100_000
	// maxAddressLimits bounds the networks: each question looks at them.
	maxAddressLimits = 100
)

const exampleAddresses = "addresses: [{in: 203.0.113.0/24, times: 20}]"

// Limits bound the questions that a backend is asked, so that no flood takes it
// down. What is above them is turned away.
type Limits struct {
	// Questions is how many there are at once, 1 to 10,000. Default 256.
	Questions int
	// Queue is how many more wait for their turn, 0 to 10,000. Default 256.
	Queue int
	// PerAddress is how many one address has at once, those that wait included; 1
	// to Questions. Default 32, or Questions if that is less. An IPv6 address stands
	// for its /64.
	PerAddress int
	// Rate is how many one address begins in a second, and ten times as many at once
	// after a quiet while; 1 to 1,000,000. Default 20.
	Rate int
	// Addresses are the networks whose addresses have more, different ones; nil if
	// there are none. The longest prefix counts.
	Addresses []AddressLimit
}

// AddressLimit multiplies PerAddress and Rate for each address of a network.
type AddressLimit struct {
	// In is masked, not IPv4-mapped, and of IPv6 a /64 at the longest.
	In netip.Prefix
	// Times is 1 to 100,000.
	Times int
}

// DefaultLimits are the limits of a backend that has none of its own.
func DefaultLimits() Limits {
	return Limits{Questions: DefaultQuestions, Queue: DefaultQueue, PerAddress: DefaultPerAddress, Rate: DefaultRate}
}

func readLimits(v value) Limits {
	l := DefaultLimits()
	keys := v.section("limits: {questions: 256}", "questions", "queue", "per_address", "rate", "addresses")
	keys["questions"].numberFrom(1, maxQuestions, &l.Questions)
	keys["queue"].numberFrom(0, maxQuestions, &l.Queue)
	l.PerAddress = min(l.PerAddress, l.Questions)
	if keys["per_address"].numberFrom(1, maxQuestions, &l.PerAddress) && l.PerAddress > l.Questions {
		keys["per_address"].wrong("is more than questions, which is %d: write at most as many", l.Questions)
	}
	keys["rate"].numberFrom(1, maxRate, &l.Rate)
	l.Addresses = readAddressLimits(keys["addresses"])
	return l
}

// numberFrom reads a number between two. It is false if there is none or it is wrong;
// into keeps what it has then.
func (v value) numberFrom(least, most int, into *int) bool {
	n, ok := v.number()
	if !ok {
		return false
	}
	if n < least || n > most {
		v.wrong("must be from %d to %d", least, most)
		return false
	}
	*into = n
	return true
}

func readAddressLimits(v value) []AddressLimit {
	items := v.list(exampleAddresses)
	if len(items) > maxAddressLimits {
		v.wrong("has %d networks, and %d is the most: write wider ones", len(items), maxAddressLimits)
		return nil
	}
	var all []AddressLimit
	lines := map[netip.Prefix]int{}
	for _, item := range items {
		keys := item.section("{in: 203.0.113.0/24, times: 20}", "in", "times")
		item.need(keys, "in", "has no network: write in: 203.0.113.0/24")
		item.need(keys, "times", "does not say by how much its addresses have more: write times: 20")
		in, ok := readNetwork(keys["in"])
		times := 1
		if !keys["times"].numberFrom(1, maxTimes, &times) || !ok {
			continue
		}
		if line, twice := lines[in]; twice {
			keys["in"].wrong("%s is in the list twice, first at line %d", in, line)
			continue
		}
		lines[in] = item.node.Line
		all = append(all, AddressLimit{In: in, Times: times})
	}
	return all
}

// readNetwork reads an address or a network whose addresses are bounded.
func readNetwork(v value) (netip.Prefix, bool) {
	text, ok := v.text()
	if !ok {
		return netip.Prefix{}, false
	}
	in, err := ParseCaller(text)
	if err == nil && in.Addr().Is6() && in.Bits() > 64 {
		err = fmt.Errorf("%s is less than an IPv6 /64, which counts as one address: write %s",
			quote(text), netip.PrefixFrom(in.Addr(), 64).Masked())
	}
	if err != nil {
		v.wrong("%v", err)
		return netip.Prefix{}, false
	}
	return in, true
}

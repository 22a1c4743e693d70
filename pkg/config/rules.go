package config

import (
	"errors"
	"net/netip"
	"strings"
)

// The bounds on rules.
const (
	maxRules      = 100
	maxNetworks   = 100_000
	maxUserAgents = 100
	maxUserAgent  = 256
)

const exampleRules = "rules: [{action: deny, addresses: [192.0.2.0/24]}]"

// Rule decides about the requests that fit it, before sessions and backends. Each of
// the lists that is not nil must have what the request has; without any it fits
// every request.
type Rule struct {
	Action RuleAction
	// Addresses are masked, and none is IPv4-mapped.
	Addresses []netip.Prefix
	// UserAgents are parts of a User-Agent, without regard to case; "" is a request
	// without one.
	UserAgents []string
	// Countries are ISO 3166-1 alpha-2 codes. There are some only where there is a
	// Config.CountryFile.
	Countries []string
}

// RuleAction is what a rule makes of a request. What is neither Allow nor Pass denies.
type RuleAction string

// The values of action.
const (
	RuleAllow RuleAction = "allow"
	RuleDeny  RuleAction = "deny"
	// RulePass leaves the request to what comes after the rules.
	RulePass RuleAction = "pass"
)

// readRules reads the rules of a route. located is set where the file names a file of
// countries.
func readRules(v value, located bool) []Rule {
	items := v.list(exampleRules)
	if len(items) > maxRules {
		v.wrong("has %d rules, and %d is the most: put several addresses into one", len(items), maxRules)
		return nil
	}
	var rules []Rule
	all := 0 // the line of the rule that fits every request
	for _, item := range items {
		if all != 0 {
			item.wrong("no request comes to this rule: that at line %d has no conditions, and so fits all", all)
			break
		}
		keys := item.section("{action: deny, addresses: [192.0.2.0/24]}", "action", "addresses", "user_agents", "countries")
		item.need(keys, "action", "has no action: write action: allow, deny or pass")
		r := Rule{Action: RuleDeny}
		if action, ok := keys["action"].oneOf(string(RuleAllow), string(RuleDeny), string(RulePass)); ok {
			r.Action = RuleAction(action)
		}
		r.Addresses = readAddresses(keys["addresses"])
		r.UserAgents = readUserAgents(keys["user_agents"])
		r.Countries = readCountries(keys["countries"], located)
		if item.isMapping() && !keys["addresses"].present() && !keys["user_agents"].present() && !keys["countries"].present() {
			all = item.behindAlias().node.Line
		}
		rules = append(rules, r)
	}
	return rules
}

func readAddresses(v value) []netip.Prefix {
	all := readNetworks(v, "addresses: [192.0.2.0/24]")
	if len(all) > maxNetworks {
		v.wrong("has %d networks, and %d is the most: write wider ones", len(all), maxNetworks)
	}
	return all
}

func readUserAgents(v value) []string {
	items := v.list("user_agents: [curl]")
	if len(items) > maxUserAgents {
		v.wrong("has %d parts of a User-Agent, and %d is the most: write shorter ones that fit more", len(items), maxUserAgents)
		return nil
	}
	var all []string
	for _, item := range items {
		text, ok := item.text()
		if !ok {
			continue
		}
		if err := checkUserAgent(text); err != nil {
			item.wrong("%v", err)
			continue
		}
		all = append(all, text)
	}
	return all
}

func checkUserAgent(text string) error {
	switch {
	case len(text) > maxUserAgent:
		return errors.New("is longer than 256 bytes: a part that tells it from others is enough")
	case strings.ContainsFunc(text, isControl):
		return errors.New("has a control character, which no User-Agent has")
	case strings.HasPrefix(text, "^"), strings.HasSuffix(text, "$"), strings.Contains(text, ".*"), strings.HasPrefix(text, "*"), strings.HasSuffix(text, "*"):
		return errors.New("is compared as it is, as a part of the User-Agent: write the part, without * or a regular expression")
	}
	return nil
}

func readCountries(v value, located bool) []string {
	items := v.list("countries: [DE, FR]")
	if v.present() && !located {
		v.wrong("needs a file that says where addresses are: write country_file: /var/lib/GeoIP/GeoLite2-Country.mmdb at the top of the file")
		return nil
	}
	var all []string
	for _, item := range items {
		text, ok := item.text()
		if !ok {
			continue
		}
		if len(text) != 2 || strings.ContainsFunc(text, func(r rune) bool { return r < 'A' || r > 'Z' }) {
			item.wrong("%s is no country: write its ISO 3166 code in two capital letters, as in DE", quote(text))
			continue
		}
		all = append(all, text)
	}
	return all
}

// readCountryFile reads the path of the file that says where addresses are.
func readCountryFile(v value) string {
	path, ok := v.text()
	if !ok {
		return ""
	}
	err := checkFile(path)
	if path == "" {
		err = errors.New("is empty: write the path of an MMDB file, or leave the key out")
	}
	if err != nil {
		v.wrong("%v", err)
	}
	return path
}

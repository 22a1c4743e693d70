package gate

import (
	"fmt"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/country"
	"github.com/altagate/altagate/pkg/rule"
)

// Rules come before sessions, so that one which a reload brings holds at once, and
// against those who watch: they run for each request, start no session and end none.

// ruled is a route's rules, and the decision that each of them makes. The zero value
// decides nothing.
type ruled struct {
	list      *rule.List
	decisions []check.Decision
}

// buildRules makes the rules of a route. countries is nil where there is no file of
// them.
func buildRules(rules []config.Rule, countries *country.File) ruled {
	if len(rules) == 0 {
		return ruled{}
	}
	var all ruled
	compiled := make([]rule.Rule, 0, len(rules))
	for i, r := range rules {
		compiled = append(compiled, rule.Rule{Action: actionOf(r.Action), Networks: r.Addresses, UserAgents: r.UserAgents, Countries: r.Countries})
		all.decisions = append(all.decisions, check.Decision{
			Allow: r.Action == config.RuleAllow, Reason: check.Rule, Rule: fmt.Sprintf("rules[%d]", i),
		})
	}
	if countries == nil {
		all.list = rule.New(compiled, nil)
		return all
	}
	all.list = rule.New(compiled, countries.Of)
	return all
}

func actionOf(a config.RuleAction) rule.Action {
	switch a {
	case config.RuleAllow:
		return rule.Allow
	case config.RulePass:
		return rule.Pass
	default:
		return rule.Deny
	}
}

// decide gives the decision of the first rule that fits a request. It is false if
// none does, or one that passes it on.
func (l *ruled) decide(r *check.Request) (check.Decision, bool) {
	action, i := l.list.Decide(r.Addr, r.UserAgent)
	if action == rule.Pass {
		return check.Decision{}, false
	}
	return l.decisions[i], true
}

// loadCountries reads the file of countries that a config names; nil if it names none.
func loadCountries(cfg *config.Config) (*country.File, error) {
	if cfg.CountryFile == "" {
		return nil, nil //nolint:nilnil // A config without countries is no mistake.
	}
	return country.Open(cfg.CountryFile)
}

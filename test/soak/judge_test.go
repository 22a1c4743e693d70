package soak

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// wrong is a kind of wrong answer.
type wrong string

const (
	deniedViewer   wrong = "a paying viewer with a live session was denied"
	deniedGuest    wrong = "a paying viewer who was let in by default was denied later"
	deniedNewcomer wrong = "a paying newcomer was denied while the backend was well"
	allowedThief   wrong = "an attacker was allowed"
	openGate       wrong = "somebody was let in by default where the gate was to be closed"
	overstayed     wrong = "a viewer watched on after the backend had said no"
	lostCheck      wrong = "a check was lost"
	falseAway      wrong = "the backend was found away while it was there"
)

func wrongs() []wrong {
	return []wrong{deniedViewer, deniedGuest, deniedNewcomer, allowedThief, openGate, overstayed, lostCheck, falseAway}
}

// evidence is what is known after a round.
type evidence struct {
	answers []answer
	checks  map[request][]checked
	aways   []span
	phases  []phase
	// refusals are when the portal denied a token that it had taken back.
	refusals map[string][]time.Time
	timeout  time.Duration
	// slow are the times in which the machine was too busy for the portal itself.
	slow []span
}

// What is logged or answered at one moment may have been so a little earlier or later.
const slack = 500 * time.Millisecond

// verdict is what the oracle found.
type verdict struct {
	evidence
	wrong    map[wrong]int
	examples map[wrong][]string
	// seen counts by phase and by what was seen.
	seen map[fault]map[string]int
	// took has the times of viewers' answers.
	took map[string][]time.Duration
	// attacked counts attacks by kind, and excused what nobody is wrong about.
	attacked map[string]int
	excused  map[string]int
	noticed  map[string][]time.Duration
	// newcomers counts those who were let in, and unlucky holds those who were not,
	// although nothing stood between, for want of an answer in time.
	newcomers int
	unlucky   []string
	// guests are the viewings that a default began.
	guests map[*viewing]bool
}

func judge(e evidence) *verdict {
	v := &verdict{
		evidence: e, wrong: map[wrong]int{}, examples: map[wrong][]string{}, seen: map[fault]map[string]int{},
		took: map[string][]time.Duration{}, attacked: map[string]int{}, excused: map[string]int{},
		noticed: map[string][]time.Duration{}, guests: map[*viewing]bool{},
	}
	next := map[request]int{}
	for _, a := range e.answers {
		k := request{a.edge, a.addr, a.path}
		var c checked
		lines := e.checks[k]
		// A line with another status is of a request that had no answer.
		for c.status == 0 && a.status != 0 && next[k] < len(lines) {
			if lines[next[k]].status == a.status {
				c = lines[next[k]]
			}
			next[k]++
		}
		v.consider(a, c)
	}
	v.considerUnlucky()
	v.considerLogs()
	v.considerAways()
	return v
}

func (v *verdict) blame(kind wrong, format string, args ...any) {
	v.wrong[kind]++
	if len(v.examples[kind]) < 5 {
		v.examples[kind] = append(v.examples[kind], fmt.Sprintf(format, args...))
	}
}

// blameFor is blame for what a viewer met, with all that it met before and after.
func (v *verdict) blameFor(kind wrong, a answer, c checked) {
	history := ""
	if len(v.examples[kind]) == 0 {
		history = "\n" + v.history(a.viewing)
	}
	v.blame(kind, "%s%s", v.described(a, c), history)
}

// history tells what a viewer met in one viewing.
func (v *verdict) history(w *viewing) string {
	told := []string{fmt.Sprintf("  of a viewing of %s with X-AuthDuration %s, taken back at %s, denied by the portal at %s:",
		w.ticket.folder, w.ticket.valid, w.takenBack.Format(clock), v.refusals[w.ticket.token])}
	next := map[request]int{}
	for _, a := range v.answers {
		if a.viewing != w {
			continue
		}
		k := request{a.edge, a.addr, a.path}
		var line string
		if lines := v.checks[k]; next[k] < len(lines) {
			line = strings.TrimSpace(lines[next[k]].line)
			next[k]++
		}
		told = append(told, fmt.Sprintf("    %s, %s: status %d after %s: %s", a.start.Format(clock), v.phaseAt(a.start), a.status, a.took, line))
	}
	return strings.Join(told, "\n")
}

const clock = "15:04:05.000"

func (v *verdict) shown(kind wrong) string { return strings.Join(v.examples[kind], "\n") }

// consider judges one answer; c is its line in the proxy's log.
func (v *verdict) consider(a answer, c checked) {
	if a.status == 200 && c.status != 200 && a.path != "" {
		c.reason = "not in the log"
	}
	v.count(a, c)
	if a.status != 200 && v.stalled(a) {
		v.excused["not answered by a machine that stood still"]++
		return
	}
	if v.isLost(a, c) {
		v.blame(lostCheck, "%s", v.described(a, c))
	}
	if a.status == 200 && c.reason == "default" && (a.route != "allow" || !v.wasAway(a)) {
		v.blame(openGate, "%s", v.described(a, c))
	}
	if a.attack != "" {
		if a.status == 200 && c.reason != "default" {
			v.blame(allowedThief, "%s", v.described(a, c))
		}
		return
	}
	v.considerViewer(a, c)
}

func (v *verdict) considerViewer(a answer, c checked) {
	if a.status == 200 && c.reason == "default" {
		v.guests[a.viewing] = true
	}
	if a.status == 200 && a.entry {
		v.newcomers++
	}
	switch over := a.viewing.takenBack; {
	case a.status == 200:
		// A busy altagate may have missed the portal's first no: then it tries again.
		if no := v.refused(a); no > 1 && c.reason != "default" || no == 1 && c.reason == "session" && !v.guests[a.viewing] {
			v.blameFor(overstayed, a, c)
		}
	case !over.IsZero() && a.start.Add(a.took).After(over):
		v.excused["denied after the portal had taken the token back"]++
	case !a.entry && !v.guests[a.viewing]:
		v.blameFor(deniedViewer, a, c)
	case v.troubled(a) && a.entry:
		v.excused["a newcomer, denied during or just after a fault"]++
	case v.troubled(a):
		v.excused["a guest of the default, denied during or just after a fault"]++
	case isUnlucky(c) && v.busy(a.start, a.start.Add(a.took)):
		v.excused["a newcomer, turned away as "+c.reason+" by a machine that was too busy"]++
	case isUnlucky(c):
		v.unlucky = append(v.unlucky, v.described(a, c))
		v.excused["a newcomer, turned away as "+c.reason+" without a fault"]++
	case !a.entry:
		v.blameFor(deniedGuest, a, c)
	default:
		v.blame(deniedNewcomer, "%s", v.described(a, c))
	}
}

// isUnlucky tells whether there was no answer in time, or no room for the question.
func isUnlucky(c checked) bool {
	return c.reason == "unanswered" || c.reason == "late" || c.reason == "overload"
}

// considerUnlucky allows for what the pulse did not see: of ten newcomers, one.
func (v *verdict) considerUnlucky() {
	if len(v.unlucky)*10 > v.newcomers {
		for _, one := range v.unlucky {
			v.blame(deniedNewcomer, "%s", one)
		}
	}
}

// isLost tells whether nobody decided. An attacker who does not wait, or sends what no
// proxy takes, may get no answer, but no failure either.
func (v *verdict) isLost(a answer, c checked) bool {
	switch {
	case a.status == 503:
		return c.reason != "late" && c.reason != "overload"
	case a.status >= 500:
		return a.attack != "bytes that are no HTTP"
	case a.status == 0:
		return !a.gone
	default:
		return false
	}
}

// wasAway tells whether the backend had been found away at a moment of the request.
func (v *verdict) wasAway(a answer) bool {
	return slices.ContainsFunc(v.aways, func(s span) bool {
		return s.overlaps(a.start.Add(-slack), a.start.Add(a.took).Add(slack))
	})
}

// troubled tells whether a newcomer may have met a fault, or what altagate made of it.
func (v *verdict) troubled(a answer) bool {
	after := v.timeout + time.Second // A call that began in the fault is shared until it ends.
	from, to := a.start.Add(-after), a.start.Add(a.took)
	return slices.ContainsFunc(v.phases, func(p phase) bool { return p.does != calm && span{p.from, p.to}.overlaps(from, to) }) ||
		slices.ContainsFunc(v.aways, func(s span) bool { return s.overlaps(a.start.Add(-slack), to) })
}

// refused counts how often the portal had denied the viewer's token, well before the
// request and well within a calm, so that altagate had heard of it.
func (v *verdict) refused(a answer) (times int) {
	for _, at := range v.refusals[a.viewing.ticket.token] {
		heard := slices.ContainsFunc(v.phases, func(p phase) bool {
			return p.does == calm && p.from.Before(at.Add(-slack)) && at.Add(slack).Before(p.to)
		})
		if heard && at.Add(2*slack).Before(a.start) {
			times++
		}
	}
	return times
}

// considerLogs finds attackers whom a proxy let in without their waiting for it.
func (v *verdict) considerLogs() {
	thieves := map[string]bool{}
	for _, a := range v.answers {
		if a.attack != "" {
			thieves[a.addr.String()] = true
		}
	}
	for k, lines := range v.checks {
		for _, c := range lines {
			if thieves[k.addr.String()] && c.decision == "allow" && (c.reason != "default" || routeOf(k.path, "") != "allow") {
				v.blame(allowedThief, "%s logged %s", k.edge, c.line)
			}
		}
	}
}

// considerAways judges what altagate made of its backend, and measures how soon it
// noticed.
func (v *verdict) considerAways() {
	late := 3*v.timeout + 2*time.Second
	for _, s := range v.aways {
		if !slices.ContainsFunc(v.phases, func(p phase) bool {
			return p.does != calm && span{p.from, p.to.Add(late)}.overlaps(s.from, s.from.Add(time.Millisecond))
		}) && !v.busy(s.from.Add(-late), s.from) {
			v.blame(falseAway, "found away at %s, when nothing stood between", s.from.Format(time.RFC3339Nano))
		}
	}
	for i, p := range v.phases {
		for _, s := range v.aways {
			if p.does != calm && p.name != flaps && (i == 0 || v.phases[i-1].does == calm) && s.from.After(p.from) && s.from.Before(p.to) {
				v.noticed["away, after a fault began"] = append(v.noticed["away, after a fault began"], s.from.Sub(p.from))
			}
			if p.name == calm && s.from.Before(p.from) && s.to.After(p.from) && s.to.Before(p.to) {
				v.noticed["there, after it ended"] = append(v.noticed["there, after it ended"], s.to.Sub(p.from))
			}
		}
	}
}

// phaseAt is the fault at a moment.
func (v *verdict) phaseAt(at time.Time) fault {
	for _, p := range v.phases {
		if at.Before(p.to) {
			return p.name
		}
	}
	return "afterwards"
}

func (v *verdict) described(a answer, c checked) string {
	who := "a viewer"
	if a.attack != "" {
		who = fmt.Sprintf("an attacker with %s (%q)", a.attack, a.sent)
	}
	return fmt.Sprintf("  %s: %s from %s for %s through %s, %s: status %d after %s (%v), reason %q, log %q",
		a.start.Format(clock), who, a.addr, a.path, a.edge, v.phaseAt(a.start), a.status, a.took.Round(time.Millisecond), a.err, c.reason, c.line)
}

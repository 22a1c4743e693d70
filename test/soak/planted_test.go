package soak

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// planted is one answer in a made-up round of a minute: calm until second 10, a
// backend that refuses until 20, and calm again. altagate found it away from 11 to 21.
type planted struct {
	name string
	// at is the second of the request.
	at float64
	a  answer
	// reason is what the proxy logged; the decision follows from the status.
	reason string
	// guest is set if the viewing was begun by default, left if its token was taken
	// back at the second 2, and the portal said no at 3.
	guest, left bool
	want        wrong // empty where the answer is right
}

func plantedAnswers() []planted {
	viewer := func(route string, status int) answer { return answer{route: route, status: status} }
	newcomer := func(route string, status int) answer { return answer{route: route, status: status, entry: true} }
	attacker := func(route string, status int) answer { return answer{route: route, status: status, attack: "no token"} }
	silent := func(gone bool) answer {
		return answer{route: "deny", attack: "half a request", gone: gone, err: errors.New("no answer")}
	}
	return []planted{
		{"a viewer watches in a calm", 5, viewer("deny", 200), "session", false, false, ""},
		{"a viewer watches in an outage", 15, viewer("deny", 200), "grace", false, false, ""},
		{"a viewer is denied in a calm", 5, viewer("deny", 403), "backend", false, false, deniedViewer},
		{"a viewer is denied in an outage", 15, viewer("deny", 403), "default", false, false, deniedViewer},
		{"a viewer is told to come later", 15, viewer("deny", 503), "late", false, false, deniedViewer},
		{"a viewer gets no answer", 5, answer{route: "deny", err: errors.New("reset")}, "", false, false, lostCheck},
		{"the proxy could not ask", 5, attacker("deny", 500), "", false, false, lostCheck},
		{"Envoy could not ask", 5, attacker("deny", 503), "", false, false, lostCheck},
		{"an attacker waits in vain", 5, silent(false), "", false, false, lostCheck},
		{"an attacker has left", 5, silent(true), "", false, false, ""},
		{"a newcomer is denied in a calm", 5, newcomer("deny", 403), "backend", false, false, deniedNewcomer},
		{"a newcomer is denied by default in a calm", 40, newcomer("deny", 403), "default", false, false, deniedNewcomer},
		{"a newcomer is not answered in a calm", 40, newcomer("deny", 403), "unanswered", false, false, deniedNewcomer},
		{"a newcomer is denied in an outage", 15, newcomer("deny", 403), "default", false, false, ""},
		{"a newcomer is let in by default in an outage", 15, newcomer("allow", 200), "default", false, false, ""},
		{"the gate stands open in a calm", 40, newcomer("allow", 200), "default", false, false, openGate},
		{"the gate stands open on the wrong route", 15, newcomer("deny", 200), "default", false, false, openGate},
		{"a guest is denied in a calm", 40, viewer("allow", 403), "backend", true, false, deniedGuest},
		{"a guest is not answered in a flap", 19, viewer("allow", 403), "unanswered", true, false, ""},
		{"a viewer without a token watches on", 5, viewer("deny", 200), "session", false, true, overstayed},
		{"a viewer without a token is denied", 5, viewer("deny", 403), "backend", false, true, ""},
		{"an attacker is denied", 5, attacker("allow", 403), "backend", false, false, ""},
		{"an attacker is let in by default", 15, attacker("allow", 200), "default", false, false, ""},
		{"an attacker is let in by grace", 15, attacker("allow", 200), "grace", false, false, allowedThief},
		{"an attacker is let in by a session", 5, attacker("deny", 200), "session", false, false, allowedThief},
		{"an attacker is let in, and the log says nothing", 15, attacker("allow", 200), "", false, false, allowedThief},
		{"an attacker is let in by default in a calm", 40, attacker("allow", 200), "default", false, false, openGate},
	}
}

// TestTheOracleFindsAPlantedWrongAnswer makes up rounds with one answer each.
func TestTheOracleFindsAPlantedWrongAnswer(t *testing.T) {
	tried := map[wrong]bool{falseAway: true} // It has a test of its own.
	for _, p := range plantedAnswers() {
		t.Run(p.name, func(t *testing.T) {
			got := found(p.evidence())
			want := map[wrong]int{}
			if p.want != "" {
				want[p.want] = 1
			}
			// Whom nobody answers was denied, too.
			if p.a.attack == "" && p.want == lostCheck {
				want[deniedViewer] = 1
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error("wrong answers (-want +got):", diff)
			}
		})
		tried[p.want] = true
	}
	for _, kind := range wrongs() {
		if !tried[kind] {
			t.Errorf("nothing is planted for %q", kind)
		}
	}
}

// found gives the kinds of wrong answers that the oracle finds, each once.
func found(e evidence) map[wrong]int {
	kinds := judge(e).wrong
	for kind := range kinds {
		kinds[kind] = 1
	}
	return kinds
}

// moment is a second of the made-up round.
func moment(second float64) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(second * float64(time.Second)))
}

func (p planted) evidence() evidence {
	a := p.a
	a.edge, a.addr, a.path = "nginx", netip.MustParseAddr("127.10.0.1"), "/"+a.route+"/c1-0/index.m3u8"
	a.start, a.took = moment(p.at), 100*time.Millisecond
	e := evidence{
		checks: map[request][]checked{}, timeout: time.Second, aways: []span{{moment(11), moment(21)}},
		phases: []phase{
			{step{name: calm, does: calm}, moment(0), moment(10)},
			{step{name: refuses, does: refuses}, moment(10), moment(20)},
			{step{name: calm, does: calm}, moment(20), moment(60)},
		},
	}
	if a.attack == "" {
		a.viewing = &viewing{ticket: &ticket{token: "paid-1"}}
		if p.left {
			a.viewing.takenBack = moment(2)
			e.refusals = map[string][]time.Time{"paid-1": {moment(3)}}
		}
	}
	log := func(a answer, reason string) {
		decision := map[bool]string{true: "allow", false: "deny"}[a.status == 200]
		k := request{a.edge, a.addr, a.path}
		e.checks[k] = append(e.checks[k], checked{a.status, decision, reason, reason})
	}
	if p.guest {
		before := a
		before.start, before.status, before.entry = moment(15), 200, true
		e.answers = append(e.answers, before)
		log(before, "default")
	}
	e.answers = append(e.answers, a)
	if a.status != 0 {
		log(a, p.reason)
	}
	return e
}

// TestTheOracleFindsABackendThatIsFalselyAway makes up a round without a fault.
func TestTheOracleFindsABackendThatIsFalselyAway(t *testing.T) {
	e := evidence{
		timeout: time.Second,
		phases:  []phase{{step{name: calm, does: calm}, moment(0), moment(60)}},
		aways:   []span{{moment(30), moment(31)}},
	}
	if diff := cmp.Diff(map[wrong]int{falseAway: 1}, judge(e).wrong); diff != "" {
		t.Error("wrong answers (-want +got):", diff)
	}
}

// TestAnAttackerWhoDidNotWaitIsFoundInTheLog has been let in without being told.
func TestAnAttackerWhoDidNotWaitIsFoundInTheLog(t *testing.T) {
	p := planted{at: 5, a: answer{route: "deny", attack: "half a request", gone: true}}
	e := p.evidence()
	a := e.answers[0]
	e.checks[request{a.edge, a.addr, a.path}] = []checked{{200, "allow", "session", "line"}}
	if diff := cmp.Diff(map[wrong]int{allowedThief: 1}, judge(e).wrong); diff != "" {
		t.Error("wrong answers (-want +got):", diff)
	}
}

// TestABusyMachineExcusesOnlyTheWantOfAnAnswer has the pulse find the machine too busy
// at the time of a request.
func TestABusyMachineExcusesOnlyTheWantOfAnAnswer(t *testing.T) {
	for _, p := range plantedAnswers() {
		if p.want == "" {
			continue
		}
		want := map[wrong]int{p.want: 1}
		switch {
		case p.want == deniedNewcomer && p.reason == "unanswered":
			want = map[wrong]int{}
		case p.a.attack == "" && p.want == lostCheck:
			want[deniedViewer] = 1
		}
		e := p.evidence()
		e.slow = []span{{moment(p.at), moment(p.at + 1)}}
		if diff := cmp.Diff(want, found(e)); diff != "" {
			t.Errorf("%s, while the machine is busy: wrong answers (-want +got): %s", p.name, diff)
		}
	}
}

// TestAMachineThatStoodStillExcusesOnlyWhomNobodyAnsweredForSeconds has the pulse miss
// two seconds.
func TestAMachineThatStoodStillExcusesOnlyWhomNobodyAnsweredForSeconds(t *testing.T) {
	for _, c := range []struct {
		took, stood time.Duration
		status      int
		want        map[wrong]int
	}{
		{5 * time.Second, 2 * time.Second, 500, map[wrong]int{}},
		{5 * time.Second, time.Second / 2, 500, map[wrong]int{lostCheck: 1}},
		{time.Second, 2 * time.Second, 500, map[wrong]int{lostCheck: 1}},
		{5 * time.Second, 2 * time.Second, 200, map[wrong]int{allowedThief: 1}},
	} {
		e := planted{at: 5, a: answer{route: "deny", status: c.status, attack: "no token"}}.evidence()
		e.answers[0].took = c.took
		e.slow = []span{{moment(5), moment(5).Add(c.stood)}}
		if diff := cmp.Diff(c.want, found(e)); diff != "" {
			t.Errorf("%+v: wrong answers (-want +got): %s", c, diff)
		}
	}
}

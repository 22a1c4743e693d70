package preset_test

import (
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/preset"
)

func TestEachPresetIsFoundByItsName(t *testing.T) {
	for _, name := range preset.Names() {
		if p, ok := preset.Find(name); !ok || p.Name != name {
			t.Errorf("Find(%q) is %+v, %v", name, p, ok)
		}
	}
	if p, ok := preset.Find(""); !ok || p.Name != preset.Custom {
		t.Errorf("no name is %+v, %v, want custom", p, ok)
	}
	if _, ok := preset.Find("Ministra"); ok {
		t.Error("a name in other letters was found")
	}
}

func TestOnlyMinistrasTokensDie(t *testing.T) {
	for _, name := range preset.Names() {
		if p, _ := preset.Find(name); p.TokensDie != (name == "ministra") {
			t.Errorf("%s: TokensDie is %v", name, p.TokensDie)
		}
	}
}

// TestEachPresetTellsTheViewersAddressAndTheSession is what altagate itself and its
// operators count on: by the session's id the two logs are read together.
func TestEachPresetTellsTheViewersAddressAndTheSession(t *testing.T) {
	for _, name := range preset.Names() {
		p, _ := preset.Find(name)
		said := map[preset.Value]bool{}
		for _, f := range p.Headers {
			said[f.Value] = true
			if f.Name == "" || f.Value == 0 {
				t.Errorf("%s has the header %+v", name, f)
			}
		}
		if !said[preset.Session] || !said[preset.Address] || !said[preset.Path] || !said[preset.UserAgent] {
			t.Errorf("%s says %v", name, said)
		}
		if p.Stream != "" && !p.TellsStream() {
			t.Errorf("%s has a template and no field for it", name)
		}
	}
}

func TestAHeaderOfAPresetIsItsOwnHoweverItIsSpelled(t *testing.T) {
	custom, _ := preset.Find("custom")
	astra, _ := preset.Find("astra")
	for _, name := range []string{"X-Session-Id", "x_session_ID", "X-Real-Origin", "X-REAL-UA"} {
		if !custom.SetsHeader(name) || !astra.SetsHeader(name) {
			t.Errorf("%s can be set", name)
		}
	}
	if custom.SetsHeader("X-Channel-Id") || !astra.SetsHeader("X-Channel-Id") || !astra.SetsHeader("x_real_host") {
		t.Error("the headers of Astra are not its own alone")
	}
}

func TestTheMeaningOfARepliesHeadersIsSaidOfEachAllow(t *testing.T) {
	for _, test := range []struct {
		preset string
		o      check.Outcome
		want   string
	}{
		{"custom", check.Outcome{Verdict: check.Allowed}, ""},
		{"custom", check.Outcome{Verdict: check.Denied, Status: 403, AuthDuration: 1e9, MaxSessions: 1}, ""},
		{"custom", check.Outcome{Verdict: check.Allowed, AuthDuration: 180e9}, "is put again before 3m0s are over"},
		{"custom", check.Outcome{Verdict: check.Allowed, MaxSessions: 101, User: "42"}, "101 is above 100, and so no limit"},
		{"custom", check.Outcome{Verdict: check.Allowed, MaxSessions: 2, User: "42"}, "viewers at a time as user 42: 2;"},
		{"custom", check.Outcome{Verdict: check.Allowed, MaxSessions: 2}, "without an X-UserId"},
		{"custom", check.Outcome{Verdict: check.Allowed, Unique: true, User: "42"}, "as user 42: 1, and the newest wins"},
		{"ministra", check.Outcome{Verdict: check.Allowed, AuthDuration: 36000e9}, "ends after 10h0m0s"},
		{"ministra", check.Outcome{Verdict: check.Allowed}, "Ask once more with a wrong token"},
		{"ministra", check.Outcome{Verdict: check.Denied, Status: 403}, "tv_tmp_link_ttl"},
		{"ministra", check.Outcome{Verdict: check.Denied, Status: 404}, "/stalker_portal/server/api/"},
		{"iptvportal", check.Outcome{Verdict: check.Denied, Status: 403}, "each hour"},
		{"flussonic", check.Outcome{Verdict: check.Unavailable, Status: 500}, "counts as no answer"},
		{"flussonic", check.Outcome{Verdict: check.Denied, Status: 302}, "a denial here"},
		{"flussonic", check.Outcome{Verdict: check.Denied, Status: 403}, "name, ip and token"},
		{"astra", check.Outcome{Verdict: check.Denied, Status: 401}, "Astra takes 401 and 403"},
		{"astra", check.Outcome{Verdict: check.Denied, Status: 500}, "not documented"},
		{"astra", check.Outcome{Verdict: check.Allowed, SessionName: "ann"}, "knows the viewer as ann"},
	} {
		p, _ := preset.Find(test.preset)
		got := strings.Join(p.Meaning(test.o, nil), "\n")
		if !strings.Contains(got, test.want) || (test.want == "") != (got == "") {
			t.Errorf("%s %+v: %q, want %q", test.preset, test.o, got, test.want)
		}
	}
}

package doctor_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/doctor"
)

func TestTheExitCodeSaysWhatWasFound(t *testing.T) {
	found, failed := doctor.NewSection("a"), doctor.NewSection("b")
	found.Add(doctor.Kind{ID: "x", Severity: doctor.Warning}, "f:1", "is wrong")
	failed.Failed = "not there"
	for _, test := range []struct {
		sections []*doctor.Section
		code     int
		last     string
	}{
		{nil, doctor.Sound, "Nothing was found."},
		{[]*doctor.Section{doctor.NewSection("c")}, doctor.Sound, "Nothing was found."},
		{[]*doctor.Section{failed, doctor.NewSection("c")}, doctor.Blind, "could not"},
		{[]*doctor.Section{found}, doctor.Findings, "1 found."},
		{[]*doctor.Section{found, failed}, doctor.Findings, "1 found."},
		{[]*doctor.Section{failed, found}, doctor.Findings, "1 found."},
	} {
		r := doctor.Report{Sections: test.sections}
		var b strings.Builder
		if err := r.Text(&b); err != nil || r.Count() != test.code || !strings.Contains(b.String(), test.last) {
			t.Errorf("%v: exit code %d, want %d\n%s", err, r.Count(), test.code, b.String())
		}
	}
}

// TestWhatAConfigHoldsDrivesNoTerminal has it in every field.
func TestWhatAConfigHoldsDrivesNoTerminal(t *testing.T) {
	const hostile = "\x1b[2J\u202e\n"
	s := doctor.NewSection("a" + hostile)
	s.Add(doctor.Kind{ID: "x", Severity: doctor.Error, Why: "why"}, hostile, hostile, hostile, "second")
	s.Is("%s", hostile)
	s.Cannot("%s", hostile)
	s.Failed = hostile
	r := doctor.Report{Sections: []*doctor.Section{s}}
	var text, object strings.Builder
	if err := r.Text(&text); err != nil || strings.ContainsAny(text.String(), "\x1b\u202e") {
		t.Errorf("%v %q", err, text.String())
	}
	if err := r.JSON(&object); err != nil || strings.Contains(object.String(), "\x1b") {
		t.Errorf("%v %q", err, object.String())
	}
}

func TestAsJSONEveryListIsAList(t *testing.T) {
	r := doctor.Report{Sections: []*doctor.Section{doctor.NewSection("a")}}
	var b strings.Builder
	if err := r.JSON(&b); err != nil || !json.Valid([]byte(b.String())) || strings.Contains(b.String(), "null") {
		t.Errorf("%v %s", err, b.String())
	}
}

func TestTheSameIsFoundOnce(t *testing.T) {
	s := doctor.NewSection("a")
	for range 2 {
		s.Add(doctor.Kind{ID: "x"}, "f:1", "is wrong")
		s.Cannot("this")
	}
	s.Add(doctor.Kind{ID: "x"}, "f:2", "is wrong")
	if len(s.Findings) != 2 || len(s.Unseen) != 1 {
		t.Errorf("%+v", s)
	}
}

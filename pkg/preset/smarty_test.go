package preset

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/check"
)

// TestABodyRefusesWhereSomeErrorInItIsNotZero takes what a portal, a warning of PHP's
// before its answer, or a program that is broken may send with a status of 200.
func TestABodyRefusesWhereSomeErrorInItIsNotZero(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for body, refuses := range map[string]bool{
		`{"error":0}`:                           false,
		`{"error":1}`:                           true,
		` {"error" : 2 , "x":[{"error":0}]}`:    true,
		`{"a":{"b":[1,2]},"error":3}`:           true,
		`{"error":-1}`:                          true,
		`{"error":1.0}`:                         true,
		`{"error":0.0}`:                         false,
		`{"error":0e9}`:                         false,
		`{"error":-0}`:                          false,
		`{"error":0.0000000000000000000000001}`: true,
		`{"error":1e-999}`:                      true, // 0 to a float64
		`{"error":"0"}`:                         false,
		`{"error":" 0 "}`:                       false,
		`{"error":"1"}`:                         true,
		`{"error":"expired"}`:                   true,
		`{"error":"."}`:                         true,
		`{"error":""}`:                          false,
		`{"error":null}`:                        false,
		`{"error":false}`:                       false,
		`{"error":true}`:                        true,
		`{"error":{}}`:                          true,
		`{"error":[]}`:                          true,
		`{"error":{"code":0}}`:                  true,
		`{"error":0,"error":1}`:                 true,
		`{"error":1,"error":0}`:                 true,
		`{"Error":1}`:                           true,
		`{"\u0065rror":1}`:                      true,
		`{"errors":1,"error_text":"no"}`:        false,
		`{"result":{"error":1}}`:                false, // not where the documentation has it
		`["error",1]`:                           false,
		`{"x":"{\"error\":1}"}`:                 false,
		"\ufeff" + `{"error":1}`:                true,
		"<br />\n<b>Notice</b>: x in {main}\n{\"error\":1}": true,
		`<html><style>a{b:c}</style>{"error":1}</html>`:     true,
		`{"error":0}{"error":1}`:                            true,
		`{"error":1`:                                        true,
		`{"error":1,"x":"` + long:                           true,
		`{"error":`:                                         false,
		`{"error"`:                                          false,
		`{`:                                                 false,
		``:                                                  false,
		`0`:                                                 false,
		`error=1`:                                           false,
		`<html>error 1</html>`:                              false,
		"\xff\xfe{\x00\"\x00e\x00":                          false,
		`{"x":"` + "\xff" + `","error":1}`:                  true,
	} {
		if err := smartyRefusal([]byte(body)); (err != nil) != refuses {
			t.Errorf("%.60q: %v", body, err)
		}
	}
}

func TestARefusalShowsANumberAndNothingElseOfABody(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":1}`:                   "the body has error 1",
		`{"error":"3"}`:                 "the body has error 3",
		`{"error":"token s3cret died"}`: "the body has an error that is not 0",
		`{"error":12345678901234567}`:   "the body has an error that is not 0",
		`{"error":true}`:                "the body has an error that is not 0",
	} {
		if err := smartyRefusal([]byte(body)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

func TestABodyOfManyBracesIsReadOnce(t *testing.T) {
	const size = 64 << 10
	for _, piece := range []string{"{", `{"a":`, `{"a":{`, `{"error":`, `[{"error":0},`, "{}"} {
		body := []byte(strings.Repeat(piece, size/len(piece)))
		if n := testing.AllocsPerRun(1, func() { _ = smartyRefusal(body) }); n > 20*size {
			t.Errorf("%q: %.0f allocations", piece, n)
		}
	}
}

func FuzzABodyRefuses(f *testing.F) {
	for _, seed := range []string{`{"error":1}`, `{"error":0}`, `{"a":{"error":"1"},"error":0.0}`, `{"a`, `[{}]`, "<p>{", `{"error":1e-400}`} {
		f.Add([]byte(seed), "<b>")
	}
	f.Fuzz(func(t *testing.T, body []byte, before string) {
		err := smartyRefusal(body)
		var object map[string]json.RawMessage
		if json.Unmarshal(body, &object) == nil && object != nil {
			value, has := object["error"]
			var number json.Number
			if has && json.Unmarshal(value, &number) == nil && value[0] != '"' && string(value) != "null" {
				if n, _ := number.Float64(); n != 0 && err == nil {
					t.Errorf("%q lets in", body)
				}
			}
		}
		// What stands before an object takes no refusal away.
		if err != nil && !strings.ContainsAny(before, "{}[]\"\\") && smartyRefusal(append([]byte(before), body...)) == nil {
			t.Errorf("%q before %q lets in", before, body)
		}
	})
}

func TestTheWordsOfSmartySayWhatItsErrorsMean(t *testing.T) {
	for _, test := range []struct {
		verdict check.Verdict
		body    string
		want    string
	}{
		{check.Denied, `{"error":1}`, "has expired"},
		{check.Denied, `{"error":2}`, "other content"},
		{check.Denied, `{"error":3}`, "another address"},
		{check.Denied, `{"error":4}`, "does not have"},
		{check.Allowed, `{"error":0}`, "the token is good"},
		{check.Allowed, `hello`, "no error to read"},
		{check.Denied, ``, ""},
	} {
		if got := smartyWords(check.Outcome{Verdict: test.verdict}, []byte(test.body)); !strings.Contains(got, test.want) || (test.want == "") != (got == "") {
			t.Errorf("%s %s: %q, want %q", test.verdict, test.body, got, test.want)
		}
	}
}

package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoutesThatDenyNobodyAreWarnedOf(t *testing.T) {
	const advice = " mode observe: EVERYBODY is allowed there, and the log tells who would have been denied"
	for _, test := range []struct{ name, modes, want string }{
		{"one", "mode: observe}, {name: two, backends: [a], match: {paths: [/two/]}", "route one has" + advice},
		{"both", "mode: observe}, {name: two, backends: [a], match: {paths: [/two/]}, mode: observe", "routes one, two have" + advice},
		{"none", "mode: enforce", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse([]byte("backends: {a: {url: http://b}}\nroutes: [{name: one, backends: [a], match: {paths: [/]}, " + test.modes + "}]\n"))
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			if diff := cmp.Diff(want, c.Warnings()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

package frontend_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
)

const signedID = "v1.Zm9vYmFy.AAECAwQFBgcICQoLDA0ODwAAAABmVhYw.3q2-_wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func TestTheIDsOfAViewersCookiesAreRead(t *testing.T) {
	long := strings.Repeat("x", 256)
	tests := []struct {
		name  string
		lines []string
		want  [check.MaxIDs]string
	}{
		{"no cookies", nil, [check.MaxIDs]string{}},
		{"the cookie alone", []string{"altagate_id=" + signedID}, [check.MaxIDs]string{signedID}},
		{"between others", []string{"a=b; altagate_id=v1.x; c=d"}, [check.MaxIDs]string{"v1.x"}},
		{"without spaces", []string{"a=b;altagate_id=v1.x;c=d"}, [check.MaxIDs]string{"v1.x"}},
		{"with other spaces", []string{"a=b ;\t altagate_id=v1.x \t;c=d"}, [check.MaxIDs]string{"v1.x"}},
		{"in two lines", []string{"altagate_id=v1.x", "altagate_id=v1.y"}, [check.MaxIDs]string{"v1.x", "v1.y"}},
		{"in two lines that a proxy joined", []string{"a=b,altagate_id=v1.x"}, [check.MaxIDs]string{"v1.x"}},
		{
			"more than are looked at", []string{"altagate_id=1; altagate_id=2; altagate_id=3; altagate_id=4; altagate_id=5", "altagate_id=6"},
			[check.MaxIDs]string{"1", "2", "3", "4"},
		},
		{"the longest", []string{"altagate_id=" + long}, [check.MaxIDs]string{long}},

		{"empty lines", []string{"", ";", "; ;,", "="}, [check.MaxIDs]string{}},
		{"no value", []string{"altagate_id=; altagate_id"}, [check.MaxIDs]string{}},
		{"another case", []string{"Altagate_Id=v1.x; ALTAGATE_ID=v1.x"}, [check.MaxIDs]string{}},
		{"longer names", []string{"xaltagate_id=v1.x; altagate_idx=v1.x; altagate_id =v1.x; $altagate_id=v1.x"}, [check.MaxIDs]string{}},
		{"another's value", []string{"a=altagate_id=v1.x"}, [check.MaxIDs]string{}},
		{"quotes", []string{`altagate_id="v1.x"; a="; altagate_id=v1.y"`}, [check.MaxIDs]string{}},
		{"an escape", []string{"altagate_id=v1%2ex"}, [check.MaxIDs]string{}},
		{"bytes that no id has", []string{"altagate_id=v1 x; altagate_id=v1\x00x; altagate_id=v1\r\nx; altagate_id=é; altagate_id=a=b"}, [check.MaxIDs]string{}},
		{"too long", []string{"altagate_id=" + long + "x"}, [check.MaxIDs]string{}},
		{"what cannot be one takes no place", []string{`altagate_id=; altagate_id="a"; altagate_id=` + long + "x; altagate_id=\x7f; altagate_id=v1.x"}, [check.MaxIDs]string{"v1.x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := said()
			c.Cookies = tt.lines
			got, reason, why := c.Request(nil)
			if reason != "" || why != nil {
				t.Errorf("reason %q (%v): a cookie is never malformed", reason, why)
			}
			if diff := cmp.Diff(tt.want, got.IDs); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
}

// A check in this path runs for each segment of each viewer.
func TestReadingCookiesAllocatesNothing(t *testing.T) {
	without, with := said(), said()
	with.Cookies = []string{"a=b; altagate_id=" + signedID, strings.Repeat("x=y; ", 100) + "altagate_id=v1.x"}
	count := func(c frontend.Context) float64 {
		return testing.AllocsPerRun(100, func() { _, _, _ = c.Request(nil) })
	}
	if less, more := count(without), count(with); more > less {
		t.Errorf("%v allocations with cookies, %v without", more, less)
	}
}

// FuzzCookies reads any two Cookie lines: nothing panics, what is found stands in
// the lines as a cookie's value and needs no escape, and an honest cookie of the
// viewer is found beside whatever stands in the first line.
func FuzzCookies(f *testing.F) {
	f.Add("", "")
	f.Add("altagate_id=v1.x; altagate_id=v1.y", "altagate_id=v1.z")
	f.Add(`a="; altagate_id=x"`, "altagate_id =x,altagate_id=y;;=")
	f.Fuzz(func(t *testing.T, first, second string) {
		c := said()
		c.Cookies = []string{first, second}
		got, reason, _ := c.Request(nil)
		if reason != "" {
			t.Errorf("reason %q", reason)
		}
		for i, id := range got.IDs {
			if id == "" {
				continue
			}
			if i > 0 && got.IDs[i-1] == "" {
				t.Errorf("a gap in %q", got.IDs)
			}
			if len(id) > 256 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" ||
				!strings.Contains(first+"\n"+second, "altagate_id="+id) {
				t.Errorf("%q is no id of the viewer's", id)
			}
		}
		c.Cookies = []string{first, "altagate_id=" + signedID}
		if got, _, _ = c.Request(nil); !slices.Contains(got.IDs[:], signedID) && got.IDs[check.MaxIDs-1] == "" {
			t.Errorf("%q: the viewer's own id is not among %q", first, got.IDs)
		}
	})
}

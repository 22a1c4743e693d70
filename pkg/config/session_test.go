package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeysLetViewersJoinByIDUnlessTheRouteSaysOtherwise(t *testing.T) {
	const routes = "backends: {a: {url: http://b}}\nroutes:\n" +
		"  - {name: default, backends: [a]}\n" +
		"  - {name: own, match: {paths: [/own/]}, backends: [a], session: {join: [client]}}\n" +
		"  - {name: nothing, match: {paths: [/nothing/]}, backends: [a], session: {join: []}}\n"
	for head, want := range map[string][][]Join{
		"":                             {{"token", "client"}, {"client"}, {}},
		"keys: [" + secretText + "]\n": {{"id", "token", "client"}, {"client"}, {}},
	} {
		c, err := Parse([]byte(head + routes))
		if err != nil {
			t.Fatal(err)
		}
		var got [][]Join
		for _, r := range c.Routes {
			got = append(got, r.Session.Join)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", head, diff)
		}
	}
}

func TestARouteWhoseFoldersCouldHoldChannelsIsWarnedOf(t *testing.T) {
	const advice = " layout auto and no match.paths: an allow for D/index.m3u8 is an allow for all below D, " +
		"so a folder that holds channels belongs in paths (paths: [/] if only the root holds them)"
	for _, test := range []struct {
		name, routes string
		want         []string
	}{
		{"one", "{name: one, backends: [a]}", []string{"route one has" + advice}},
		{
			"two of three", "{name: one, backends: [a]}, {name: two, backends: [a], match: {hosts: [tv]}}, " +
				"{name: three, backends: [a], match: {paths: [/live/]}}",
			[]string{"routes one, two have" + advice},
		},
		{"paths", "{name: one, backends: [a], match: {paths: [/live/]}}", nil},
		{"the root", "{name: one, backends: [a], match: {paths: [/]}}", nil},
		{"each path by itself", "{name: one, backends: [a], session: {layout: path}}", nil},
		{"a regular expression", "{name: one, backends: [a], session: {layout: '/(?P<stream>[^/]+)/.*'}}", nil},
		{"nothing joins", "{name: one, backends: [a], session: {join: []}}", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse([]byte("backends: {a: {url: http://b}}\nroutes: [" + test.routes + "]\n"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, c.Warnings()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	single, err := Single([]string{"http://a"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"route default has" + advice}, single.Warnings()); diff != "" {
		t.Errorf("without a file (-want +got)\n%s", diff)
	}
}

func TestALayoutThatAliasesRepeatIsTriedOnce(t *testing.T) {
	// To try this one takes about 100 ms.
	layout := "/(?P<stream>" + strings.Repeat("(?:[a-z]{1,100}){1,10}|", 30) + "x)"
	bomb := "backends: {a: {url: http://b}}\nroutes:\n  - {name: a, backends: [a], session: &s {layout: '" + layout + "'}}\n" +
		strings.Repeat("  - {name: a, backends: [a], session: *s}\n", 10_000)
	if _, err := Parse([]byte(bomb)); err == nil || strings.Contains(err.Error(), "layout") {
		t.Errorf("got %.300v", err)
	}
}

func TestAGraceOfAFlagIsReadAsInAFile(t *testing.T) {
	for text, want := range map[string]string{
		"10m": "10m0s", "0s": "0s", "168h": "168h0m0s", "10": "has no unit: write 10s if seconds are meant",
		"-1s": "must be at least 0s and at most 168h", "soon": `"soon" is not a time: write a number and a unit without a space, as in 10m or 24h`,
		"": `"" is not a time: write a number and a unit without a space, as in 10m or 24h`,
	} {
		d, err := ParseGrace(text)
		got := d.String()
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestAStateFileIsAFile(t *testing.T) {
	for _, good := range []string{"", "state", "/var/lib/altagate/state", "./state dir/стан"} {
		if err := CheckState(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"/", "/var/lib/altagate/", "a\x00b", "a\n"} {
		if CheckState(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

package config

import (
	"slices"
	"testing"

	"github.com/altagate/altagate/pkg/preset"
)

func TestAPresetFillsInWhatTheConfigDoesNotSay(t *testing.T) {
	c, err := Parse(samples(t, "good")["presets"])
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		url, stream string
		statuses    []int
	}{
		{"https://go.iptvportal.cloud/auth/arescrypt/", "", nil},
		{"https://portal.example.com/auth/arescrypt/", "", nil},
		{"http://10.0.0.5/tvmiddleware/api/streamservice/token/check/?key=1&name=all", "", nil},
		{"http://10.0.0.5/", "vod/{stream}", nil},
		{"http://10.0.0.5/", "{stream}", []int{500}},
		{"http://10.0.0.5/", "{stream}.stream", []int{502}},
		{"http://10.0.0.5/", "{stream}", nil},
	} {
		b := c.Backends[i]
		if len(b.URLs) != 1 || b.URLs[0].String() != want.url || b.Stream != want.stream || !slices.Equal(b.UnavailableStatuses, want.statuses) {
			t.Errorf("%s: %+v, want %+v", b.Name, b, want)
		}
	}
}

// TestAPresetsOwnAddressCanBeRead holds that of each preset to the rules of a config.
func TestAPresetsOwnAddressCanBeRead(t *testing.T) {
	for _, name := range preset.Names() {
		p, _ := preset.Find(name)
		if p.URL == "" {
			continue
		}
		if u, err := parseURL(p.URL); err != nil || u.Scheme != "https" {
			t.Errorf("%s: %v, %v", name, u, err)
		}
	}
}

func TestAPortalWhoseErrorsWouldOpenTheGateIsWarnedOf(t *testing.T) {
	for _, test := range []struct {
		backends, route string
		warned          bool
	}{
		{"{a: {preset: flussonic, url: http://a}}", "backends: [a], on_unavailable: allow", true},
		{"{a: {url: http://a, unavailable_statuses: [500]}}", "backends: [a], on_unavailable: allow", true},
		{"{a: {preset: flussonic, url: http://a}}", "backends: [a]", false},
		{"{a: {preset: flussonic, url: http://a, probe: /health}}", "backends: [a], on_unavailable: allow", false},
		{"{a: {preset: flussonic, url: http://a, unavailable_statuses: [502]}}", "backends: [a], on_unavailable: allow", false},
		{"{a: {preset: flussonic, url: http://a}, b: {url: http://b}}", "backends: [a, b], on_unavailable: allow", false},
		{"{a: {url: http://a}}", "backends: [a], on_unavailable: allow", false},
	} {
		c, err := Parse([]byte("backends: " + test.backends + "\nroutes: [{name: all, match: {paths: [/]}, " + test.route + "}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		if warnings := c.Warnings(); (len(warnings) > 0) != test.warned {
			t.Errorf("%s %s: %q", test.backends, test.route, warnings)
		}
	}
}

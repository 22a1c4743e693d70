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

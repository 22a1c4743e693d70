package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/altagate/altagate/pkg/preset"
	"github.com/altagate/altagate/pkg/target"
)

// SetPreset makes it a backend of that kind, with the defaults that the preset has.
func (b *Backend) SetPreset(p preset.Preset) {
	b.Preset, b.Stream, b.UnavailableStatuses = p.Name, p.Stream, slices.Clone(p.UnavailableStatuses)
}

// readPreset gives the preset, custom if there is none; known is false if there is
// one that is none.
func readPreset(v value) (p preset.Preset, known bool) {
	name, known := v.oneOf(preset.Names()...)
	p, _ = preset.Find(name)
	return p, known || !v.present()
}

// readStream reads the template of the name that a stream has for the portal.
func readStream(v value, p preset.Preset, into *string) {
	text, ok := v.text()
	switch {
	case !ok:
	case !p.TellsStream():
		v.wrong("is for presets whose portal is told the stream, and %s is not: leave it out", p.Name)
	case !strings.Contains(text, preset.StreamPlace):
		v.wrong("has no %s, which stands for the stream's name: write name: \"%s\"", preset.StreamPlace, preset.StreamPlace)
	case strings.ContainsAny(strings.ReplaceAll(text, preset.StreamPlace, ""), "{}"):
		v.wrong("has a { or } beside %s, and nothing else is put in: leave it out", preset.StreamPlace)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		v.wrong("holds a space or a letter outside ASCII: write what the portal calls its streams")
	default:
		*into = text
	}
}

// checkQueries refuses what the operator and the preset would both set in a query.
func checkQueries(keys map[string]value, b *Backend, p preset.Preset) {
	at := keys["url"]
	if !at.present() {
		at = keys["urls"]
	}
	for _, u := range b.URLs {
		checkQuery(at, u, b, p)
	}
}

func checkQuery(at value, u *url.URL, b *Backend, p preset.Preset) {
	names := target.Names(u.RawQuery)
	for _, f := range p.Parameters {
		if names[target.Name(f.Name)] && (f.Value != preset.Stream || b.Stream != "") {
			at.wrong("its query has %s, which the preset %s sets: leave it out", f.Name, p.Name)
		}
	}
}

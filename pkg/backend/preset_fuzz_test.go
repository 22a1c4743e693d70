package backend

import (
	"net/url"
	"strings"
	"testing"

	"github.com/altagate/altagate/pkg/preset"
)

// FuzzAViewerSetsNothingOfAPresets reads what is sent as programs do that split at
// "&" or at ";" too, look at a name without its case, and take PHP's liberties with it.
func FuzzAViewerSetsNothingOfAPresets(f *testing.F) {
	for _, seed := range []string{
		"token=1&ip=2", "IP[]=1", "a;name=2", "%69p=1", "+ip=1", "ip%00x=1", "request.type=x", "session+id=1", "ip[=1", "x=1;ip", "&&ip",
	} {
		f.Add(seed)
	}
	var backends []*Backend
	for _, name := range preset.Names() {
		p, _ := preset.Find(name)
		b, err := New(Config{Preset: p, Stream: "{stream}", URLs: []*url.URL{{Scheme: "http", Host: "a", Path: "/"}}})
		if err != nil {
			f.Fatal(err)
		}
		backends = append(backends, b)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, b := range backends {
			r := viewer()
			r.Query = query
			if b.sendable(r, live()) != nil {
				continue
			}
			sent := b.endpoints[0].question(t.Context(), r, live()).URL.RawQuery
			own := b.endpoints[0].told
			for _, separators := range []string{"&", "&;"} {
				rest := strings.TrimPrefix(sent, own.query(r, live()))
				for part := range strings.FieldsFuncSeq(rest, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
					name, _, _ := strings.Cut(part, "=")
					for _, reserved := range own.reserved {
						if laxName(name) == reserved {
							t.Errorf("%s: of %q arrives %q", b.config.Preset.Name, query, part)
						}
					}
				}
			}
		}
	})
}

// laxName is a name as such a program knows it.
func laxName(raw string) string {
	name, err := url.QueryUnescape(raw)
	if err != nil {
		name = raw
	}
	name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "\x00")
	name, _, _ = strings.Cut(name, "[")
	return strings.NewReplacer(".", "_", " ", "_").Replace(strings.ToLower(name))
}

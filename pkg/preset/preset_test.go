package preset_test

import (
	"testing"

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

package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/altagate/altagate/pkg/preset"
)

// TestEachPresetHasAPageAndAFileToPaste holds the files of deploy/presets to what a
// user pastes: a good config, without a warning, of that preset.
func TestEachPresetHasAPageAndAFileToPaste(t *testing.T) {
	for _, name := range preset.Names() {
		if _, err := os.Stat(filepath.Join("../../docs/presets", name+".md")); err != nil {
			t.Error(err)
		}
		c, err := Load(filepath.Join("../../deploy/presets", name+".yaml"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(c.Backends) != 1 || c.Backends[0].Preset != name || len(c.Warnings()) > 0 {
			t.Errorf("%s: %+v, %v", name, c.Backends, c.Warnings())
		}
	}
	if c, err := Load("../../deploy/presets/portals.yaml"); err != nil || len(c.Warnings()) > 0 {
		t.Errorf("portals: %v", err)
	}
}

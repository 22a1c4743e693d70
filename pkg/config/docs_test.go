package config

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// What the page about limits has to paste is a good config, each block by itself.
func TestTheConfigsOfThePageAboutLimitsAreGood(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "limits.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks, want 2", len(blocks))
	}
	for _, block := range blocks {
		c, err := Parse(block[1])
		if err != nil {
			t.Fatalf("%s\n%v", block[1], err)
		}
		if c.Backends[0].Users.MaxSessions == 0 {
			t.Errorf("no limit in\n%s", block[1])
		}
	}
}

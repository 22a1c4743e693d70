package config

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestTheConfigsOfTheRulesPageAreGood reads each one that can be pasted.
func TestTheConfigsOfTheRulesPageAreGood(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) < 7 {
		t.Errorf("only %d configs were found", len(blocks))
	}
	for _, block := range blocks {
		if _, err := Parse(block[1]); err != nil {
			t.Errorf("%s\n%v", block[1], err)
		}
	}
}

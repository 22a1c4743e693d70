package deploy

import (
	"os"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// TestThePageSaysWhatEachFolderWasRunBy holds docs/install.md to deploy/.
func TestThePageSaysWhatEachFolderWasRunBy(t *testing.T) {
	_, table, found := strings.Cut(read(t, rig.Top+"/docs/install.md"), "\n## What each file was run by\n")
	if !found {
		t.Fatal("docs/install.md does not say what each file was run by")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	entries, err := os.ReadDir(rig.Top + "/deploy")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		row := false
		for line := range strings.Lines(table) {
			cells := strings.Split(line, " | ")
			row = row || strings.Contains(cells[0], "`"+e.Name()+"`") && len(cells) == 3 && len(cells[1]) > 2
		}
		if !row {
			t.Errorf("docs/install.md does not say by what deploy/%s was run or checked", e.Name())
		}
	}
}

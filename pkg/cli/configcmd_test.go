package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/config"
)

func TestValidateReportsEveryMistakeAtItsPlace(t *testing.T) {
	path := file(t, "listen: {http: 0.0.0.0:9180}\nbackends:\n  portal: {url: 'http://user:s3cret@', timeout: 2}\nroutes:\n"+
		"  - {name: all, backends: [portal], on_unavailable: pass, colour: red}\n")
	code, stdout, stderr := ran(t, "config", "validate", path)
	var got []string
	for line := range strings.Lines(stdout) {
		place, _, _ := strings.Cut(strings.TrimPrefix(line, path+":"), ": ")
		got = append(got, place)
	}
	if diff := cmp.Diff([]string{"1:16", "3:17", "3:49", "5:53", "5:59"}, got); code != 1 || stderr != "" || diff != "" {
		t.Errorf("exit code %d, %q (-want +got)\n%s\n%s", code, stderr, diff, stdout)
	}
	if strings.Contains(stdout, "s3cret") {
		t.Errorf("a password is shown:\n%s", stdout)
	}
}

func TestValidateSaysThatAConfigIsFine(t *testing.T) {
	path := file(t, "backends: {a: {url: http://10.0.0.5}, b: {url: http://10.0.0.6}}\nroutes: [{name: all, match: {paths: [/live/]}, backends: [a, b]}]\n")
	code, stdout, stderr := ran(t, "config", "validate", path)
	if want := path + ": fine: 2 backends, 1 route\n"; code != 0 || stdout != want || stderr != "" {
		t.Errorf("exit code %d: %q, %q; want %q", code, stdout, stderr, want)
	}
}

func TestValidateNotesWhatMayNotBeMeant(t *testing.T) {
	path := file(t, "backends: {a: {url: http://10.0.0.5}}\nroutes: [{name: all, backends: [a]}]\n")
	code, stdout, stderr := ran(t, "config", "validate", path)
	want := path + ": fine: 1 backend, 1 route\n" + path + ": note: route all has layout auto and no match.paths: "
	if code != 0 || !strings.HasPrefix(stdout, want) || strings.Count(stdout, "\n") != 2 || stderr != "" {
		t.Errorf("exit code %d: %q, %q; want %q", code, stdout, stderr, want)
	}
}

func TestValidateTellsThatThereIsNoFile(t *testing.T) {
	path := t.TempDir() + "/none.yaml"
	code, stdout, stderr := ran(t, "config", "validate", path)
	if want := "altagate: reading the config file: open " + path + ": no such file or directory\n"; code != 1 || stdout != "" || stderr != want {
		t.Errorf("exit code %d: %q, %q", code, stdout, stderr)
	}
}

func TestTheExampleIsPrintedAndValidatesAndTheSchemaIsPrinted(t *testing.T) {
	code, example, _ := ran(t, "config", "example")
	if code != 0 || example != string(config.Example()) {
		t.Errorf("exit code %d, %d bytes", code, len(example))
	}
	if code, stdout, _ := ran(t, "config", "validate", file(t, example)); code != 0 {
		t.Errorf("the example: exit code %d\n%s", code, stdout)
	}
	if code, schema, _ := ran(t, "config", "schema"); code != 0 || schema != string(config.Schema()) {
		t.Errorf("the schema: exit code %d, %d bytes", code, len(schema))
	}
}

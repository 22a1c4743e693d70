package cli

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
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

func TestValidateNotesFilesThatServeCouldNotUse(t *testing.T) {
	none := t.TempDir() + "/none"
	empty := file(t, "no certificate")
	path := file(t, "keys: ['file:"+none+"']\nstate: "+none+"/state.db\n"+
		"backends: {a: {url: 'https://10.0.0.5', ca_file: "+none+"}, b: {url: 'https://10.0.0.6', ca_file: "+empty+"}}\n"+
		"routes: [{name: all, match: {paths: [/live/]}, backends: [a, b]}]\n")
	code, stdout, stderr := ran(t, "config", "validate", path)
	note := path + ": note: serve would not start here: "
	want := path + ": fine: 2 backends, 1 route\n" +
		note + "keys[0]: reading the secret: open " + none + ": no such file or directory\n" +
		note + "state: stat " + none + ": no such file or directory\n" +
		note + "backends.a.ca_file: reading CA file: stat " + none + ": no such file or directory\n" +
		note + "backends.b.ca_file: CA file " + empty + " has no certificate: give a PEM file with one at least\n"
	if diff := cmp.Diff(want, stdout); code != 0 || diff != "" || stderr != "" {
		t.Errorf("exit code %d, %q (-want +got)\n%s", code, stderr, diff)
	}
	path = file(t, "state: "+empty+"/state.db\n"+oneRoute("http://10.0.0.5", ", match: {paths: [/live/]}"))
	if _, stdout, _ := ran(t, "config", "validate", path); !strings.HasSuffix(stdout, "here: state: "+empty+" is not a directory\n") {
		t.Errorf("got\n%s", stdout)
	}
}

func TestValidateHasNothingToNoteOfFilesThatAreThere(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	ca := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	key := file(t, strings.Repeat("k", config.MinKeySize))
	path := file(t, "keys: ['file:"+key+"']\nstate: "+t.TempDir()+"/state.db\nbackends: {a: {url: 'https://10.0.0.5', ca_file: "+ca+"}}\n"+
		"routes: [{name: all, match: {paths: [/live/]}, backends: [a]}]\n")
	if code, stdout, _ := ran(t, "config", "validate", path); code != 0 || strings.Contains(stdout, "note") {
		t.Errorf("exit code %d\n%s", code, stdout)
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

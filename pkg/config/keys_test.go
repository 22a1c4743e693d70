package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const secretText = "s3cret-0123456789-0123456789-012"

// secretFile makes a file with the text, and gives its key.
func secretFile(t *testing.T, text string) Key {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	write(t, path, text)
	return Key{File: path}
}

func TestSecretsAreLoadedInTheirOrderAndFromFilesWithoutTheNewline(t *testing.T) {
	binary := strings.Repeat("\x00\xff\n ", 8) + "\n"
	got, err := LoadKeys([]Key{
		secretFile(t, "file-"+secretText+"\n"), {Text: secretText}, secretFile(t, "windows-"+secretText+"\r\n"),
		secretFile(t, "two-"+secretText+"\n\n"), secretFile(t, binary), secretFile(t, strings.Repeat("x", MaxKeySize)+"\r\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]byte{
		[]byte("file-" + secretText), []byte(secretText), []byte("windows-" + secretText), []byte("two-" + secretText + "\n"),
		[]byte(binary[:32]), []byte(strings.Repeat("x", MaxKeySize)),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if none, err := LoadKeys(nil); none != nil || err != nil {
		t.Errorf("no keys: got %v, %v", none, err)
	}
}

func TestASecretThatCannotBeLoadedIsNamedAndNotShown(t *testing.T) {
	missing, dir := filepath.Join(t.TempDir(), "none"), t.TempDir()
	short, long := secretFile(t, "s3cret\n"), secretFile(t, strings.Repeat("s3cret", 1000))
	again := secretFile(t, secretText+"\n")
	for _, test := range []struct {
		name string
		key  Key
		want string
	}{
		{"missing", Key{File: missing}, "keys[1]: reading the secret: open " + missing + ": no such file or directory"},
		{"a directory", Key{File: dir}, "keys[1]: reading the secret: read " + dir + ": is a directory"},
		{"short", short, "keys[1]: the secret in " + short.File + " has 6 bytes, and a secret has at least 32"},
		{"long", long, "keys[1]: the secret in " + long.File + " has more than 4096 bytes"},
		{"twice", again, "keys[1] is the same secret as keys[0]: remove one of them"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := LoadKeys([]Key{{Text: secretText}, test.key})
			if got != nil || err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Fatalf("got %v, %v", got, err)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
}

func TestAValidConfigNeedsNoFileOfASecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	c, err := Parse([]byte("keys: [file:" + path + "]\nbackends: {a: {url: http://b}}\nroutes: [{name: a, backends: [a]}]\n"))
	if err != nil || len(c.Keys) != 1 || c.Keys[0].File != path {
		t.Errorf("got %v, %v", c, err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was made")
	}
}

func TestAPrintedConfigShowsNoSecretOfItsKeys(t *testing.T) {
	c := Config{Keys: []Key{{Text: secretText}, {File: "/etc/altagate/key"}}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text := fmt.Sprintf(verb, c)
		if strings.Contains(text, "s3cret") || !strings.Contains(text, "/etc/altagate/key") {
			t.Errorf("%s: %s", verb, text)
		}
	}
}

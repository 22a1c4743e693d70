package state

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestTheGeneratedCodeIsThatOfTheProtoFile does what "make proto" does.
func TestTheGeneratedCodeIsThatOfTheProtoFile(t *testing.T) {
	protoc, err := exec.LookPath("protoc")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("this needs protoc (make deps)")
	}
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	dir, source := t.TempDir(), filepath.Join("..", "..", "proto")
	plugin := filepath.Join(dir, "protoc-gen-go")
	run("go", "build", "-o", plugin, "google.golang.org/protobuf/cmd/protoc-gen-go")
	run(protoc, "--plugin="+plugin, "-I", source, "--go_out="+dir, "--go_opt=paths=source_relative", "altagate/v1/state.proto")

	// The code names the protoc that made it, which may be another.
	version := regexp.MustCompile(`(?m)^// \tprotoc  .*$`)
	made := filepath.Join("altagate", "v1", "state.pb.go")
	want := version.ReplaceAll(bytesOf(t, filepath.Join(dir, made)), nil)
	if !bytes.Equal(want, version.ReplaceAll(bytesOf(t, filepath.Join(source, made)), nil)) {
		t.Error("proto/altagate/v1/state.pb.go is not of state.proto: run make proto")
	}
}

package config

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// watching is a Watch under way that has read its file once.
type watching struct {
	t       *testing.T
	path    string
	changes <-chan []byte
	stop    context.CancelFunc
}

const often = time.Millisecond

func watch(t *testing.T, path string) *watching {
	t.Helper()
	if _, err := os.Lstat(path); err != nil {
		write(t, path, "first")
	}
	ctx, stop := context.WithCancel(t.Context())
	w := &watching{t: t, path: path, changes: Watch(ctx, path, often), stop: stop}
	t.Cleanup(func() {
		stop()
		for range w.changes { // It is closed when the watching has ended.
		}
		goleak.VerifyNone(t)
	})
	return w
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// next waits for the next change and looks at its text. A file that is written
// in place is empty for a moment, which a busy machine may stretch.
func (w *watching) next(want string) {
	w.t.Helper()
	for {
		select {
		case data := <-w.changes:
			got := string(data)
			if got == want {
				return
			}
			if got == "" {
				continue
			}
			w.t.Fatalf("got %q, want %q", got, want)
		case <-time.After(10 * time.Second):
			w.t.Fatalf("no change; want %q", want)
		}
	}
}

func TestAFileWrittenInPlaceIsSeen(t *testing.T) {
	w := watch(t, filepath.Join(t.TempDir(), "altagate.yaml"))
	write(t, w.path, "second")
	w.next("second")
	write(t, w.path, "third")
	w.next("third")
}

func TestAFileRenamedOverTheOldOneIsSeen(t *testing.T) {
	w := watch(t, filepath.Join(t.TempDir(), "altagate.yaml"))
	fresh := w.path + ".new"
	write(t, fresh, "second")
	if err := os.Rename(fresh, w.path); err != nil {
		t.Fatal(err)
	}
	w.next("second")
}

func TestAConfigMapSwapIsSeenAndNothingBetween(t *testing.T) {
	dir := t.TempDir()
	revision := func(name, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, "altagate.yaml"), text)
		link := filepath.Join(dir, "..data_tmp")
		if err := os.Symlink(name, link); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link, filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	revision("..1", "first")
	path := filepath.Join(dir, "altagate.yaml")
	if err := os.Symlink(filepath.Join("..data", "altagate.yaml"), path); err != nil {
		t.Fatal(err)
	}
	w := watch(t, path)
	revision("..2", "second")
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	w.next("second")
	revision("..3", "third")
	w.next("third")
}

func TestAFileThatIsGoneIsNoChangeAndComesBack(t *testing.T) {
	w := watch(t, filepath.Join(t.TempDir(), "altagate.yaml"))
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	fresh := w.path + ".new"
	write(t, fresh, "back")
	if err := os.Rename(fresh, w.path); err != nil {
		t.Fatal(err)
	}
	w.next("back")
}

func TestAContentCountsOnlyWhenReadTwice(t *testing.T) {
	w := watched{path: filepath.Join(t.TempDir(), "altagate.yaml")}
	for i, step := range []struct {
		text string // "" removes the file
		want string
	}{
		{"a", ""},
		{"a", "a"},
		{"a", ""},
		{"half", ""},
		{"whole", ""},
		{"whole", "whole"},
		{"b", ""},
		{"whole", ""}, // a change that was taken back
		{"b", ""},
		{"", ""}, // gone between the two readings
		{"b", ""},
		{"b", "b"},
	} {
		if step.text == "" {
			if err := os.Remove(w.path); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, w.path, step.text)
		}
		data, ok := w.look()
		if ok != (step.want != "") || string(data) != step.want {
			t.Errorf("step %d: got %q, %v", i, data, ok)
		}
	}
}

func TestAFileWrittenEmptyIsAChange(t *testing.T) {
	w := watched{path: filepath.Join(t.TempDir(), "altagate.yaml"), last: []byte("a")}
	write(t, w.path, "")
	w.look()
	if data, ok := w.look(); !ok || len(data) != 0 {
		t.Errorf("got %q, %v", data, ok)
	}
}

func TestADirectoryIsNoChange(t *testing.T) {
	w := watched{path: t.TempDir()}
	w.look()
	if _, ok := w.look(); ok {
		t.Error("a directory was taken for a config")
	}
}

package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	altagatev1 "github.com/altagate/altagate/proto/altagate/v1"
)

// bolt is a file that bbolt made for somebody else.
func bolt(t *testing.T, options *bbolt.Options) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "theirs")
	db, err := bbolt.Open(path, 0o600, options)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("accounts"))
		if err != nil {
			return err
		}
		if b, err = b.CreateBucket([]byte("nested")); err != nil {
			return err
		}
		return b.Put([]byte("k"), bytes.Repeat([]byte("v"), 20000))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return bytesOf(t, path)
}

func bytesOf(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// later is a state file of the next version.
func later(t *testing.T) []byte {
	t.Helper()
	f := open(t, filepath.Join(t.TempDir(), "state"))
	save(t, f, viewings(0, 100))
	put(t, f, func(_ *bbolt.Tx, h *altagatev1.Header) error {
		h.Version = Version + 1
		return nil
	})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return bytesOf(t, f.path)
}

func TestARefusedFileIsLeftAsItIs(t *testing.T) {
	for _, c := range []struct {
		name string
		file []byte
		want error
		says string
	}{
		{"a line of text", []byte("hello\n"), ErrForeign, "is not a state file of altagate"},
		{"a long text", bytes.Repeat([]byte("routes: []\n"), 5000), ErrForeign, "is not a state file of altagate"},
		{"zeros", make([]byte, 1<<16), ErrForeign, "is not a state file of altagate"},
		{"another program's bbolt file", bolt(t, nil), ErrForeign, "is not a state file of altagate"},
		{"another program's without a list of free pages", bolt(t, &bbolt.Options{NoFreelistSync: true}), ErrForeign, "is not a state file of altagate"},
		{"a later version", later(t), ErrLater, "it has version 2, this altagate reads 1"},
		{"half a file", later(t)[:9000], ErrDamaged, "it is cut short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			if err := os.WriteFile(path, c.file, 0o640); err != nil {
				t.Fatal(err)
			}
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(path)
			if !errors.Is(err, c.want) || !strings.HasPrefix(err.Error(), path+" ") || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
			after, err := os.Stat(path)
			if err != nil || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
				t.Error("mode or time changed", err)
			}
			if !bytes.Equal(bytesOf(t, path), c.file) {
				t.Error("the content changed")
			}
		})
	}
}

func TestWhatIsNoFileIsRefused(t *testing.T) {
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a directory was opened")
	}
	if _, err := Open("/dev/null"); !errors.Is(err, ErrForeign) {
		t.Error("/dev/null:", err)
	}
	path := filepath.Join(t.TempDir(), "missing", "state")
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

func TestACrashWhileTheFileIsMadeLeavesAFileToStartWith(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	whole := bytesOf(t, path)
	for _, size := range []int{0, 80, 4095, 4096, 8192, 12288, len(whole) - 1, len(whole)} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			if err := os.WriteFile(path, whole[:size], 0o600); err != nil {
				t.Fatal(err)
			}
			f := open(t, path)
			save(t, f, viewings(0, 1))
			if d := diff(content{Records: viewings(0, 1)}, load(t, reopen(t, f))); d != "" {
				t.Error(d)
			}
		})
	}
}

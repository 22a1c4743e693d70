package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/session"
)

// sector is what a disk writes at once.
const sector = 512

// history is a file before and after its last write, and what it held.
type history struct {
	before, after         []byte
	heldBefore, heldAfter content
	pageSize              int
}

func written(tb testing.TB, sessions int) history {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "state")
	f, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	end := func(user string) []session.Revocation {
		return []session.Revocation{{User: user, Until: time.Now().Add(time.Hour), Reason: user}}
	}
	look := func() ([]byte, content) {
		b, err := os.ReadFile(path)
		records, revocations, _, err2 := f.Load()
		if err := errors.Join(err, err2); err != nil {
			tb.Fatal(err)
		}
		return b, content{records, revocations}
	}
	var h history
	err = errors.Join(f.Save(viewings(0, sessions), nil), f.Revoke(end("a"), nil), f.Revoke(end("b"), []session.ID{idNumber(3)}))
	h.before, h.heldBefore = look()
	changed := viewings(sessions/2, sessions+sessions/2)
	for i := range changed {
		changed[i].Requests += 1000
	}
	err = errors.Join(err, f.Save(changed, []session.ID{idNumber(1), idNumber(2)}))
	h.after, h.heldAfter = look()
	if err := errors.Join(err, f.Close()); err != nil {
		tb.Fatal(err)
	}
	h.pageSize = os.Getpagesize()
	return h
}

// was tells whether this is one of the two states that were written.
func (h *history) was(held content) bool {
	return reflect.DeepEqual(h.heldAfter, held) || reflect.DeepEqual(h.heldBefore, held)
}

// outcome opens a file with the given bytes. The error is nil when it opened and
// loaded.
func outcome(tb testing.TB, path string, file []byte) (content, error) {
	tb.Helper()
	if err := os.WriteFile(path, file, 0o600); err != nil {
		tb.Fatal(err)
	}
	f, err := Open(path)
	if err == nil {
		defer f.Close()
		records, revocations, _, err := f.Load()
		return content{records, revocations}, err
	}
	return content{}, err
}

// judge holds that damage gives an error that says so and leaves the file, or
// one of the two states that were written, and a file that can be written on.
func (h *history) judge(tb testing.TB, path, damage string, file []byte) (refused bool) {
	tb.Helper()
	held, err := outcome(tb, path, file)
	if err != nil {
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrForeign) {
			tb.Fatalf("%s: %v", damage, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(file) {
			tb.Fatalf("%s: the refused file was changed (%v)", damage, err)
		}
		return true
	}
	if !h.was(held) {
		tb.Fatalf("%s: what is held was never written (-written, +held): %s", damage, diff(h.heldAfter, held))
	}
	f, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	if err := f.Save(viewings(9000, 9010), nil); err != nil {
		tb.Fatalf("%s: saving on: %v", damage, err)
	}
	if records, _, _, err := f.Load(); err != nil || len(records) != len(held.Records)+10 {
		tb.Fatalf("%s: after saving on: %d sessions, %v", damage, len(records), err)
	}
	return false
}

// TestACrashInTheMiddleOfAWriteLosesThatWriteAlone plays a power cut: any part
// of a write's sectors has reached the disk, in any order, but the page that
// makes them count is written last.
func TestACrashInTheMiddleOfAWriteLosesThatWriteAlone(t *testing.T) {
	h := written(t, 300)
	path := filepath.Join(t.TempDir(), "state")
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		file := append([]byte(nil), h.before...)
		// The file grows first, and is empty there.
		file = append(file, make([]byte, max(0, len(h.after)-len(file)))...)
		reached := random.Float64()
		for at := 2 * h.pageSize; at < len(h.after); at += sector {
			if random.Float64() < reached {
				copy(file[at:at+sector], h.after[at:])
			}
		}
		held, err := outcome(t, path, file)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if !reflect.DeepEqual(h.heldBefore, held) {
			t.Fatalf("round %d: %s", round, diff(h.heldBefore, held))
		}
	}
	t.Run("in the last page", func(t *testing.T) {
		for at := range 2 * h.pageSize {
			if h.before[at] == h.after[at] {
				continue
			}
			file := append([]byte(nil), h.after...)
			copy(file[at:2*h.pageSize], h.before[at:])
			held, err := outcome(t, path, file)
			if err != nil || !h.was(held) {
				t.Fatalf("byte %d: %v", at, err)
			}
		}
	})
}

func TestADamagedFileIsRefusedOrWhole(t *testing.T) {
	h := written(t, 60)
	path := filepath.Join(t.TempDir(), "state")
	random := rand.New(rand.NewPCG(3, 4))
	whole := func() []byte { return append([]byte(nil), h.after...) }
	count, refused := 0, 0
	try := func(file []byte, format string, a ...any) {
		count++
		if h.judge(t, path, fmt.Sprintf(format, a...), file) {
			refused++
		}
	}
	pages := len(h.after) / h.pageSize
	page := func(file []byte, n int) []byte { return file[n*h.pageSize:][:h.pageSize] }
	for n := range pages {
		file := whole()
		clear(page(file, n))
		try(file, "page %d is zeros", n)

		file = whole()
		for i := range page(file, n) {
			page(file, n)[i] = byte(random.Uint32())
		}
		try(file, "page %d is noise", n)

		file = whole()
		copy(page(file, n), page(h.after, random.IntN(pages)))
		try(file, "page %d is another one", n)

		if (n+1)*h.pageSize <= len(h.before) {
			file = whole()
			copy(page(file, n), page(h.before, n))
			try(file, "page %d is an old one", n)
		}
		// The head of a page is where the structure is.
		for range 12 {
			file = whole()
			at := n*h.pageSize + random.IntN(200)
			file[at] ^= 1 << random.IntN(8)
			try(file, "byte %d is wrong", at)
		}
	}
	for size := 1; size < len(h.after); size += 1 + random.IntN(2000) {
		try(h.after[:size], "cut after %d bytes", size)
	}
	for range 150 {
		file := whole()
		at := random.IntN(len(file) - 64)
		for i := range 1 + random.IntN(63) {
			file[at+i] = byte(random.Uint32())
		}
		try(file, "bytes from %d on are noise", at)
	}
	t.Logf("%d of %d damaged files were refused; in the others nothing was hit that is in use", refused, count)
	if refused == 0 || refused == count {
		t.Error("the damage is not of both kinds")
	}
}

// sign gives a page that was changed the checksum that bbolt believes.
func sign(page []byte) {
	b := page[pageHeader:]
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	binary.NativeEndian.PutUint64(b[metaSize-8:], sum.Sum64())
}

// FuzzADamagedFile writes bytes somewhere into a file, and signs the first pages
// again if told to, so that what they lead to is damaged as well.
func FuzzADamagedFile(f *testing.F) {
	h := written(f, 60)
	for at := range uint32(8) {
		f.Add(at*uint32(h.pageSize)+8, []byte{1}, false)
		f.Add(at*8+pageHeader, []byte{3}, true)
		f.Add(at*8+pageHeader+uint32(h.pageSize), []byte{0xff, 0xff}, true)
	}
	f.Fuzz(func(t *testing.T, at uint32, bytes []byte, signed bool) {
		file := append([]byte(nil), h.after...)
		copy(file[int(at)%len(file):], bytes)
		if signed {
			sign(file)
			sign(file[h.pageSize:])
		}
		path := filepath.Join(t.TempDir(), "state")
		held, err := outcome(t, path, file)
		if err == nil && !h.was(held) {
			t.Error(diff(h.heldAfter, held))
		}
	})
}

func TestAFileThatIsCutShortWhileItIsOpenIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	f := open(t, path)
	save(t, f, viewings(0, 2000))
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := f.Load(); !errors.Is(err, ErrDamaged) {
		t.Error("load:", err)
	}
	if err := f.Save(viewings(0, 1), nil); !errors.Is(err, ErrDamaged) {
		t.Error("save:", err)
	}
}

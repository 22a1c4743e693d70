// Package state keeps sessions and operators' ends in one file, over a restart,
// a crash and a change of version. It is the only package that knows bbolt and
// the messages of proto/altagate/v1.
//
// bbolt makes a write all or nothing, whenever the process or the machine stops.
// It trusts what it reads, though, and a file that was damaged otherwise makes it
// panic or worse. So Open reads the structure of the file by itself before bbolt
// sees it (pages.go), each value carries a checksum, and the header of the file
// has the count and the sum of all values, so that a lost one shows as well.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"

	"go.etcd.io/bbolt"
)

// Version is the version of the file that this altagate writes, and the latest
// that it reads.
const Version = 1

// Why a file is refused. A refused file is left as it is, byte for byte.
var (
	ErrInUse   = errors.New("is in use by another process: stop that one, or name another file")
	ErrForeign = errors.New("is not a state file of altagate, and is left as it is: name another file")
	ErrLater   = errors.New("was written by a later altagate, and is left as it is: start that one, or name another file")
	ErrDamaged = errors.New("is damaged, and is left as it is: move it away to start without the sessions and ends in it")
)

// errClosed answers whoever writes after Close.
var errClosed = errors.New("it is closed")

// File is an open state file. Its methods may be called at the same time.
type File struct {
	path string

	mu   sync.Mutex
	disk *os.File
	db   *bbolt.DB
	// broken is set when bbolt met what it cannot handle. It may hold its own
	// locks then, so it is not called again.
	broken error
}

// Open opens the state file at path, and makes one, which only its owner may
// read, where there is none or an empty one.
func Open(path string) (*File, error) {
	disk, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // The operator names the file.
	if err != nil {
		return nil, fmt.Errorf("opening the state file: %w", err)
	}
	f := &File{path: path, disk: disk}
	if err := f.open(); err != nil {
		// That bbolt may have closed it already is no second fault.
		_ = disk.Close()
		return nil, err
	}
	return f, nil
}

func (f *File) open() error {
	made, err := f.lock()
	if err != nil {
		return err
	}
	if !made {
		if err := examine(f.disk); err != nil {
			return f.failed("reading", err)
		}
	}
	if err := f.guard(func() error { return f.start(made) }); err != nil {
		if made {
			// A full disk may have left a part of an empty file.
			_ = os.Truncate(f.path, 0)
		}
		return f.failed("opening", err)
	}
	return f.private()
}

// lock takes the lock that bbolt takes as well, so that nobody writes while the
// file is examined. It tells whether the file is to be made: it is empty, or a
// crash stopped bbolt while it made it.
func (f *File) lock() (made bool, err error) {
	info, err := f.disk.Stat()
	if err != nil {
		return false, f.failed("opening", err)
	}
	if !info.Mode().IsRegular() {
		return false, f.failed("opening", ErrForeign)
	}
	err = syscall.Flock(int(f.disk.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err != nil {
		return false, f.failed("locking", err)
	}
	if made, err = unfinished(f.disk); err != nil {
		return false, f.failed("reading", err)
	}
	if made {
		err = f.disk.Truncate(0)
	}
	if err != nil {
		return false, f.failed("making", err)
	}
	return made, nil
}

// start has bbolt open the file, and looks whether it is ours.
func (f *File) start(made bool) error {
	db, err := bbolt.Open(f.path, 0o600, &bbolt.Options{
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true,
		OpenFile:     func(string, int, os.FileMode) (*os.File, error) { return f.disk, nil },
	})
	if err != nil {
		return err
	}
	f.db = db
	if err := f.identify(); err != nil {
		_ = db.Close()
		return err
	}
	if !made {
		return nil
	}
	return syncDir(filepath.Dir(f.path))
}

// identify reads the header. A file without anything in it becomes ours: bbolt
// had made it when a crash came before the header.
func (f *File) identify() error {
	empty := false
	err := f.db.View(func(tx *bbolt.Tx) error {
		first, _ := tx.Cursor().First()
		empty = first == nil
		if empty {
			return nil
		}
		_, err := readHeader(tx)
		return err
	})
	if err != nil || !empty {
		return err
	}
	return f.db.Update(writeFirst)
}

// private takes the file from everybody else's eyes: it holds queries.
func (f *File) private() error {
	info, err := f.disk.Stat()
	if err == nil && info.Mode().Perm() != 0o600 {
		err = f.disk.Chmod(0o600)
	}
	if err != nil {
		_ = f.Close()
		return f.failed("taking group and others the rights on", err)
	}
	return nil
}

// Close closes the file. What was written is on disk already.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	db := f.db
	f.db = nil
	switch {
	case db == nil:
		return nil
	case f.broken != nil:
		return f.disk.Close()
	}
	if err := db.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return f.failed("closing", err)
	}
	return nil
}

// use calls do, one at a time, unless the file is closed or broken.
func (f *File) use(do func(db *bbolt.DB) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.broken != nil:
		return f.broken
	case f.db == nil:
		return errClosed
	}
	return f.guard(func() error { return do(f.db) })
}

// guard calls do, and makes an error of a panic, and of a fault in the memory
// that is the file, as when somebody cut it short.
func (f *File) guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damaged("%v", p)
			f.broken = err
		}
	}()
	return do()
}

// failed says of which file an error is, and what failed unless the error says
// what the file is.
func (f *File) failed(doing string, err error) error {
	for _, why := range []error{ErrInUse, ErrForeign, ErrLater, ErrDamaged} {
		if errors.Is(err, why) {
			return fmt.Errorf("%s %w", f.path, err)
		}
	}
	return fmt.Errorf("%s the state file %s: %w", doing, f.path, err)
}

// syncDir makes sure that a file which was just made is found after a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // The operator names the file.
	if err != nil {
		return fmt.Errorf("its directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("its directory: %w", err)
	}
	return nil
}

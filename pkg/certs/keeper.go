package certs

import (
	"fmt"
	"sync"
	"time"
)

// Keeper keeps the files' set that is in force. Make it with Keep; it is safe for
// concurrent use.
type Keeper struct {
	files Files
	put   func(*Set)

	mu  sync.Mutex
	set *Set
	// judged is the reading that counts, next another that was made once.
	judged, next reading
	// early is a set that is put in force when its certificate begins to be good; nil if
	// there is none.
	early *Set
}

// reading is what the files gave: their contents, or why there are none.
type reading struct {
	made  bool
	data  contents
	wrong string
}

// Keep keeps a set that Read gave, which is in force already. put is called, by
// Look, with each set that comes after it; it must not call the Keeper.
func Keep(files Files, set *Set, put func(*Set)) *Keeper {
	return &Keeper{files: files, put: put, set: set, judged: reading{made: true, data: set.contents}}
}

// Files are those that it keeps.
func (k *Keeper) Files() Files { return k.files }

// NotAfter is when the certificate in force runs out; the zero Time if there is none.
func (k *Keeper) NotAfter() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.set.NotAfter()
}

// Look reads the files. If they hold something else than at the last change, and
// the Look before read the same, so that nothing is taken half-written, it is a
// change: the new set is put in force, or err says why the old one stays so. That a
// certificate's time begins is a change too. It is called every second or so.
func (k *Keeper) Look() (changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, failure := k.read()
	switch {
	case now == k.judged:
		k.next = reading{}
		return k.begun(), nil
	case now != k.next:
		k.next = now
		return false, nil
	}
	k.judged, k.next, k.early = now, reading{}, nil
	if failure != nil {
		return true, failure
	}
	set, err := k.files.parse(now.data)
	if err != nil {
		return true, err
	}
	if end := set.NotAfter(); !end.IsZero() && time.Now().After(end) {
		return true, fmt.Errorf("certificate %s ran out at %s", k.files.Cert, end.UTC().Format(time.RFC3339))
	}
	if start := set.notBefore(); time.Now().Before(start) {
		k.early = set
		return true, fmt.Errorf("certificate %s is good from %s on, and is put in force then", k.files.Cert, start.UTC().Format(time.RFC3339))
	}
	k.take(set)
	return true, nil
}

// begun takes the set that came too early, once its time has come.
func (k *Keeper) begun() bool {
	if k.early == nil || time.Now().Before(k.early.notBefore()) {
		return false
	}
	k.take(k.early)
	k.early = nil
	return true
}

func (k *Keeper) take(set *Set) {
	k.set = set
	k.put(set)
}

func (k *Keeper) read() (reading, error) {
	data, err := k.files.read()
	if err != nil {
		return reading{made: true, wrong: err.Error()}, err
	}
	return reading{made: true, data: data}, nil
}

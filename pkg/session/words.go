package session

import (
	"hash/maphash"
	"strings"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
)

// word is a value that many sessions have in common, and that is held once for all of
// them.
type word[T comparable] struct {
	is   T
	uses int
	hash uint64
	next ref // of the same hash
}

// words are those of one kind. A word that nobody uses any longer is dropped.
type words[T comparable] struct {
	slab[word[T]]
	seed  maphash.Seed
	known map[uint64]ref
}

func newWords[T comparable]() words[T] {
	return words[T]{seed: maphash.MakeSeed(), known: map[uint64]ref{}}
}

// take gives the word for a value, of which clone makes one to keep.
func (w *words[T]) take(value T, clone func(T) T) ref {
	hash := maphash.Comparable(w.seed, value)
	for r := w.known[hash]; r != 0; {
		known := w.at(r)
		if known.is == value {
			known.uses++
			return r
		}
		r = known.next
	}
	r, made := w.slab.take()
	*made = word[T]{is: clone(value), uses: 1, hash: hash, next: w.known[hash]}
	w.known[hash] = r
	return r
}

// drop ends a use of a word.
func (w *words[T]) drop(r ref) {
	gone := w.at(r)
	if gone.uses--; gone.uses > 0 {
		return
	}
	if first := w.known[gone.hash]; first != r {
		before := w.at(first)
		for before.next != r {
			before = w.at(before.next)
		}
		before.next = gone.next
	} else if gone.next != 0 {
		w.known[gone.hash] = gone.next
	} else {
		delete(w.known, gone.hash)
	}
	w.slab.drop(r)
}

// scene is what sessions have in common that viewers of one stream opened by queries
// with the same names.
type scene struct {
	route, scheme, host string
	stream              stream.Name
	// proxy, named (the route, where the proxy named one), method and path are of the
	// check that the backend was asked about.
	proxy, named, method, path string
	// known and closed are those of the query's terms.
	known  string
	closed bool
}

// cloned keeps nothing of the check that the scene is of.
func (s scene) cloned() scene {
	for _, text := range []*string{
		&s.route, &s.scheme, &s.host, &s.stream.Text, &s.proxy, &s.named, &s.method, &s.path, &s.known,
	} {
		*text = strings.Clone(*text)
	}
	return s
}

// replyOf is what an outcome has in common with those of other viewers.
func replyOf(o check.Outcome) check.Outcome {
	o.Session, o.User, o.SessionName, o.AuthDuration, o.Err = "", "", "", 0, nil
	return o
}

func clonedReply(o check.Outcome) check.Outcome {
	o.Backend = strings.Clone(o.Backend)
	return o
}

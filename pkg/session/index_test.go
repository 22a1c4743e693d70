package session

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// link is what the tables of these tests hold. Those of one hash stand in the order in
// which they came, the newest first.
type link struct {
	hash         uint64
	next, before ref
}

func TestATableHoldsWhatIsPutIntoItInItsOrder(t *testing.T) {
	for _, both := range []bool{false, true} {
		rapid.Check(t, func(t *rapid.T) {
			var entries slab[link]
			table := newTable(
				func(r ref) uint64 { return entries.at(r).hash },
				func(r ref) (next, before *ref) {
					e := entries.at(r)
					if both {
						return &e.next, &e.before
					}
					return &e.next, nil
				})
			want := map[uint64][]ref{}
			there := []ref{}
			for range rapid.IntRange(1, 300).Draw(t, "steps") {
				if len(there) > 0 && rapid.IntRange(0, 4).Draw(t, "what") > rapid.IntRange(1, 3).Draw(t, "or") {
					i := rapid.IntRange(0, len(there)-1).Draw(t, "which")
					r := there[i]
					hash := entries.at(r).hash
					table.cut(r, hash)
					entries.drop(r)
					there = slices.Delete(there, i, i+1)
					want[hash] = slices.DeleteFunc(want[hash], func(one ref) bool { return one == r })
					continue
				}
				r, e := entries.take()
				e.hash = rapid.Uint64Range(0, 1).Draw(t, "low")<<40 | rapid.Uint64Range(0, 40).Draw(t, "hash")
				table.put(r, e.hash)
				there = append(there, r)
				want[e.hash] = slices.Insert(want[e.hash], 0, r)
			}
			for hash := range maps.Keys(want) {
				if got := chain(&entries, table, hash); !slices.Equal(got, want[hash]) {
					t.Fatalf("of %x there are %v, want %v", hash, got, want[hash])
				}
			}
			if table.size != len(there) || table.buckets() > max(1, 2*len(there)+2) {
				t.Fatalf("size %d in %d buckets, want %d", table.size, table.buckets(), len(there))
			}
		})
	}
}

// chain gives the entries of a hash.
func chain(entries *slab[link], table *table, hash uint64) (found []ref) {
	for r := *table.bucket(hash); r != 0; r = entries.at(r).next {
		if entries.at(r).hash == hash {
			found = append(found, r)
		}
	}
	return found
}

func TestATableOfManyIsGivenBackWhenTheyAreGone(t *testing.T) {
	var entries slab[link]
	table := newTable(
		func(r ref) uint64 { return entries.at(r).hash },
		func(r ref) (next, before *ref) { return &entries.at(r).next, nil })
	const many = 20_000
	refs := make([]ref, 0, many)
	for n := range uint64(many) {
		r, e := entries.take()
		e.hash = n * 0x9e3779b97f4a7c15
		table.put(r, e.hash)
		refs = append(refs, r)
	}
	if len(table.segments) < many/segmentSize/2 {
		t.Errorf("%d segments for %d", len(table.segments), many)
	}
	for _, r := range refs {
		table.cut(r, entries.at(r).hash)
		entries.drop(r)
	}
	left := 0
	for _, c := range entries.chunks {
		if c != nil {
			left++
		}
	}
	if table.buckets() != 1 || len(table.segments) != 1 || left != 1 {
		t.Errorf("%d buckets, %d segments and %d chunks are left", table.buckets(), len(table.segments), left)
	}
}

func TestASlabGivesEachSlotToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s slab[uint64]
		want := map[ref]uint64{}
		for n := range rapid.Uint64Range(1, 2000).Draw(t, "steps") {
			if len(want) > 0 && rapid.IntRange(0, 2).Draw(t, "what") == 0 {
				r := rapid.SampledFrom(slices.Sorted(maps.Keys(want))).Draw(t, "which")
				delete(want, r)
				s.drop(r)
				continue
			}
			r, value := s.take()
			if *value != 0 {
				t.Fatalf("slot %d holds %d", r, *value)
			}
			if _, taken := want[r]; taken || r == 0 || r >= s.end() {
				t.Fatalf("slot %d is taken or none", r)
			}
			*value = n + 1
			want[r] = n + 1
		}
		for r, value := range want {
			if got := *s.at(r); got != value {
				t.Fatalf("slot %d holds %d, want %d", r, got, value)
			}
		}
	})
}

func TestTheAgendaGivesWhatIsDueFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sessions slab[session]
		a := agenda{slab: &sessions}
		want := map[ref]instant{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			at := instant(rapid.Int64Range(1, 50).Draw(t, "at"))
			kind := rapid.IntRange(0, 3).Draw(t, "what")
			if kind < 2 || len(want) == 0 {
				r, n := sessions.take()
				n.ref = r
				a.push(n, at)
				want[r] = at
				continue
			}
			r := rapid.SampledFrom(slices.Sorted(maps.Keys(want))).Draw(t, "which")
			if n := sessions.at(r); kind == 2 {
				a.move(n, at)
				want[r] = at
			} else {
				a.remove(n)
				sessions.drop(r)
				delete(want, r)
			}
		}
		for len(want) > 0 {
			n := a.first()
			if first := slices.Min(slices.Collect(maps.Values(want))); a.when(n) != first || want[n.ref] != first {
				t.Fatalf("first is %d, want %d", a.when(n), first)
			}
			a.remove(n)
			delete(want, n.ref)
		}
		if a.first() != nil {
			t.Fatal("somebody is left")
		}
	})
}

func TestAWordIsHeldOnceAndAsLongAsItIsUsed(t *testing.T) {
	w := newWords[string]()
	same := func(s string) string { return s }
	a, b := w.take("a", same), w.take("b", same)
	if again := w.take("a", same); again != a || a == b {
		t.Error("one word for one value")
	}
	w.drop(a)
	if len(w.known) != 2 {
		t.Error("a word that is used is gone")
	}
	w.drop(a)
	w.drop(b)
	if len(w.known) != 0 {
		t.Errorf("left: %v", w.known)
	}
	// Three of one hash.
	c, d, e := w.take("c", same), w.take("d", same), w.take("e", same)
	clear(w.known)
	for r, next := range map[ref]ref{c: d, d: e, e: 0} {
		w.at(r).hash, w.at(r).next = 7, next
	}
	w.known[7] = c
	w.drop(d)
	if w.known[7] != c || w.at(c).next != e {
		t.Error("the words beside it went with it")
	}
	w.drop(c)
	if w.known[7] != e || w.at(e).is != "e" {
		t.Error("the word after it went with it")
	}
	w.drop(e)
	if len(w.known) != 0 {
		t.Errorf("left: %v", w.known)
	}
}

package session

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// disorderOfSlots gives where what sessions have by a ref, and who has it, disagree.
func disorderOfSlots(s *Store, all []*session) string {
	rules, scenes, agents, replies := map[ref]int{}, map[ref]int{}, map[ref]int{}, map[ref]int{}
	rares, accounts := map[ref]int{}, map[ref]int{}
	for _, n := range all {
		rules[n.rules]++
		scenes[n.scene]++
		agents[n.agent]++
		replies[n.reply]++
		rares[n.rare]++
		accounts[n.account]++
	}
	delete(rares, 0)
	delete(accounts, 0)
	for r, n := range rares {
		if n != 1 {
			return fmt.Sprintf("%d sessions have the same rare, %d", n, r)
		}
	}
	for r, n := range accounts {
		if int(s.accounts.at(r).count) != n {
			return fmt.Sprintf("a user counts %d sessions, and has %d", s.accounts.at(r).count, n)
		}
	}
	for what, wrong := range map[string]string{
		"sessions": disorderOfSlab(&s.sessions, len(all)), "accounts": disorderOfSlab(&s.accounts, len(accounts)),
		"rares": disorderOfSlab(&s.rares, len(rares)), "rules": disorderOfWords(&s.ruled, rules), "scenes": disorderOfWords(&s.scenes, scenes),
		"agents": disorderOfWords(&s.agents, agents), "replies": disorderOfWords(&s.replies, replies),
	} {
		if wrong != "" {
			return what + ": " + wrong
		}
	}
	if len(accounts) != s.users.size {
		return fmt.Sprintf("%d users are indexed, and %d have sessions", s.users.size, len(accounts))
	}
	return ""
}

// disorderOfWords gives what is wrong about words that should have just these uses.
func disorderOfWords[T comparable](w *words[T], uses map[ref]int) string {
	counted, is := map[ref]int{}, map[T]bool{}
	for hash, r := range w.known {
		for ; r != 0; r = w.at(r).next {
			counted[r] = w.at(r).uses
			if is[w.at(r).is] || w.at(r).hash != hash {
				return "a word is there twice, or out of its place"
			}
			is[w.at(r).is] = true
		}
	}
	if !maps.Equal(counted, uses) {
		return fmt.Sprintf("the uses are %v, and are counted as %v", uses, counted)
	}
	return disorderOfSlab(&w.slab, len(uses))
}

// disorderOfSlab gives what is wrong about a slab that should have so many values.
func disorderOfSlab[T any](s *slab[T], values int) string {
	used := 0
	for n, c := range s.rooms {
		open := s.open[n/64]>>(n%64)&1 == 1
		switch {
		case (c == nil) != (s.chunks[n] == nil), c == nil && !open, open && n/64 < s.lowest:
			return "a chunk with room is not known"
		case c == nil:
			continue
		case open != (c.used < chunkSize), c.used == 0 && n > 0:
			return "a chunk is not where it should be"
		}
		used += c.used
		free := 0
		for i := c.free; i != chunkSize; i = c.next[i] {
			if free++; free > chunkSize || !reflect.ValueOf(&s.chunks[n][i]).Elem().IsZero() {
				return "what is free is not empty"
			}
		}
		if free+c.used != chunkSize {
			return "what is not used is not free"
		}
	}
	if used != values {
		return fmt.Sprintf("%d slots are used, for %d values", used, values)
	}
	return ""
}

// left gives what is left of sessions once all are over, and the room of a rush.
func left(s *Store) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.count != 0 || len(s.agenda.of) != 0 || s.paid != (roll{}) || s.provisional != (roll{}):
		return "there are sessions"
	case len(s.ruled.known)+len(s.scenes.known)+len(s.agents.known)+len(s.replies.known) != 0:
		return "there are words"
	}
	for _, t := range []*table{s.byID, s.byPlace, s.byExact, s.addresses, s.users} {
		if t.size != 0 || t.buckets() > 1 || t.segments[0][0] != 0 || len(t.segments) != 1 {
			return "a table has entries, or buckets for them"
		}
	}
	for i, b := range s.texts.blocks {
		if b != nil && (b.live != 0 || uint32(i) != s.texts.current) {
			return "there are texts"
		}
	}
	return disorderOfSlots(s, nil)
}

// TestASlabIsAsAMapOfWhatItHolds takes and drops at random: each value stays what it was
// where it was, and a free slot is empty.
func TestASlabIsAsAMapOfWhatItHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s slab[[2]uint64]
		is := map[ref]uint64{}
		for n := range uint64(rapid.IntRange(1, 40).Draw(t, "rushes")) {
			if rapid.Bool().Draw(t, "more") {
				for i := range uint64(rapid.IntRange(1, 400).Draw(t, "taken")) {
					r, v := s.take()
					if _, used := is[r]; used || *v != [2]uint64{} || r == 0 || r >= s.end() {
						t.Fatalf("slot %d is not free", r)
					}
					v[1] = n<<32 + i + 1
					is[r] = v[1]
				}
			} else {
				refs := slices.Sorted(maps.Keys(is))
				every := rapid.IntRange(1, 4).Draw(t, "every")
				for i := 0; i < len(refs); i += every {
					s.drop(refs[i])
					delete(is, refs[i])
				}
			}
			for r, v := range is {
				if s.at(r)[1] != v || s.look(r)[1] != v {
					t.Fatalf("slot %d holds what is not its", r)
				}
			}
			if wrong := disorderOfSlab(&s, len(is)); wrong != "" {
				t.Fatal(wrong)
			}
		}
	})
}

// TestATableFindsWhatItHasAmongEqualHashes has few hashes for many entries, of a table
// with links both ways and of one with links one way.
func TestATableFindsWhatItHasAmongEqualHashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 3000
		both, hashes := rapid.Bool().Draw(t, "both ways"), rapid.Uint64Range(1, 5000).Draw(t, "hashes")
		var nexts, befores [most + 1]ref
		hash := func(r ref) uint64 { return uint64(r) % hashes * 0x9E3779B97F4A7C15 }
		table := newTable(hash, func(r ref) (next, before *ref) {
			if both {
				return &nexts[r], &befores[r]
			}
			return &nexts[r], nil
		})
		in := map[ref]bool{}
		for range rapid.IntRange(1, 20).Draw(t, "rushes") {
			put, from := rapid.Bool().Draw(t, "put"), rapid.IntRange(1, most).Draw(t, "from")
			for i := range rapid.IntRange(1, most).Draw(t, "many") {
				switch r := ref((from+i*7)%most + 1); {
				case put && !in[r]:
					table.put(r, hash(r))
					in[r] = true
				case !put && in[r]:
					table.cut(r, hash(r))
					delete(in, r)
				}
			}
			if wrong := disorderOfTable(table, in); wrong != "" {
				t.Fatal(wrong)
			}
		}
	})
}

func disorderOfTable(t *table, in map[ref]bool) string {
	found := map[ref]bool{}
	for at := range t.buckets() {
		before := ref(0)
		for r := *t.numbered(at); r != 0; {
			next, back := t.links(r)
			if found[r] || t.bucket(t.hash(r)) != t.numbered(at) || back != nil && *back != before {
				return fmt.Sprintf("entry %d is out of its place", r)
			}
			found[r] = true
			before, r = r, *next
		}
	}
	if t.size != len(in) || !maps.Equal(found, in) {
		return fmt.Sprintf("%d entries are there, %d are counted, and should be %d", len(found), t.size, len(in))
	}
	if t.buckets() > 1 && t.buckets()/2 > t.size {
		return "it has not shrunk"
	}
	return ""
}

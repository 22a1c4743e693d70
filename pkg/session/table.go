package session

// segmentSize is how many buckets are allocated at a time.
const segmentSize = 1024

// table is an index of entries by a hash: buckets of chains, whose links are in the
// entries themselves, so that it takes 4 bytes an entry beside them. It grows and
// shrinks by one bucket at a time (linear hashing), so that nobody waits for it.
type table struct {
	// segments hold the first entry of each bucket.
	segments [][]ref
	// There are 1<<level + split buckets; those before split have a twin already.
	level uint
	split int
	size  int
	// hash is that of an entry in the table.
	hash func(ref) uint64
	// links are where an entry keeps the next one of its bucket and the one before it;
	// before is nil where it keeps none.
	links func(ref) (next, before *ref)
}

func newTable(hash func(ref) uint64, links func(ref) (next, before *ref)) *table {
	return &table{segments: [][]ref{make([]ref, segmentSize)}, hash: hash, links: links}
}

func (t *table) buckets() int { return 1<<t.level + t.split }

// bucket is where the first entry of a hash's bucket is kept.
func (t *table) bucket(hash uint64) *ref {
	at := int(hash & (1<<(t.level+1) - 1)) //nolint:gosec // of a few bits
	if at >= t.buckets() {
		at -= 1 << t.level
	}
	return t.numbered(at)
}

func (t *table) numbered(at int) *ref { return &t.segments[at/segmentSize][at%segmentSize] }

// put adds an entry as the first of its bucket.
func (t *table) put(r ref, hash uint64) {
	head := t.bucket(hash)
	next, before := t.links(r)
	*next = *head
	if before != nil {
		*before = 0
		t.follows(*head, r)
	}
	*head = r
	if t.size++; t.size > t.buckets() {
		t.grow()
	}
}

// follows has an entry know the one before it.
func (t *table) follows(r, before ref) {
	if r == 0 {
		return
	}
	if _, p := t.links(r); p != nil {
		*p = before
	}
}

// where is what names an entry: its bucket, or the entry before it.
func (t *table) where(r ref, hash uint64) *ref {
	if _, before := t.links(r); before != nil && *before != 0 {
		next, _ := t.links(*before)
		return next
	}
	at := t.bucket(hash)
	for *at != r {
		at, _ = t.links(*at)
	}
	return at
}

// cut takes an entry out.
func (t *table) cut(r ref, hash uint64) {
	at := t.where(r, hash)
	next, before := t.links(r)
	*at = *next
	if before != nil {
		t.follows(*next, *before)
		*before = 0
	}
	*next = 0
	for t.size--; t.size < t.buckets()/2; {
		t.shrink()
	}
}

// swap puts an entry in the place of another with the same hash. It is for tables whose
// entries do not know the one before.
func (t *table) swap(old, r ref, hash uint64) {
	at := t.where(old, hash)
	from, _ := t.links(old)
	to, _ := t.links(r)
	*to, *from, *at = *from, 0, r
}

// grow divides one bucket between itself and its twin. The entries of each keep their
// order.
func (t *table) grow() {
	old, twin, bit := t.split, t.buckets(), uint64(1)<<t.level
	if twin/segmentSize == len(t.segments) {
		t.segments = append(t.segments, make([]ref, segmentSize))
	}
	if t.split++; t.split == 1<<t.level {
		t.level, t.split = t.level+1, 0
	}
	ends := [2]*ref{t.numbered(old), t.numbered(twin)}
	last := [2]ref{}
	r := *ends[0]
	for r != 0 {
		next, before := t.links(r)
		side := 0
		if t.hash(r)&bit != 0 {
			side = 1
		}
		*ends[side] = r
		if before != nil {
			*before = last[side]
		}
		ends[side], last[side] = next, r
		r = *next
	}
	*ends[0], *ends[1] = 0, 0
}

// shrink has the last bucket's entries go to the end of its twin's.
func (t *table) shrink() {
	if t.split == 0 {
		t.level, t.split = t.level-1, 1<<(t.level-1)
	}
	t.split--
	gone := t.buckets()
	from := t.numbered(gone)
	last, end := ref(0), t.numbered(t.split)
	for *end != 0 {
		last = *end
		end, _ = t.links(last)
	}
	*end = *from
	t.follows(*from, last)
	*from = 0
	if gone%segmentSize == 0 && gone > 0 {
		t.segments[gone/segmentSize] = nil
		t.segments = t.segments[:gone/segmentSize]
	}
}

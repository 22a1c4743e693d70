package session

import "math/bits"

// ref names a slot of a slab. 0 names none.
type ref uint32

// chunkSize is how many slots are allocated at a time: as many sessions as nearly fill
// one of the sizes that Go allocates. With 128 a twelfth of each chunk is left over.
const chunkSize = 116

// slab holds many values of a type with nothing between them, and names them by numbers
// of half a pointer's size. The lowest slots are used first, and a chunk without any
// value is given back, so that a slab shrinks after a rush. A slot stays where it is as
// long as it is used; whoever keeps a ref must know that it still is.
type slab[T any] struct {
	// chunks are nil where they are given back; what is free in each is in rooms, apart
	// from what every look at a slot goes by.
	chunks []*[chunkSize]T
	rooms  []*room
	// open has a bit for each chunk with room, those that are given back among them.
	open []uint64
	// lowest is the first word of open that can have a bit.
	lowest int
}

type room struct {
	used int
	// free is the first free slot, and next the one after each; chunkSize ends them.
	free uint8
	next [chunkSize]uint8
}

func newRoom() *room {
	c := &room{}
	for i := range c.next {
		c.next[i] = uint8(i + 1) //nolint:gosec // at most chunkSize
	}
	return c
}

// at is what a slot in use holds.
func (s *slab[T]) at(r ref) *T {
	i := r - 1
	return &s.chunks[i/chunkSize][i%chunkSize]
}

// take gives a slot with a zero value.
func (s *slab[T]) take() (ref, *T) {
	n := s.withRoom()
	c := s.rooms[n]
	if c == nil {
		c = newRoom()
		s.chunks[n], s.rooms[n] = new([chunkSize]T), c
	}
	i := c.free
	c.free = c.next[i]
	c.used++
	if c.used == chunkSize {
		s.open[n/64] &^= 1 << (n % 64)
	}
	return ref(n*chunkSize + int(i) + 1), &s.chunks[n][i] //nolint:gosec // Config.Limit is far below 1<<32.
}

// withRoom is the number of the first chunk with room.
func (s *slab[T]) withRoom() int {
	for ; s.lowest < len(s.open); s.lowest++ {
		if word := s.open[s.lowest]; word != 0 {
			return s.lowest*64 + bits.TrailingZeros64(word)
		}
	}
	n := len(s.chunks)
	s.chunks, s.rooms = append(s.chunks, nil), append(s.rooms, nil)
	if n/64 == len(s.open) {
		s.open = append(s.open, 0)
	}
	s.lowest = n / 64
	s.open[s.lowest] |= 1 << (n % 64)
	return n
}

// drop gives a slot back. The first chunk stays, so that a value which comes and goes
// costs no chunk each time.
func (s *slab[T]) drop(r ref) {
	n, i := int(r-1)/chunkSize, int(r-1)%chunkSize
	c := s.rooms[n]
	var none T
	s.chunks[n][i] = none
	c.next[i], c.free = c.free, uint8(i) //nolint:gosec // below chunkSize
	c.used--
	s.open[n/64] |= 1 << (n % 64)
	s.lowest = min(s.lowest, n/64)
	if c.used == 0 && n > 0 {
		s.chunks[n], s.rooms[n] = nil, nil
	}
}

// end is a ref above all that are used.
func (s *slab[T]) end() ref { return ref(len(s.chunks)*chunkSize + 1) } //nolint:gosec // as in take

// look is what a slot holds, used or not; nil where there is none.
func (s *slab[T]) look(r ref) *T {
	if c := s.chunks[(r-1)/chunkSize]; c != nil {
		return &c[(r-1)%chunkSize]
	}
	return nil
}

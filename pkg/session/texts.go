package session

import "strings"

// blockSize is how many bytes of texts are allocated at a time.
const blockSize = 32 << 10

// texts are what each session alone has, many in one block. A block is written from its
// beginning to its end and never changed: what was read of it stays as it was, for as
// long as somebody holds it, whatever becomes of the session. A string of its own for
// each of a million sessions would have the garbage collection look at a million things.
//
// When more than half of a block is of sessions that are over, those that live are
// written once more elsewhere, and the block is given up.
type texts struct {
	blocks []*block
	// whole are the blocks as far as they are written.
	whole []string
	// unused are the numbers of blocks that were given up.
	unused []uint32
	// current is the number of the block that is being written.
	current uint32
}

// block is a number of texts, and whose they are.
type block struct {
	text   strings.Builder
	owners []ref
	live   int // bytes of text
}

// passage is where a text is, and where its parts end in it: the id, the query, X-UserId
// and X-Session-Name.
type passage struct {
	block, start                      uint32
	endOfQuery, endOfUser, endOfWhole uint32
}

// text is what a session alone has.
func (s *Store) text(n *session) string {
	p := &n.passage
	return s.texts.whole[p.block][p.start : p.start+p.endOfWhole]
}

// write writes what a session alone has, which has no text yet or no longer.
func (s *Store) write(n *session, id, query, user, name string) {
	size := len(id) + len(query) + len(user) + len(name)
	b := s.blockFor(size)                                    // While the session has no text: a block may be sifted.
	n.block, n.start = s.texts.current, uint32(b.text.Len()) //nolint:gosec // A block is small.
	n.endOfQuery = uint32(len(id) + len(query))              //nolint:gosec // No request is that long.
	n.endOfUser = n.endOfQuery + uint32(len(user))           //nolint:gosec // Nor an answer.
	n.endOfWhole = n.endOfUser + uint32(len(name))           //nolint:gosec // The same.
	for _, part := range [...]string{id, query, user, name} {
		b.text.WriteString(part)
	}
	s.texts.whole[n.block] = b.text.String()
	b.owners = append(b.owners, n.ref)
	b.live += size
}

// blockFor is the current block, with room for a text.
func (s *Store) blockFor(size int) *block {
	t := &s.texts
	if len(t.blocks) > 0 {
		b := t.blocks[t.current]
		if b.text.Len()+size <= b.text.Cap() {
			return b
		}
		full := t.current
		t.begin(size)
		s.sift(full) // It may have been of those that are over.
		if b = t.blocks[t.current]; b.text.Len()+size <= b.text.Cap() {
			return b
		}
	}
	return t.begin(size)
}

// begin begins a block.
func (t *texts) begin(size int) *block {
	b := &block{}
	b.text.Grow(max(size, blockSize))
	if last := len(t.unused) - 1; last >= 0 {
		t.current, t.unused = t.unused[last], t.unused[:last]
		t.blocks[t.current] = b
		return b
	}
	t.current = uint32(len(t.blocks)) //nolint:gosec // A block holds many sessions.
	t.blocks, t.whole = append(t.blocks, b), append(t.whole, "")
	return b
}

// erase notes that nobody needs a session's text any longer.
func (s *Store) erase(n *session) {
	s.texts.blocks[n.block].live -= int(n.endOfWhole)
	n.endOfWhole = 0
	if n.block != s.texts.current {
		s.sift(n.block)
	}
}

// sift gives a block up if more than half of it is of no use.
func (s *Store) sift(number uint32) {
	t := &s.texts
	b := t.blocks[number]
	if b.live > b.text.Len()/2 {
		return
	}
	// First of all, so that nothing is written to it, and nobody sifts it again.
	t.blocks[number] = nil
	whole := t.whole[number]
	for _, owner := range b.owners {
		n := s.sessions.look(owner)
		if n == nil || n.ref != owner || n.block != number || n.endOfWhole == 0 {
			continue
		}
		text := whole[n.start : n.start+n.endOfWhole]
		n.endOfWhole = 0
		s.write(n, text[:idSize], text[idSize:n.endOfQuery], text[n.endOfQuery:n.endOfUser], text[n.endOfUser:])
	}
	t.whole[number] = ""
	t.unused = append(t.unused, number)
}

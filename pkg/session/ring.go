package session

// A session stands in three orders by its last use, the last used first.
const (
	ofAll = iota
	ofAddress
	ofUser
	orders
)

// ring links a session with those used just before and after it. The last is linked
// with the first.
type ring struct{ later, earlier ref }

// roll is the sessions of one order.
type roll struct {
	first ref
	count uint32
}

// pushFront adds a session to a roll, as the last used.
func (s *Store) pushFront(in *roll, order int, n *session) {
	s.pushBack(in, order, n)
	in.first = n.ref
}

// pushBack adds a session to a roll, as the longest idle.
func (s *Store) pushBack(in *roll, order int, n *session) {
	in.count++
	mine := &n.rings[order]
	if in.first == 0 {
		mine.later, mine.earlier = n.ref, n.ref
		in.first = n.ref
		return
	}
	first := s.at(in.first)
	mine.later, mine.earlier = first.rings[order].later, in.first
	s.at(mine.later).rings[order].earlier = n.ref
	first.rings[order].later = n.ref
}

// unlink takes a session out of a roll.
func (s *Store) unlink(in *roll, order int, n *session) {
	in.count--
	mine := &n.rings[order]
	switch {
	case in.count == 0:
		in.first = 0
	default:
		s.at(mine.later).rings[order].earlier = mine.earlier
		s.at(mine.earlier).rings[order].later = mine.later
		if in.first == n.ref {
			in.first = mine.earlier
		}
	}
	*mine = ring{}
}

// toFront notes that a session was used.
func (s *Store) toFront(in *roll, order int, n *session) {
	if in.first != n.ref {
		s.unlink(in, order, n)
		s.pushFront(in, order, n)
	}
}

func (s *Store) toBack(in *roll, order int, n *session) {
	s.unlink(in, order, n)
	s.pushBack(in, order, n)
}

// longestIdle gives the sessions of a roll, the longest idle first. The one that was
// given may be taken out.
func (s *Store) longestIdle(of roll, order int) func(yield func(*session) bool) {
	return func(yield func(*session) bool) {
		if of.first == 0 {
			return
		}
		r := s.at(of.first).rings[order].later
		for range of.count {
			n := s.at(r)
			r = n.rings[order].later
			if !yield(n) {
				return
			}
		}
	}
}

// lastUsed gives the sessions of a roll, the last used first.
func (s *Store) lastUsed(of roll, order int) func(yield func(*session) bool) {
	return func(yield func(*session) bool) {
		r := of.first
		for range of.count {
			n := s.at(r)
			r = n.rings[order].earlier
			if !yield(n) {
				return
			}
		}
	}
}

// leader is the last used session of an address, which holds how many there are; nil if
// there is none.
func (s *Store) leader(of network) *session {
	for r := *s.addresses.bucket(of.hash(s.seed)); r != 0; {
		n := s.at(r)
		if n.network() == of {
			return n
		}
		r = n.nextAddress
	}
	return nil
}

// together is the roll of an address.
func (s *Store) together(of network) roll {
	n := s.leader(of)
	if n == nil {
		return roll{}
	}
	return roll{n.ref, n.leads}
}

// change changes the roll of an address.
func (s *Store) change(of network, how func(*roll)) {
	before := s.together(of)
	if before.first != 0 {
		s.at(before.first).leads = 0
	}
	after := before
	how(&after)
	hash := of.hash(s.seed)
	switch {
	case after.first == before.first:
	case before.first == 0:
		s.addresses.put(after.first, hash)
	case after.first == 0:
		s.addresses.cut(before.first, hash)
	default:
		s.addresses.swap(before.first, after.first, hash)
	}
	if after.first != 0 {
		s.at(after.first).leads = after.count
	}
}

package session

import (
	"encoding/hex"
	"hash/maphash"

	"github.com/altagate/altagate/pkg/check"
)

func (s *Store) makeTables() {
	s.byID = newTable(
		func(r ref) uint64 { return hashOfID(s.seed, s.idText(s.at(r))) },
		func(r ref) (next, before *ref) { return &s.at(r).nextID, nil })
	s.byPlace = newTable(
		func(r ref) uint64 { p := s.place(s.at(r)); return p.hash(s.seed) },
		func(r ref) (next, before *ref) { n := s.at(r); return &n.older, &n.newer })
	s.byExact = newTable(
		func(r ref) uint64 { return s.exactHash(s.at(r), s.seed) },
		func(r ref) (next, before *ref) { return &s.at(r).nextExact, nil })
	s.addresses = newTable(
		func(r ref) uint64 { return s.at(r).network().hash(s.seed) },
		func(r ref) (next, before *ref) { return &s.at(r).nextAddress, nil })
	s.users = newTable(
		func(r ref) uint64 { return s.user(s.at(s.accounts.at(r).first)).hash(s.seed) },
		func(r ref) (next, before *ref) { return &s.accounts.at(r).next, nil })
}

func (s *Store) at(r ref) *session { return s.sessions.at(r) }

func hashOfID(seed maphash.Seed, text string) uint64 { return maphash.String(seed, text) }

func (s *Store) exactHash(n *session, seed maphash.Seed) uint64 {
	terms := s.terms(n)
	e := exact{s.place(n), terms.query}
	return e.hash(seed)
}

// withID is the session with an id; nil if there is none.
func (s *Store) withID(id ID) *session {
	var room [idSize]byte
	hex.Encode(room[:], id[:])
	for r := *s.byID.bucket(maphash.Bytes(s.seed, room[:])); r != 0; {
		n := s.at(r)
		if s.idText(n) == string(room[:]) {
			return n
		}
		r = n.nextID
	}
	return nil
}

// withText is the session with an id as logs spell it; nil if there is none.
func (s *Store) withText(text string) *session {
	id, ok := parseID(text)
	if !ok {
		return nil
	}
	return s.withID(id)
}

// newest is the newest session in a place; nil if there is none.
func (s *Store) newest(p *place) *session {
	r := *s.byPlace.bucket(p.hash(s.seed))
	if r == 0 {
		return nil
	}
	if n := s.at(r); !s.isAt(n, p) {
		return s.older(n, p)
	}
	return s.at(r)
}

// older is the session in a place that is next older than another; nil if there is none.
func (s *Store) older(n *session, p *place) *session {
	for n.older != 0 {
		if n = s.at(n.older); s.isAt(n, p) {
			return n
		}
	}
	return nil
}

// newestBeside is the newest session in the place that one is in.
func (s *Store) newestBeside(n *session, p *place) *session {
	found := n
	for n.newer != 0 {
		if n = s.at(n.newer); s.isAt(n, p) {
			found = n
		}
	}
	return found
}

// exactly is the session in a place whose allowed query is a request's; nil if there is
// none.
func (s *Store) exactly(p *place, query string) *session {
	e := exact{*p, query}
	for r := *s.byExact.bucket(e.hash(s.seed)); r != 0; {
		n := s.at(r)
		if terms := s.terms(n); terms.query == query && s.isAt(n, p) {
			return n
		}
		r = n.nextExact
	}
	return nil
}

// insert puts a session that was made into every index. There is room for it.
func (s *Store) insert(n *session) {
	r := n.ref
	s.count++
	s.byID.put(r, hashOfID(s.seed, s.idText(n)))
	p := s.place(n)
	s.byPlace.put(r, p.hash(s.seed))
	s.byExact.put(r, s.exactHash(n, s.seed))
	s.pushFront(s.order(n), ofAll, n)
	s.change(n.network(), func(mine *roll) { s.pushFront(mine, ofAddress, n) })
	if !s.displaced(n) {
		s.enrol(n)
	}
	s.agenda.push(n, s.next(n, n.started))
	s.mark(n)
	if s.agenda.first() == n {
		s.nudge()
	}
}

// order is the roll that a session stands in by its last use.
func (s *Store) order(n *session) *roll {
	if n.provisional {
		return &s.provisional
	}
	return &s.paid
}

// remove takes a session out of every index, and out of the Store.
func (s *Store) remove(n *session) {
	s.byID.cut(n.ref, hashOfID(s.seed, s.idText(n)))
	p := s.place(n)
	s.byPlace.cut(n.ref, p.hash(s.seed))
	s.byExact.cut(n.ref, s.exactHash(n, s.seed))
	s.unlink(s.order(n), ofAll, n)
	s.change(n.network(), func(mine *roll) { s.unlink(mine, ofAddress, n) })
	s.disenrol(n)
	s.agenda.remove(n)
	s.mark(n)
	s.count--
	s.release(n)
}

// alive tells whether a session is in the Store.
func (n *session) alive() bool { return n.ref != 0 }

// finish ends a session, and says so, unless a limit has ended it before.
func (s *Store) finish(n *session, why EndReason) {
	if !s.displaced(n) {
		s.events = append(s.events, s.ending(n, why))
	}
	s.remove(n)
}

// ending is the event of a session's end.
func (s *Store) ending(n *session, why EndReason) check.SessionEnded {
	return check.SessionEnded{
		SessionInfo: s.words(n), Started: s.time(n.started), Last: s.time(n.last), Requests: uint64(n.requests), Reason: string(why),
	}
}

// words describes a session for events.
func (s *Store) words(n *session) check.SessionInfo {
	at, o := s.scene(n), s.outcome(n)
	return check.SessionInfo{
		ID: s.idText(n), Route: at.route, Host: at.host, Stream: at.stream.String(), Addr: n.address(), UserAgent: s.agent(n),
		Backend: o.Backend, User: o.User, Name: o.SessionName, Provisional: n.provisional,
	}
}

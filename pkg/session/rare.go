package session

// rare is what few sessions have.
type rare struct {
	// query and clear are those of the terms, where they are not the query that the
	// backend was asked with.
	query, clear *string
	// spared is when the last request came that joined another session, but may have
	// been of this one.
	spared instant
	// active is when it counts as having asked last, as far as a limit goes, where that is
	// not when it did.
	active instant
	// returned is when the backend of a provisional session was first seen to be back.
	returned instant
	// held is set once a limit has ended the session: until then what was its is
	// denied. judged is that there was no place for it.
	held   instant
	judged judgement
	// After a failure the session's question is not repeated before retry.
	failures int
	retry    instant
	// from are the addresses that joined by the id, the viewer's own apart.
	from []visit
	// hand is the signed id to hand to the viewer, and signedBy what has signed it;
	// empty where none is.
	hand     string
	signedBy *Keys
}

// rare is what few sessions have, to be read; nil where this one has nothing of it.
func (s *Store) rare(n *session) *rare {
	if n.rare == 0 {
		return nil
	}
	return s.rares.at(n.rare)
}

// more is the same, to be changed.
func (s *Store) more(n *session) *rare {
	if n.rare == 0 {
		n.rare, _ = s.rares.take()
	}
	return s.rares.at(n.rare)
}

// judgement is that there was no place, as long as nobody came or went.
type judgement struct {
	changes uint64
	at      instant
}

// visit is an address that joined by the id, and when it did last.
type visit struct {
	addr network
	last instant
}

// held is until when what was the session's is denied; 0 if no limit has ended it.
func (s *Store) held(n *session) instant {
	if rare := s.rare(n); rare != nil {
		return rare.held
	}
	return 0
}

func (s *Store) returned(n *session) instant {
	if rare := s.rare(n); rare != nil {
		return rare.returned
	}
	return 0
}

func (s *Store) retry(n *session) instant {
	if rare := s.rare(n); rare != nil {
		return rare.retry
	}
	return 0
}

func (s *Store) failures(n *session) int {
	if rare := s.rare(n); rare != nil {
		return rare.failures
	}
	return 0
}

// hand is the signed id to hand to the viewer; empty where there is none.
func (s *Store) hand(n *session) string {
	if rare := s.rare(n); rare != nil {
		return rare.hand
	}
	return ""
}

func (s *Store) signedBy(n *session) *Keys {
	if rare := s.rare(n); rare != nil {
		return rare.signedBy
	}
	return nil
}

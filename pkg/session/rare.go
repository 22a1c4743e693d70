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

// more is what few sessions have, to be changed.
func (n *session) more() *rare {
	if n.rare == nil {
		n.rare = &rare{}
	}
	return n.rare
}

// visit is an address that joined by the id, and when it did last.
type visit struct {
	addr network
	last instant
}

// held is until when what was the session's is denied; 0 if no limit has ended it.
func (n *session) held() instant {
	if n.rare == nil {
		return 0
	}
	return n.rare.held
}

func (n *session) returned() instant {
	if n.rare == nil {
		return 0
	}
	return n.rare.returned
}

func (n *session) retry() instant {
	if n.rare == nil {
		return 0
	}
	return n.rare.retry
}

func (n *session) failures() int {
	if n.rare == nil {
		return 0
	}
	return n.rare.failures
}

// hand is the signed id to hand to the viewer; empty where there is none.
func (n *session) hand() string {
	if n.rare == nil {
		return ""
	}
	return n.rare.hand
}

func (n *session) signedBy() *Keys {
	if n.rare == nil {
		return nil
	}
	return n.rare.signedBy
}

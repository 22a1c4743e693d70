package session

import (
	"maps"
	"slices"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
)

// holds are the ends that operators ordered and that still hold.
type holds struct {
	places map[place]time.Time
	users  map[string]time.Time
	ids    map[ID]heldID
}

// heldID is the place of an ended session, so that its id is of no account
// elsewhere.
type heldID struct {
	place place
	until time.Time
}

func newHolds() holds {
	return holds{places: map[place]time.Time{}, users: map[string]time.Time{}, ids: map[ID]heldID{}}
}

// against tells whether an end holds against a viewer on a stream that a request
// may belong to, whatever the request carries.
func (h *holds) against(rules *Rules, r *check.Request, names []stream.Name, now time.Time) bool {
	if len(h.places) == 0 {
		return false
	}
	p := placeOf(rules, r, stream.Name{})
	for _, name := range names {
		p.stream = name
		if now.Before(h.places[p]) {
			return true
		}
	}
	return false
}

// user tells whether an end holds against a user.
func (h *holds) user(name string, now time.Time) bool {
	return name != "" && now.Before(h.users[name])
}

// id tells whether an end holds against an id that a request carries.
func (h *holds) id(id ID, f *finder) bool {
	held, ok := h.ids[id]
	return ok && f.time.Before(held.until) && held.place.route == f.rules.Route && held.place.host == f.request.Host &&
		slices.Contains(f.names, held.place.stream)
}

// add puts an operator's end into force.
func (h *holds) add(r Revocation) {
	p := place{route: r.Route, scheme: r.Scheme, host: r.Host, stream: r.Stream, viewer: viewer{addr: networkOf(r.Viewer), userAgent: r.UserAgent}}
	switch {
	case r.User != "":
		h.users[r.User] = latest(h.users[r.User], r.Until)
	default:
		h.places[p] = latest(h.places[p], r.Until)
		if r.Session != (ID{}) {
			h.ids[r.Session] = heldID{p, r.Until}
		}
	}
}

// revoked tells whether an end holds against a request: against its viewer on a
// stream that it may belong to, or against an id that it carries.
func (s *Store) revoked(rules *Rules, r *check.Request, now time.Time) bool {
	if len(s.holds.places) == 0 {
		return false // No id is held without its viewer.
	}
	names := rules.Layout.Joins(nil, r.Path)
	if s.holds.against(rules, r, names, now) {
		return true
	}
	if !rules.Join.ID {
		return false
	}
	f := finder{store: s, rules: rules, request: r, names: names, time: now, now: s.moment(now)}
	for _, text := range ids(r) {
		if id, ok := s.config.Keys.Read(text, now); ok && s.holds.id(id, &f) {
			return true
		}
	}
	return false
}

// Held tells whether an operator's end holds against a request that neither joins
// nor opens a session, or against the user that a backend has named for it; empty
// where none has.
func (s *Store) Held(rules *Rules, r *check.Request, user string) bool {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holds.user(user, now) || s.revoked(rules, r, now)
}

// forget drops the ends that hold no longer.
func (h *holds) forget(now time.Time) {
	over := func(until time.Time) bool { return !now.Before(until) }
	maps.DeleteFunc(h.places, func(_ place, until time.Time) bool { return over(until) })
	maps.DeleteFunc(h.users, func(_ string, until time.Time) bool { return over(until) })
	maps.DeleteFunc(h.ids, func(_ ID, held heldID) bool { return over(held.until) })
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (h *holds) count() int { return len(h.places) + len(h.users) }

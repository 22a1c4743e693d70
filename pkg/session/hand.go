package session

import (
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/target"
)

// sign has the session's signed id be of the key that signs now. It is good until
// the session's grace is over, and a second more, for it is so in whole seconds.
func (s *Store) sign(n *session) {
	keys := s.config.Keys
	if !s.rules(n).Join.ID {
		keys = nil
	}
	if s.signedBy(n) == keys {
		return
	}
	more := s.more(n)
	more.hand, more.signedBy = "", keys
	if keys != nil {
		more.hand = keys.Sign(s.id(n), s.time(n.started).Add(s.rules(n).max()+s.rules(n).Grace+time.Second))
	}
}

// ids gives the ids that a request carries: of its query, then of its cookies.
func ids(r *check.Request) (found [check.MaxIDs]string) {
	n := 0
	if strings.Contains(r.Query, Parameter) {
		for part := range strings.SplitSeq(r.Query, "&") {
			if value, ok := strings.CutPrefix(part, Parameter+"="); ok && n < len(found) {
				found[n] = value
				n++
			}
		}
	}
	copy(found[n:], r.IDs[:])
	return found
}

// Parameter is the query parameter, and the cookie, that carries a session's
// signed id. No backend gets it.
const Parameter = "altagate_id"

// Sent is a viewer's query as backends get it, at the most: without altagate_id.
// Questions that are equal but for that are the same.
func Sent(query string) string {
	if !strings.Contains(query, Parameter) {
		return query
	}
	return target.Without(query, map[string]bool{Parameter: true})
}

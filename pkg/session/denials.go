package session

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// deniedFor is how long a denial is remembered: a player in a retry loop is told
// it again without a question, and a viewer who has paid meanwhile hardly waits.
const deniedFor = 3 * time.Second

// denial is a digest of a route and of all that a backend gets to see of a
// check, so that no token stays in memory and no two questions are one.
type denial [sha256.Size]byte

func denialOf(rules *Rules, r *check.Request) denial {
	var room [1024]byte
	text := room[:0]
	for _, part := range [...]string{rules.Route, r.Scheme, r.Host, r.Path, Sent(r.Query), r.UserAgent} {
		text = binary.AppendUvarint(text, uint64(len(part)))
		text = append(text, part...)
	}
	addr := r.Addr.As16()
	return sha256.Sum256(append(text, addr[:]...))
}

// denials are the last seconds' denials, apart from the sessions, so that junk
// tokens take no paying viewer's room. All last equally long, so the oldest is
// the first to go.
type denials struct {
	until map[denial]verdict
	// order is a ring of the keys, the oldest at first.
	order []denial
	first int
	limit int
}

// verdict is a denial's end, and what is said until then.
type verdict struct {
	until time.Time
	why   check.Reason
}

func newDenials(limit int) denials {
	return denials{until: map[denial]verdict{}, limit: limit}
}

// has tells whether a question was denied a moment ago, and why it is now.
func (d *denials) has(key denial, now time.Time) (check.Reason, bool) {
	v := d.until[key]
	return v.why, now.Before(v.until)
}

// add remembers a denial, and forgets what is over, or the oldest at the bound.
func (d *denials) add(key denial, why check.Reason, now time.Time) {
	v := verdict{now.Add(deniedFor), why}
	if _, known := d.until[key]; known {
		d.until[key] = v
		return
	}
	for d.first < len(d.order) && (len(d.until) >= d.limit || !now.Before(d.until[d.order[d.first]].until)) {
		delete(d.until, d.order[d.first])
		d.first++
	}
	if d.first > len(d.order)/2 {
		d.order = append(d.order[:0], d.order[d.first:]...)
		d.first = 0
	}
	d.until[key] = v
	d.order = append(d.order, key)
}

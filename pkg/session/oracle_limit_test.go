package session

import (
	"fmt"
	"slices"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// limitRule is what the backend says of every user in a timeline; no limit if most is 0.
type limitRule struct {
	most   int
	newest bool
}

// limits is what the oracle knows of a viewing for the limit of its user.
type limits struct {
	// seen is when it was last asked for. After a restart it may have counted until
	// seenLate.
	seen, seenLate time.Time
	// since is when its viewer began to watch as its user.
	since time.Time
	// confirmed is when a backend allowed it that had been provisional.
	confirmed time.Time
	// endedAt is when it ended; by a limit if limited. tried is when somebody last
	// asked for it after that.
	endedAt, tried time.Time
	limited        bool
	// restarted is set if there was a restart since it began: then its since is not
	// what it was.
	restarted bool
	// sure is set if it was seen since the last restart.
	sure bool
}

// userWith is the user of a token. One token names nobody.
func userWith(query string) string {
	switch query {
	case "seq=7":
		return ""
	case "token=1&_HLS_msn=3":
		return "user token=1"
	case "CMCD=bl%3d1&token=2":
		return "user token=2"
	default:
		return "user " + query
	}
}

func userOfViewing(v *viewing) string { return userWith(v.asked.Query) }

// over notes that a session has ended.
func (o *oracle) over(v *viewing) {
	if !v.ended {
		v.ended, v.limits.endedAt = true, time.Now()
	}
}

func (o *oracle) person(r *check.Request) string {
	if o.w.rules.Join.Address {
		return share(r.Addr).prefix().String()
	}
	return share(r.Addr).prefix().String() + " " + r.UserAgent
}

// others gives who else watches as a user: at the least, or, with slack for what is
// known only nearly, at the most.
func (o *oracle) others(user, but string, now time.Time, most bool) map[string]time.Time {
	found := map[string]time.Time{}
	for _, v := range o.known {
		person := o.person(&v.asked)
		if userOfViewing(v) != user || person == but || v.provisional && v.limits.confirmed.IsZero() {
			continue
		}
		// After a restart the first to ask have the places.
		counts := !v.ended && now.Sub(v.limits.seen) < time.Minute && v.limits.sure
		if most {
			counts = now.Sub(v.limits.seenLate) < time.Minute+deniedFor && (!v.ended || now.Sub(v.limits.endedAt) <= deniedFor)
		}
		if counts {
			found[person] = v.limits.since
		}
	}
	return found
}

// watches notes that a viewing is asked for.
func (o *oracle) watches(v *viewing, now time.Time) {
	user, person := userOfViewing(v), o.person(&v.asked)
	since, restarted := now, v.limits.restarted
	for _, other := range o.known {
		if !other.ended && !other.provisional && userOfViewing(other) == user && o.person(&other.asked) == person &&
			now.Sub(other.limits.seenLate) < time.Minute {
			restarted = restarted || other.limits.restarted
			if other.limits.since.Before(since) {
				since = other.limits.since
			}
		}
	}
	l := &v.limits
	l.seen, l.seenLate, l.since, l.restarted, l.sure = now, now, since, restarted, true
}

func (o *oracle) confirmed(v *viewing, at time.Time) {
	o.watches(v, at)
	v.limits.confirmed = at
}

func (o *oracle) restarted() {
	now := time.Now()
	for _, v := range o.known {
		v.limits.restarted, v.limits.sure = true, false
		if may := latest(v.limits.seen, v.late).Add(savedAtLeast); may.After(v.limits.seenLate) {
			v.limits.seenLate = may
		}
		if v.limits.seenLate.After(now) {
			v.limits.seenLate = now
		}
	}
}

// overLimit gives what is wrong about a denial by a limit.
func (o *oracle) overLimit(r *check.Request, d check.Decision, asked bool, now time.Time) string {
	user := d.Outcome.User
	if at, ok := o.denials["limit "+questionKey(r)]; user == "" && ok && now.Sub(at) < deniedFor {
		return ""
	}
	person := o.person(r)
	for _, v := range o.known {
		if v.limits.limited && userOfViewing(v) == user && reaches(v.asked.Path, r.Path) {
			v.limits.tried = now
		}
	}
	if asked {
		o.denials["limit "+questionKey(r)] = now
	}
	switch {
	case o.limit.most == 0 || user == "":
		return "there is no limit"
	case asked && o.limit.newest:
		return "the newest does not win"
	case r.IDs[0] != "": // Then it may be somebody else's session.
	case len(o.others(user, person, now, true)) < o.limit.most:
		return fmt.Sprintf("over the limit: but only %v watch", o.others(user, person, now, true))
	case len(o.others(user, "", now, false)) > len(o.others(user, person, now, false)):
		return "over the limit: but he is one of those who watch"
	}
	return ""
}

// heldOut says that a question was put about what a limit has ended, while its player
// goes on and there is no place.
func (o *oracle) heldOut(r *check.Request, now time.Time) string {
	j := o.w.rules.Join
	for _, v := range o.known {
		l := v.limits
		if !l.limited || l.restarted || now.Sub(latest(l.endedAt, l.tried)) >= silence || v.asked.Host != r.Host {
			continue
		}
		obvious := r.Path == v.asked.Path && r.Query == v.asked.Query && (j.Token || j.Client || j.Address) ||
			r.Path != v.asked.Path && reaches(v.asked.Path, r.Path) && r.Query == "" && (j.Client || j.Address)
		// It is enough that there were places a moment ago, or are to be soon.
		full := len(o.others(userOfViewing(v), o.person(r), now.Add(deniedFor), false)) >= o.limit.most
		if obvious && o.theirs(v, r) && full && !o.watchesToo(v, now) {
			return fmt.Sprintf("asked about what a limit ended: the session of %s?%s", v.asked.Path, v.asked.Query)
		}
	}
	return ""
}

// watchesToo says whether an ended viewing's viewer may be one of those who watch.
func (o *oracle) watchesToo(v *viewing, now time.Time) bool {
	_, is := o.others(userOfViewing(v), "", now, true)[o.person(&v.asked)]
	return is
}

// hear takes in which sessions a limit has ended.
func (o *oracle) hear() {
	o.w.mu.Lock()
	defer o.w.mu.Unlock()
	for i, e := range o.w.events[o.heard:] {
		e, ended := e.(check.SessionEnded)
		if v := o.known[e.ID]; ended && v != nil && !v.ended && e.Reason == string(Limit) {
			o.over(v)
			v.limits.limited, v.limits.endedAt = true, o.w.told[o.heard+i]
			o.news = append(o.news, v)
		}
	}
	o.heard = len(o.w.events)
}

// lookAtLimits gives what is wrong about which sessions a limit has ended, and about
// how many there are.
func (o *oracle) lookAtLimits(now time.Time) string {
	o.hear()
	news := o.news
	o.news = nil
	for _, v := range news {
		if wrong := o.endedByLimit(v, v.limits.endedAt); wrong != "" {
			return fmt.Sprintf("a limit ended the session of %s?%s of %s: %s", v.asked.Path, v.asked.Query, o.person(&v.asked), wrong)
		}
	}
	for _, v := range o.known {
		if all := o.others(userOfViewing(v), "", now, false); o.limit.most > 0 && userOfViewing(v) != "" && len(all) > o.limit.most {
			return fmt.Sprintf("%d watch as %s: %v", len(all), userOfViewing(v), all)
		}
	}
	return ""
}

func (o *oracle) endedByLimit(v *viewing, now time.Time) string {
	user, person := userOfViewing(v), o.person(&v.asked)
	least, most := o.others(user, person, now, false), o.others(user, person, now, true)
	all := o.others(user, "", now, false)
	switch _, watches := all[person]; {
	case o.limit.most == 0:
		return "there is no limit"
	case len(most) < o.limit.most:
		return fmt.Sprintf("only %v watch beside him", most)
	case watches:
		return "he watches something else still"
	case !o.limit.newest && v.limits.confirmed.IsZero():
		return "only newcomers are denied"
	case v.limits.restarted || now.Sub(v.limits.seen) >= time.Minute || !v.limits.confirmed.IsZero():
		return ""
	}
	for other, since := range least {
		if since.Before(v.limits.since) {
			return other + " has been watching for longer"
		}
	}
	return ""
}

// disorderOfUsers gives where the Store's index of users disagrees with the rest.
func disorderOfUsers(s *Store) string {
	counted := 0
	all := allOf(s)
	for _, n := range all {
		if n.account == 0 {
			continue
		}
		r, a := s.account(s.user(n))
		if r != n.account || !slices.Contains(slices.Collect(s.lastUsed(a.roll, ofUser)), n) || s.displaced(n) || n.provisional {
			return fmt.Sprintf("session %s counts for %s, and should not", s.idText(n), s.user(n).name)
		}
		var before instant
		for n := range s.longestIdle(a.roll, ofUser) {
			if s.active(n) < before {
				return "the sessions of " + s.user(n).name + " are out of order"
			}
			before = s.active(n)
		}
		counted++
	}
	for _, n := range all {
		if s.user(n).name != "" && !n.provisional && !s.displaced(n) {
			counted--
		}
	}
	if counted != 0 {
		return fmt.Sprintf("%d sessions too many count for their users", counted)
	}
	return ""
}

// Package policy turns what is known into a decision. It is pure: the same
// arguments always give the same decision, and it is the only place where an
// outcome becomes one.
package policy

import "github.com/altagate/altagate/pkg/check"

// Policy is what a route's operator chose. The zero value denies while the
// backend is away, with status 403.
type Policy struct {
	// AllowUnavailable is on_unavailable: allow.
	AllowUnavailable bool
	// DenyStatus is the HTTP status of denials, 400 to 499; 0 means 403.
	DenyStatus int
	// Redirect is where viewers are sent who are told no; empty means nowhere.
	Redirect string
	// Observe is mode: observe. Nobody is denied, and it is told who would have been.
	Observe bool
}

// statusBusy is what proxies that can tell the difference show a viewer who is
// denied for altagate's own reasons and may try again.
const statusBusy = 503

// Decide makes the decision for an outcome. A backend's own word always
// stands. Without one, a standing session, which the backend allowed and which is
// in its grace, goes on, as long as neither the request nor a bound or want of
// altagate's own is the reason: a viewer can cause each. For everybody else only a backend that altagate's own probe
// found away lets the policy speak: a question that failed while the backend is there is
// a denial whatever the policy, or any viewer could open the gate by breaking
// the question.
func Decide(p Policy, o check.Outcome, standing bool) check.Decision {
	switch {
	case o.Verdict == check.Allowed:
		return check.Decision{Allow: true, Reason: check.Backend, Outcome: o}
	case o.Verdict == check.Denied:
		return check.Decision{Reason: check.Backend, Status: p.DenyStatus, Outcome: o}
	case o.Malformed:
		return check.Decision{Reason: check.Malformed, Status: p.DenyStatus, Outcome: o}
	case o.Overload:
		return check.Decision{Reason: check.Overload, Status: statusBusy, Outcome: o}
	case standing:
		return check.Decision{Allow: true, Reason: check.Grace, Outcome: o}
	case o.Absent:
		d := check.Decision{Allow: p.AllowUnavailable, Reason: check.Default, Outcome: o}
		if !d.Allow {
			d.Status = p.DenyStatus
		}
		return d
	default:
		return check.Decision{Reason: check.Unanswered, Status: p.DenyStatus, Outcome: o}
	}
}

// Token makes the decision for a token that was checked without asking anybody:
// nothing is unavailable then.
func Token(p Policy, o check.Outcome) check.Decision {
	d := check.Decision{Allow: o.Verdict == check.Allowed, Reason: check.Rule, Rule: check.SecureToken, Outcome: o}
	if !d.Allow {
		d.Status = p.DenyStatus
	}
	return d
}

// Late is the decision for a caller whose deadline was about to pass before
// there was an outcome.
func Late() check.Decision {
	return check.Decision{Reason: check.Late, Status: statusBusy}
}

// Final completes the decision of a route. On one that only observes a denial
// becomes an allow, which tells of it. Not so malformed: what can be read in two
// ways may be another route's to the proxy.
func Final(p Policy, d check.Decision) check.Decision {
	switch {
	case d.Allow:
	case p.Observe && d.Reason != check.Malformed && d.Reason != "":
		d.Allow, d.Reason, d.Observed, d.Status = true, check.Observe, d.Reason, 0
	case d.Status == 0:
		d.Status = p.DenyStatus
	}
	return d
}

// Redirect has a denial of an entry send its viewer elsewhere, if it says no to the
// viewer. One for any other cause, as an outage's, is over soon: the player is to try
// again here.
func Redirect(p Policy, d check.Decision) check.Decision {
	if d.Allow {
		return d
	}
	switch d.Reason {
	case check.Backend, check.RecentDenial, check.Default, check.Limit, check.Rule, check.Revoked:
		d.Redirect = p.Redirect
	}
	return d
}

package policy_test

import (
	"fmt"
	"testing"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/policy"
)

// Every combination of what can be known, with nothing left to a default.
func TestEveryOutcomeUnderEachPolicy(t *testing.T) {
	type row struct {
		verdict          check.Verdict
		absent, overload bool
		onDeny, onAllow  check.Decision
	}
	deny := func(reason check.Reason, status int) check.Decision {
		return check.Decision{Reason: reason, Status: status}
	}
	both := func(v check.Verdict, absent, overload bool, d check.Decision) row {
		return row{v, absent, overload, d, d}
	}
	allowed := check.Decision{Allow: true, Reason: check.Backend}
	refused := deny(check.Backend, 402)
	rows := []row{
		both(check.Allowed, false, false, allowed),
		both(check.Allowed, true, false, allowed),
		both(check.Allowed, false, true, allowed),
		both(check.Allowed, true, true, allowed),
		both(check.Denied, false, false, refused),
		both(check.Denied, true, false, refused),
		both(check.Denied, false, true, refused),
		both(check.Denied, true, true, refused),
		both(check.Unavailable, false, false, deny(check.Unanswered, 402)),
		both(check.Unavailable, false, true, deny(check.Overload, 503)),
		both(check.Unavailable, true, true, deny(check.Overload, 503)),
		{check.Unavailable, true, false, deny(check.Default, 402), check.Decision{Allow: true, Reason: check.Default}},
	}
	if len(rows) != 3*2*2 {
		t.Fatalf("%d rows, want one for each of 12 combinations", len(rows))
	}
	for _, r := range rows {
		o := check.Outcome{Verdict: r.verdict, Absent: r.absent, Overload: r.overload}
		t.Run(fmt.Sprintf("%v absent=%v overload=%v", r.verdict, r.absent, r.overload), func(t *testing.T) {
			for p, want := range map[policy.Policy]check.Decision{
				{DenyStatus: 402}:                         r.onDeny,
				{DenyStatus: 402, AllowUnavailable: true}: r.onAllow,
			} {
				for _, standing := range []bool{false, true} {
					want := want
					if standing && r.verdict == check.Unavailable && !r.overload {
						want = check.Decision{Allow: true, Reason: check.Grace}
					}
					want.Outcome = o
					if got := policy.Decide(p, o, standing); got != want {
						t.Errorf("policy %+v, standing %v:\n got %+v\nwant %+v", p, standing, got, want)
					}
				}
			}
		})
	}
}

func TestAQuestionThatCannotBePutIsNoOutage(t *testing.T) {
	o := check.Outcome{Malformed: true, Absent: true}
	for _, standing := range []bool{false, true} {
		d := policy.Decide(policy.Policy{AllowUnavailable: true, DenyStatus: 402}, o, standing)
		if want := (check.Decision{Reason: check.Malformed, Status: 402, Outcome: o}); d != want {
			t.Errorf("standing %v: got %+v, want %+v", standing, d, want)
		}
	}
}

func TestTheZeroValuesDeny(t *testing.T) {
	if d := policy.Decide(policy.Policy{}, check.Outcome{}, false); d.Allow {
		t.Errorf("an empty outcome was allowed: %+v", d)
	}
	if d := policy.Decide(policy.Policy{AllowUnavailable: true}, check.Outcome{}, false); d.Allow {
		t.Errorf("an empty outcome was allowed by on_unavailable: allow, without a probe: %+v", d)
	}
}

func TestLateDeniesAndAsksTheViewerToTryAgain(t *testing.T) {
	if d, want := policy.Late(), (check.Decision{Reason: check.Late, Status: 503}); d != want {
		t.Errorf("got %+v, want %+v", d, want)
	}
}

func TestARouteThatObservesAllowsWhomItWouldDeny(t *testing.T) {
	for _, reason := range []check.Reason{
		check.Backend, check.RecentDenial, check.Revoked, check.Default, check.Overload, check.Late, check.Unanswered,
	} {
		d := check.Decision{Reason: reason, Status: 503, Outcome: check.Outcome{User: "u77"}}
		want := check.Decision{Allow: true, Reason: check.Observe, Observed: reason, Outcome: d.Outcome}
		if got := policy.Final(policy.Policy{Observe: true, DenyStatus: 402}, d); got != want {
			t.Errorf("%s: got %+v, want %+v", reason, got, want)
		}
		if got := policy.Final(policy.Policy{DenyStatus: 402}, d); got != d {
			t.Errorf("%s: without observe got %+v, want %+v", reason, got, d)
		}
	}
}

func TestNoModeAllowsWhatIsMalformedOrNoDecision(t *testing.T) {
	for _, reason := range []check.Reason{check.Malformed, ""} {
		want := check.Decision{Reason: reason, Status: 402}
		if got := policy.Final(policy.Policy{Observe: true, DenyStatus: 402}, check.Decision{Reason: reason}); got != want {
			t.Errorf("%q: got %+v, want %+v", reason, got, want)
		}
	}
}

func TestAnAllowStaysAsItIs(t *testing.T) {
	d := check.Decision{Allow: true, Reason: check.Session, Session: "abc"}
	if got := policy.Final(policy.Policy{Observe: true, DenyStatus: 402}, d); got != d {
		t.Errorf("got %+v", got)
	}
}

func TestATokenDecidesByItself(t *testing.T) {
	p := policy.Policy{AllowUnavailable: true, DenyStatus: 402}
	for verdict, want := range map[check.Verdict]check.Decision{
		check.Allowed:     {Allow: true, Reason: check.Rule, Rule: check.SecureToken},
		check.Denied:      {Reason: check.Rule, Rule: check.SecureToken, Status: 402},
		check.Unavailable: {Reason: check.Rule, Rule: check.SecureToken, Status: 402},
	} {
		want.Outcome = check.Outcome{Verdict: verdict}
		if got := policy.Token(p, want.Outcome); got != want {
			t.Errorf("%v: got %+v, want %+v", verdict, got, want)
		}
	}
}

func TestOnlyWhoIsToldNoIsSentElsewhere(t *testing.T) {
	const promo = "https://promo.example.com/index.m3u8"
	no := map[check.Reason]bool{
		check.Backend: true, check.RecentDenial: true, check.Default: true, check.Limit: true, check.Rule: true, check.Revoked: true,
	}
	for _, reason := range []check.Reason{
		"", check.Backend, check.Session, check.RecentDenial, check.Grace, check.Revoked, check.Default, check.Malformed, check.NoRoute,
		check.BadCheck, check.Overload, check.Late, check.Unanswered, check.Limit, check.Rule, check.Observe,
	} {
		for _, allow := range []bool{false, true} {
			want := ""
			if !allow && no[reason] {
				want = promo
			}
			d := check.Decision{Allow: allow, Reason: reason}
			if got := policy.Redirect(policy.Policy{Redirect: promo}, d); got.Redirect != want || got.Allow != allow {
				t.Errorf("%q, allow %v: got %+v", reason, allow, got)
			}
			if got := policy.Redirect(policy.Policy{}, d); got != d {
				t.Errorf("%q: without a redirect got %+v", reason, got)
			}
		}
	}
}

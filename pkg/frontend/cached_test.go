package frontend_test

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// TestNginxMayRepeatNoAnswerBeyondItsTime counts as nginx does, whose entries end when
// its clock, which has whole seconds, is past the last: up to a second late.
func TestNginxMayRepeatNoAnswerBeyondItsTime(t *testing.T) {
	for left, want := range map[time.Duration]string{
		-time.Second: "", 0: "", time.Second: "", 2*time.Second - 1: "", 2 * time.Second: "1", 3*time.Second - 1: "1", 3 * time.Second: "2",
		10 * time.Second: "9", 11 * time.Second: "9", time.Hour: "9",
	} {
		d := &desk{decision: check.Decision{Allow: true, Reason: check.Session, Cache: left}}
		if got := expires(t, d, nginxHead("/auth/nginx")); got != want {
			t.Errorf("%v left: X-Accel-Expires %q, want %q", left, got, want)
		}
	}
}

// TestNothingButASessionsAllowMayBeRepeated gives other decisions a time to be kept for
// that they never have.
func TestNothingButASessionsAllowMayBeRepeated(t *testing.T) {
	for _, allow := range []bool{true, false} {
		for _, reason := range []check.Reason{
			check.Backend, check.RecentDenial, check.Grace, check.Revoked, check.Limit, check.Default, check.Malformed, check.NoRoute, check.BadCheck,
			check.Overload, check.Late, check.Unanswered, check.Rule, check.Observe, "",
		} {
			d := &desk{decision: check.Decision{Allow: allow, Reason: reason, Cache: 5 * time.Second}}
			if got := expires(t, d, nginxHead("/auth/nginx")); got != "" {
				t.Errorf("%s by %q: X-Accel-Expires %q", d.decision.Word(), reason, got)
			}
		}
	}
	d := &desk{decision: check.Decision{Reason: check.Session, Cache: 5 * time.Second}}
	if got := expires(t, d, nginxHead("/auth/nginx")); got != "" {
		t.Errorf("a denial by a session: X-Accel-Expires %q", got)
	}
}

// TestOnlyNginxIsToldForHowLong leaves out the proxies that keep no checks.
func TestOnlyNginxIsToldForHowLong(t *testing.T) {
	d := &desk{decision: check.Decision{Allow: true, Reason: check.Session, Cache: 5 * time.Second}}
	heads := others()
	heads["envoy"] = envoyHead("GET", "/live/a")
	for name, head := range heads {
		c := dial(t, serve(t, d.config()))
		c.send(head...)
		answer := c.head()
		if !regexp.MustCompile(`^HTTP/1.1 200 `).MatchString(answer) {
			t.Errorf("%s: answer %q", name, answer)
		}
		if regexp.MustCompile(`(?im)^(X-Accel-Expires|Cache-Control|Expires|Age|ETag|Last-Modified):`).MatchString(answer) {
			t.Errorf("%s may keep it: %q", name, answer)
		}
	}
}

// expires is the X-Accel-Expires of the answer to a check; empty if there is none.
func expires(t *testing.T, d *desk, head []string) string {
	t.Helper()
	c := dial(t, serve(t, d.config()))
	c.send(head...)
	found := regexp.MustCompile(`\r\nX-Accel-Expires: ([^\r]*)\r\n`).FindAllStringSubmatch(c.head(), -1)
	switch len(found) {
	case 0:
		return ""
	case 1:
		return found[0][1]
	default:
		return fmt.Sprint(found)
	}
}

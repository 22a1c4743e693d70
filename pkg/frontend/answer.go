package frontend

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/altagate/altagate/pkg/check"
)

// Field is one thing that a proxy is told beside allow or deny.
type Field struct {
	// Header is the name of the header that carries it, in net/http's spelling.
	Header string
	// Lower is Header as HTTP/2 spells it.
	Lower string
	// Key is its name in Envoy's dynamic metadata, which ends in access logs;
	// empty for what must not be logged.
	Key string
	// Value is empty where there is nothing to tell.
	Value string
}

// maxValue is the length in bytes above which a value is left out, so that it
// never fills a proxy's header buffer.
const maxValue = 1024

// FieldCount is how many fields there are.
const FieldCount = 6

// Fields is all that a proxy may be told about d, in a fixed order. A proxy that
// passes these headers on to the upstream must remove a viewer's own copies of
// those that have no value.
func Fields(d *check.Decision) [FieldCount]Field {
	session, id := "", ""
	if d.Allow {
		session, id = d.Session, d.ID
	}
	return [FieldCount]Field{
		{"X-Altagate-Decision", "x-altagate-decision", "decision", d.Word()},
		{"X-Altagate-Reason", "x-altagate-reason", "reason", plain(string(d.Reason))},
		{"X-Session-Id", "x-session-id", "session_id", plain(session)},
		{"X-User-Id", "x-user-id", "user_id", plain(d.Outcome.User)},
		{"X-Session-Name", "x-session-name", "session_name", plain(d.Outcome.SessionName)},
		{"X-Altagate-Id", "x-altagate-id", "", plain(id)},
	}
}

// plain gives s back if every header and message can carry it, else nothing.
// Backends choose these values, and one bad byte would make Envoy refuse the
// whole answer.
func plain(s string) string {
	if len(s) > maxValue || !isPrintable(s) && (!utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl)) {
		return ""
	}
	return s
}

// isPrintable tells whether s is printable ASCII, as it is as a rule.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// setFields sets the fields that have a value as headers.
func setFields(h http.Header, d check.Decision) {
	fields := Fields(&d)
	values := new([FieldCount]string)
	for i := range fields {
		if value := fields[i].Value; value != "" {
			values[i] = value
			h[fields[i].Header] = values[i : i+1 : i+1]
		}
	}
}

// status is the answer's for a proxy that shows the viewer that of a denial: the
// route's deny_status, or 503 for one that has nothing to do with the viewer.
func status(d check.Decision) int {
	switch {
	case d.Allow:
		return http.StatusOK
	case d.Status >= 400 && d.Status <= 499, d.Status == http.StatusServiceUnavailable:
		return d.Status
	default:
		return http.StatusForbidden
	}
}

// answerInHeaders is the answer for a proxy that shows a viewer nothing of it, and
// understands no other denial than 403: all fields as headers.
//
// Where the viewer is sent, nginx and HAProxy learn from a header: the shipped configs
// do the rest.
func answerInHeaders(h http.Header, d check.Decision) int {
	setFields(h, d)
	if to := Redirect(&d); to != "" {
		h.Set(redirectHeader, to)
	}
	if d.Allow {
		return http.StatusOK
	}
	return http.StatusForbidden
}

// answerShown is the answer for a proxy that shows a viewer a denial as it is: the
// fields on an allow alone, so that nobody outside learns what the gate does.
func answerShown(h http.Header, d check.Decision) int {
	if d.Allow {
		setFields(h, d)
	}
	if to := Redirect(&d); to != "" {
		h.Set("Location", to)
		return http.StatusFound
	}
	return status(d)
}

// redirectHeader tells a proxy that answers the viewer itself where to send him.
const redirectHeader = "X-Altagate-Redirect"

// Redirect is where a viewer who is denied is sent; empty for a plain denial.
func Redirect(d *check.Decision) string {
	if d.Allow {
		return ""
	}
	return plain(d.Redirect)
}

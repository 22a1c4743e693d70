package frontend

import (
	"strings"

	"github.com/altagate/altagate/pkg/check"
)

const (
	// idCookie is the name of the cookie that carries a session's signed id.
	idCookie = "altagate_id"
	// maxID is the length in bytes above which a cookie's value is no signed id.
	maxID = 256
)

// cookieIDs gives the values of a viewer's cookies named altagate_id, the first
// of them. Cookies of other viewers' making are no mistake of this one, so what
// cannot be a signed id counts as absent and takes no other's place. A proxy may
// have joined two Cookie lines by a comma, which no signed id has. Nothing is
// allocated.
func cookieIDs(lines []string) (ids [check.MaxIDs]string) {
	n := 0
	for _, line := range lines {
		for line != "" && n < len(ids) {
			cookie := line
			if end := strings.IndexAny(line, ";,"); end >= 0 {
				cookie, line = line[:end], line[end+1:]
			} else {
				line = ""
			}
			name, value, _ := strings.Cut(strings.Trim(cookie, " \t"), "=")
			if name == idCookie && isID(value) {
				ids[n] = value
				n++
			}
		}
	}
	return ids
}

// isID tells whether a text has the form of a signed id: what needs no escape
// in a cookie or a query.
func isID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		if b := s[i]; !isAlphanumeric(b) && b != '.' && b != '_' && b != '-' {
			return false
		}
	}
	return true
}

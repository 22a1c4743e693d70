// Package nginxconf finds in a config of nginx what opens the gate, or lets viewers
// write what altagate believes. It reads the output of "nginx -T", or one file.
package nginxconf

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/altagate/altagate/pkg/doctor"
)

// Look reads a config and says what is wrong with it. name is what findings call
// the file if text does not say it itself. An error says that the text is no
// config of nginx, and where.
func Look(name, text string, facts doctor.Facts) (*doctor.Section, error) {
	top, p, err := parse(name, text)
	if err != nil {
		return nil, fmt.Errorf("reading a config of nginx: %w", err)
	}
	out := doctor.NewSection("nginx: " + name)
	c := read(top, facts, out)
	if len(c.servers) == 0 {
		return nil, errors.New("reading a config of nginx: there is no server block in it: give it the output of nginx -T")
	}
	if len(p.missing) > 0 {
		out.Cannot("the files that are included (%s): give the output of \"nginx -T\" instead", strings.Join(p.missing, ", "))
	}
	c.look()
	return out, nil
}

func (c *conf) look() {
	asked := false
	for _, s := range c.servers {
		for _, uri := range slices.Sorted(maps.Keys(s.auth)) {
			asked = true
			c.auth(s, uri, s.auth[uri])
		}
		for _, b := range s.blocks {
			c.exposed(s, b)
		}
	}
	if !asked {
		c.out.Add(noCheck, c.http.where(), "there is no auth_request", "auth_request /_altagate;", "and the location /_altagate of nginx/altagate.conf")
		return
	}
	for _, s := range c.servers {
		c.uncheckedIn(s)
		for _, b := range s.checked {
			c.checkedBlock(s, b)
		}
		if len(s.checked) > 0 {
			c.host(s)
			c.realAddress(s)
		}
	}
	c.fine()
}

// fine says what was looked at and found to be as it should be.
func (c *conf) fine() {
	for _, s := range c.servers {
		if n := len(s.checked); n > 0 {
			c.out.Is("%s (%s): %d of %d places are checked", named(s.directive), s.where(), n, len(s.blocks))
		}
	}
	for _, group := range []struct {
		words string
		kinds []doctor.Kind
	}{
		{"the check is answered by altagate alone, and viewers cannot ask it", []doctor.Kind{authNotFound, authNotAltagate, authPublic, authBackup, authCached, altagateExposed}},
		{"what the check is read from is written by nginx alone", []doctor.Kind{authHeaderOpen, authHeaderMissing, authHeadersPassed, authDecoded, authAddress, addressOpen}},
		{"no error page opens the gate while altagate is away, or when it denies", []doctor.Kind{authErrorPage, authIntercepted, failOpen, deniedServed}},
		{"nothing that is checked is served in another way", []doctor.Kind{unchecked, answeredFirst, satisfyAny}},
		{"the path that is checked is the one that is served", []doctor.Kind{pathRaw, slashesKept}},
	} {
		if !c.out.Found(group.kinds...) {
			c.out.Is("%s", group.words)
		}
	}
	c.out.Cannot("whether viewers reach the origin without nginx: only your firewall knows")
}

package admin

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/pkg/stream"
)

// params are the parameters of a query. They are read strictly, since one that
// was misspelled and passed over would end, or show, more than was meant.
type params struct {
	values map[string]string
	// wrong is the first mistake; empty if there is none. Values that were read
	// are of no use then.
	wrong string
}

// parse reads a raw query that may have the names given, each of them once.
func parse(query string, names ...string) *params {
	p := &params{values: map[string]string{}}
	all, err := url.ParseQuery(query)
	if err != nil {
		p.refuse("the query cannot be read: escape %%, ; and & in values, as curl -G --data-urlencode does")
		return p
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		values := all[name]
		switch {
		case !slices.Contains(names, name):
			p.refuse("the parameter %s is not known here: %s", quoted(name), known(names))
		case len(values) > 1:
			p.refuse("%s is there %d times: give it once", name, len(values))
		case values[0] == "":
			p.refuse("%s has no value: give one, or leave it out", name)
		}
		p.values[name] = values[0]
	}
	return p
}

func known(names []string) string {
	if len(names) == 0 {
		return "give none"
	}
	return "use " + strings.Join(names, ", ")
}

// refuse notes a mistake.
func (p *params) refuse(format string, args ...any) {
	if p.wrong == "" {
		p.wrong = fmt.Sprintf(format, args...)
	}
}

// text is a parameter's value; empty if it is not there.
func (p *params) text(name string) string { return p.values[name] }

// flag is whether a parameter is true.
func (p *params) flag(name string) bool {
	text := p.text(name)
	if text != "" && text != "true" && text != "false" {
		p.refuse("%s=%s is neither true nor false", name, quoted(text))
	}
	return text == "true"
}

// id is a session's id in the one spelling that it has.
func (p *params) id(name string) string {
	text := p.text(name)
	if text != "" && (len(text) != 32 || strings.Trim(text, "0123456789abcdef") != "") {
		p.refuse("%s=%s is no id of a session: take the next of the page before, 32 of 0-9a-f", name, quoted(text))
	}
	return text
}

// limit is how many sessions a page has at most.
func (p *params) limit() int {
	text := p.text("limit")
	if text == "" {
		return defaultLimit
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n < 1 || n > maxLimit {
		p.refuse("limit=%s is no number from 1 to %d", quoted(text), maxLimit)
		return 0
	}
	return int(n)
}

// hold is for how long an end holds; 0 where nothing is said.
func (p *params) hold() time.Duration {
	text := p.text("for")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > session.MaxHold {
		p.refuse("for=%s is no time up to %dh: write 90s, 10m or 24h", quoted(text), session.MaxHold/time.Hour)
		return 0
	}
	return d
}

// stream is the name of a stream as sessions show it.
func (p *params) stream() string {
	text := p.text("stream")
	if text == "" {
		return ""
	}
	if _, err := stream.ParseName(text); err != nil {
		p.refuse("stream=%v", err)
		return ""
	}
	return text
}

// Package preset knows the portals that operators have: what of the way in which
// they are asked, and in which their replies count, is a matter of the portal. Each
// has a file of its own, and is a table of plain values.
package preset

import (
	"fmt"
	"strings"

	"github.com/altagate/altagate/pkg/check"
)

// Preset is one kind of backend. The zero value is no preset; see Find. The slices
// are not to be changed.
type Preset struct {
	// Name is what the config calls it.
	Name string
	// TokensDie is set where a token is good for a few seconds after it was made
	// and never again: an allow then lasts for its X-AuthDuration, and the backend
	// is not asked about the same token a second time.
	TokensDie bool
	// URL is asked where the config gives none; empty if it has to.
	URL string
	// UnavailableStatuses count as no reply where the config names none.
	UnavailableStatuses []int
	// Stream is the template of what the portal is told as the stream's name, where
	// the config has none; empty if it is told none then.
	Stream string
	// Headers and Parameters are what each question says of the viewer. A viewer's
	// parameter with the name of one of Parameters, or of Dropped, is not passed on.
	Headers, Parameters []Field
	Dropped             []string
	// Refusal reads the body of a reply that would allow, or the beginning of a long
	// one: an error denies, and says nothing of a viewer's. nil where a body says
	// nothing.
	Refusal func(body []byte) error
	// Words says in the portal's own terms what a complete reply means; empty where
	// there is nothing to say. nil is the same.
	Words func(o check.Outcome, body []byte) string
}

// Field is a header or a parameter, and what it holds.
type Field struct {
	Name  string
	Value Value
}

// Value is what a field holds. The zero value is none of them.
type Value uint8

// What a field can hold.
const (
	// Session is the session's id: 32 hexadecimal digits.
	Session Value = iota + 1
	// UUID is the session's id in the spelling of RFC 9562.
	UUID
	// Number is how many questions there were about the session before this one.
	Number
	// Kind is "new_session", or "update_session" where Number is not 0.
	Kind
	// Address is the viewer's.
	Address
	// Path is the path of the viewer's request, Host its host, with a port that is
	// not the scheme's own, and Origin the scheme with both.
	Path
	Host
	Origin
	// UserAgent is the viewer's.
	UserAgent
	// Protocol is "dash" for a path that ends in ".mpd", and else "hls".
	Protocol
	// Stream is the stream's name, put into the operator's template or the preset's.
	// A field with it is left out where there is neither.
	Stream
)

// StreamPlace is where a template has the stream's name.
const StreamPlace = "{stream}"

// Custom is the preset of a backend that is asked as Cesbo Alta asks, and whose
// tokens last.
const Custom = "custom"

// presets lists them all.
func presets() []Preset {
	return []Preset{custom(), ministra(), iptvportal(), smarty(), flussonic(), astra()}
}

// Find gives the preset of a name; an empty one is Custom.
func Find(name string) (Preset, bool) {
	if name == "" {
		name = Custom
	}
	for _, p := range presets() {
		if p.Name == name {
			return p, true
		}
	}
	return Preset{}, false
}

// Names gives the names of all presets.
func Names() []string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.Name)
	}
	return names
}

// SetsHeader tells whether a header is altagate's own to set, however it is spelled:
// those of Alta are with each preset, for a program can look at them beside its own.
func (p Preset) SetsHeader(name string) bool {
	name = strings.ReplaceAll(name, "_", "-") // PHP and CGI read "X_Real_Ip" as "X-Real-Ip".
	for _, list := range [...][]Field{alta(), p.Headers} {
		for _, f := range list {
			if strings.EqualFold(name, f.Name) {
				return true
			}
		}
	}
	return false
}

// TellsStream tells whether the portal can be told the stream's name.
func (p Preset) TellsStream() bool {
	for _, list := range [...][]Field{p.Headers, p.Parameters} {
		for _, f := range list {
			if f.Value == Stream {
				return true
			}
		}
	}
	return false
}

// Meaning says in the portal's own terms what a complete reply means, a line for
// each thing; none where the reply says all by itself. body is its beginning.
func (p Preset) Meaning(o check.Outcome, body []byte) []string {
	var lines []string
	if p.Words != nil {
		if words := p.Words(o, body); words != "" {
			lines = append(lines, words)
		}
	}
	if o.Verdict != check.Allowed {
		return lines
	}
	switch {
	case o.AuthDuration > 0 && p.TokensDie:
		lines = append(lines, fmt.Sprintf("X-AuthDuration: the session ends after %s; the portal is not asked about this token again", o.AuthDuration))
	case o.AuthDuration > 0:
		lines = append(lines, fmt.Sprintf("X-AuthDuration: the question is put again before %s are over, while the viewer watches", o.AuthDuration))
	}
	if limit := limitInWords(o); limit != "" {
		lines = append(lines, limit)
	}
	return lines
}

// limitInWords says how many may watch as one user, by the reply.
func limitInWords(o check.Outcome) string {
	most := o.MaxSessions
	if most == 0 && o.Unique {
		most = 1
	}
	switch {
	case most == 0:
		return ""
	case most > check.MaxViewers:
		return fmt.Sprintf("X-Max-Sessions: %d is above %d, and so no limit", most, check.MaxViewers)
	case o.User == "":
		return "X-Max-Sessions and X-Unique count nobody without an X-UserId"
	case o.Unique:
		return fmt.Sprintf("X-Max-Sessions, X-Unique: viewers at a time as user %s: %d, and the newest wins; \"users\" in a config can say otherwise", o.User, most)
	default:
		return fmt.Sprintf("X-Max-Sessions: viewers at a time as user %s: %d; \"users\" in a config can say otherwise", o.User, most)
	}
}

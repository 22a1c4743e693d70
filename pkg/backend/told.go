package backend

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/preset"
	"github.com/altagate/altagate/pkg/target"
)

// Session is what a question says of the session that it is about.
type Session struct {
	// ID is the X-Session-Id.
	ID string
	// Stream names the stream in the normal form of package target, without a "/"
	// before and after it.
	Stream string
	// Number is how many questions about the session came before this one; 0 while
	// no backend has allowed it.
	Number int
}

// told is what the questions to a backend say of the viewer, by its preset. It does
// not change.
type told struct {
	headers, parameters []preset.Field
	// reserved are the names of the parameters that no viewer sets.
	reserved []string
	// template is what preset.Stream is put into.
	template string
}

func newTold(c Config) told {
	t := told{template: c.Stream}
	for _, f := range c.Preset.Headers {
		if t.says(f) {
			t.headers = append(t.headers, f)
		}
	}
	for _, f := range c.Preset.Parameters {
		t.reserved = append(t.reserved, f.Name)
		if t.says(f) {
			t.parameters = append(t.parameters, f)
		}
	}
	t.reserved = append(t.reserved, c.Preset.Dropped...)
	return t
}

// says tells whether a field is sent.
func (t *told) says(f preset.Field) bool { return f.Value != preset.Stream || t.template != "" }

// among gives a parameter that is sent and is one of the names; "" if there is none.
func (t *told) among(names map[string]bool) string {
	for _, f := range t.parameters {
		if names[target.Name(f.Name)] {
			return f.Name
		}
	}
	return ""
}

// query gives the parameters in a query's spelling.
func (t *told) query(r *check.Request, s Session) string {
	if len(t.parameters) == 0 {
		return ""
	}
	s.Stream = decoded(s.Stream)
	var b strings.Builder
	for i, f := range t.parameters {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(f.Name)
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(t.value(f.Value, r, s)))
	}
	return b.String()
}

// decoded is a text of a normalized path with its escapes as the bytes that they
// stand for.
func decoded(text string) string {
	plain, err := url.PathUnescape(text)
	if err != nil {
		return text
	}
	return plain
}

// value is what a field holds.
func (t *told) value(v preset.Value, r *check.Request, s Session) string {
	switch v {
	case preset.Session:
		return s.ID
	case preset.UUID:
		return asUUID(s.ID)
	case preset.Number:
		return strconv.Itoa(s.Number)
	case preset.Kind:
		if s.Number > 0 {
			return "update_session"
		}
		return "new_session"
	case preset.Address:
		return r.Addr.String()
	case preset.Path:
		return r.Path
	case preset.Host:
		return r.Host
	case preset.Origin:
		return r.Origin()
	case preset.UserAgent:
		return r.UserAgent
	case preset.Protocol:
		if strings.HasSuffix(r.Path, ".mpd") {
			return "dash"
		}
		return "hls"
	case preset.Stream:
		return strings.ReplaceAll(t.template, preset.StreamPlace, s.Stream)
	default:
		return ""
	}
}

// asUUID spells 32 hexadecimal digits as RFC 9562 does; what an operator gives by
// hand stays as it is.
func asUUID(id string) string {
	if len(id) != 32 {
		return id
	}
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}

package admin

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/session"
)

// Sessions are the sessions that operators look at and end, as session.Store
// says. They are safe for concurrent use.
type Sessions interface {
	List(f session.Filter, after string, limit int) (page []session.Info, more bool)
	Find(id string) (session.Info, bool)
	End(id string, hold time.Duration, user bool) (ended []string, err error)
	EndUser(user string, hold time.Duration) (ended []string, err error)
	EndStream(route, host, name string, hold time.Duration) (ended []string, err error)
}

// The bounds on a page of sessions.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// listed is the body of a list.
type listed struct {
	Sessions []session.Info `json:"sessions"`
	// Next is the after of the next page; empty on the last one.
	Next string `json:"next,omitempty"`
}

// ended is the body of an answer to an end.
type ended struct {
	// Ended are the ids of the sessions that it ended.
	Ended []string `json:"ended"`
}

// list answers with a page of the sessions that a query chooses.
func (a api) list(query string) reply {
	p := parse(query, "route", "host", "stream", "user", "address", "after", "limit")
	f := session.Filter{Route: p.text("route"), Host: p.host(), Stream: p.stream(), User: p.text("user"), Address: p.address()}
	after, limit := p.id("after"), p.limit()
	if p.wrong != "" {
		return fail(http.StatusBadRequest, "%s", p.wrong)
	}
	found, more := a.sessions.List(f, after, limit)
	body := listed{Sessions: make([]session.Info, 0, len(found))}
	for _, s := range found {
		body.Sessions = append(body.Sessions, shown(s))
	}
	if more && len(found) > 0 {
		body.Next = found[len(found)-1].ID
	}
	return reply{status: http.StatusOK, body: body}
}

// shown is a session with its times as the log writes them.
func shown(s session.Info) session.Info {
	s.Started = s.Started.UTC().Truncate(time.Millisecond)
	s.LastRequest = s.LastRequest.UTC().Truncate(time.Millisecond)
	return s
}

func (a api) find(id, query string) reply {
	if p := parse(query); p.wrong != "" {
		return fail(http.StatusBadRequest, "%s", p.wrong)
	}
	s, ok := a.sessions.Find(id)
	if !ok {
		return unknown(id)
	}
	return reply{status: http.StatusOK, body: shown(s)}
}

func unknown(id string) reply {
	return fail(http.StatusNotFound, "there is no session %s: it has ended, or never was; GET /api/v1/sessions lists those that live", quoted(id))
}

// end ends one session, and with user=true all of its user's.
func (a api) end(id, query string) reply {
	p := parse(query, "for", "user")
	hold, user := p.hold(), p.flag("user")
	if p.wrong != "" {
		return fail(http.StatusBadRequest, "%s", p.wrong)
	}
	s, ok := a.sessions.Find(id)
	switch {
	case !ok:
		return unknown(id)
	case user && s.User == "":
		return fail(http.StatusConflict, "nothing was ended: the backend gave no X-UserId for this session, so its user is not known; leave user=true out")
	}
	ids, err := a.sessions.End(id, hold, user)
	if err == nil && len(ids) == 0 {
		return unknown(id) // It ended in the meantime.
	}
	return result(ids, err)
}

// endMany ends all sessions of a user, or on a stream.
func (a api) endMany(query string) reply {
	p := parse(query, "user", "route", "stream", "host", "for")
	user, route, name, host, hold := p.text("user"), p.text("route"), p.stream(), p.host(), p.hold()
	byStream := route != "" && name != ""
	switch {
	case p.wrong != "":
		return fail(http.StatusBadRequest, "%s", p.wrong)
	case user != "" && route == "" && name == "" && host == "":
		return result(a.sessions.EndUser(user, hold))
	case user == "" && byStream:
		return result(a.sessions.EndStream(route, host, name, hold))
	default:
		return fail(http.StatusBadRequest, "nothing was ended: say whose sessions end, either with user alone, or with route and stream (and host)")
	}
}

// result is the answer to an end. Where it is in force but not on disk, it says
// both.
func result(ids []string, err error) reply {
	if err != nil {
		return reply{status: http.StatusInternalServerError, body: failure{Error: err.Error(), Ended: ids}}
	}
	if ids == nil {
		ids = []string{}
	}
	return reply{status: http.StatusOK, body: ended{ids}}
}

// address is a viewer's address to choose by; the zero Addr chooses all.
func (p *params) address() netip.Addr {
	text := p.text("address")
	if text == "" {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		p.refuse("address=%s is no address: write 192.0.2.7 or 2001:db8::7 (IPv6 counts by its /64)", quoted(text))
	}
	return addr.Unmap()
}

// host is spelled as sessions have it, in lower case.
func (p *params) host() string { return strings.ToLower(p.text("host")) }

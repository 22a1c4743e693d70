package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// listener is the key under which On keeps a listener's address.
type listener struct{}

// On gives requests the address of the listener they came in on. It is what
// http.Server.BaseContext must be for the server of an API, which answers nobody
// without it.
func On(l net.Listener) context.Context {
	return context.WithValue(context.Background(), listener{}, l.Addr())
}

// API answers for /api/v1/sessions, /api/v1/backends and /api/v1/decisions, and leaves the paths that
// are not below /api/ to otherwise.
//
// Whoever reaches it may end every session. So on a TCP listener (see On) it answers
// who brings the token that token gives. While that gives none it answers on loopback
// and Unix sockets alone, and only what is asked under a name of this machine: a page
// of another site, whose name was made to resolve to loopback, reads nothing. Nor can
// one change anything from its own name. A nil token gives none.
func API(sessions Sessions, backends Backends, decisions *Decisions, token func() []byte, otherwise http.Handler) http.Handler {
	if token == nil {
		token = func() []byte { return nil }
	}
	api := api{sessions, backends, decisions, token}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			otherwise.ServeHTTP(w, r)
			return
		}
		answer(w, api.reply(r))
	})
}

type api struct {
	sessions  Sessions
	backends  Backends
	decisions *Decisions
	token     func() []byte
}

// reply is what the API answers: a status and what becomes its JSON.
type reply struct {
	status int
	body   any
	// allow are the methods of a path that was asked with another.
	allow string
	// challenge is set where a token is wanted.
	challenge bool
}

// failure is the body of every answer that is not a success. It says what was
// wrong, and what to do.
type failure struct {
	Error string `json:"error"`
	// Ended are sessions that did end, though not all was well.
	Ended []string `json:"ended,omitempty"`
}

func fail(status int, format string, args ...any) reply {
	return reply{status: status, body: failure{Error: fmt.Sprintf(format, args...)}}
}

func (a api) reply(r *http.Request) reply {
	if no, refused := a.barred(r); refused {
		return no
	}
	path := r.URL.Path
	if name, ok := below(path, sessionsPath); ok {
		return a.ofSessions(r, name)
	}
	if name, ok := below(path, backendsPath); ok {
		return a.ofBackends(r, name)
	}
	if path == decisionsPath {
		return a.ofDecisions(r)
	}
	return fail(http.StatusNotFound, "there is nothing at this path: the API is %[1]s, %[1]s/ID, %[2]s, %[2]s/NAME and %[3]s", sessionsPath, backendsPath, decisionsPath)
}

const (
	sessionsPath = "/api/v1/sessions"
	backendsPath = "/api/v1/backends"
)

// below gives the name of one of a collection, and an empty one for all of it.
func below(path, collection string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(path, collection)
	name, one := strings.CutPrefix(rest, "/")
	return name, ok && (rest == "" || one && name != "")
}

// onlyMethods is the answer to any other.
func onlyMethods(words, allow string) reply {
	no := fail(http.StatusMethodNotAllowed, "only %s are answered here", words)
	no.allow = allow
	return no
}

// ofSessions answers about all sessions, or about the one with the id.
func (a api) ofSessions(r *http.Request, id string) reply {
	query := r.URL.RawQuery
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if id != "" {
			return a.find(id, query)
		}
		return a.list(query)
	case http.MethodDelete:
		if id != "" {
			return a.end(id, query)
		}
		return a.endMany(query)
	default:
		return onlyMethods("GET, HEAD and DELETE", "GET, HEAD, DELETE")
	}
}

// barred refuses who must not use the API.
func (a api) barred(r *http.Request) (reply, bool) {
	at, _ := r.Context().Value(listener{}).(net.Addr)
	if no, refused := a.outside(r, at); refused {
		return no, true
	}
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return fail(http.StatusForbidden, "a page of another origin may change nothing here: use curl or a program"), true
	}
	return reply{}, false
}

// outside refuses who shows no token where one is wanted, and where none is set who
// may be on another machine.
func (a api) outside(r *http.Request, at net.Addr) (reply, bool) {
	_, tcp := at.(*net.TCPAddr)
	if token := a.token(); tcp && len(token) > 0 {
		if bears(r, token) {
			return reply{}, false
		}
		no := fail(http.StatusUnauthorized, "the API wants the config's admin_token: send it as Authorization: Bearer TOKEN")
		no.challenge = true
		return no, true
	}
	if !isLocal(at) {
		return fail(http.StatusForbidden, "the API is only answered on a loopback address or a Unix socket, which this listener is not: "+
			"listen for admin on 127.0.0.1:9182 or unix:/path, and ask there, or set admin_token in the config"), true
	}
	if !isThisMachine(r.Host) {
		return fail(http.StatusForbidden, "the API is not answered under the host %s: ask under localhost, 127.0.0.1 or [::1]", quoted(r.Host)), true
	}
	return reply{}, false
}

// bears tells whether a request brings the token. How long the comparison takes says
// nothing of the token, nor of how long it is.
func bears(r *http.Request, token []byte) bool {
	lines := r.Header["Authorization"]
	if len(lines) != 1 {
		return false
	}
	scheme, shown, _ := strings.Cut(lines[0], " ")
	is, want := sha256.Sum256([]byte(strings.TrimSpace(shown))), sha256.Sum256(token)
	return subtle.ConstantTimeCompare(is[:], want[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// isLocal tells whether only this machine reaches a listener. One on all
// addresses does not count, whatever address a request was sent to.
func isLocal(at net.Addr) bool {
	switch at := at.(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		return at.IP.IsLoopback()
	default:
		return false
	}
}

// isThisMachine tells whether the host of a request, with any port, is one that
// no other site can have. The address of a listener that isLocal is among them.
func isThisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if inside, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inside, "]")
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// answer writes a reply that nobody keeps. To a HEAD, net/http sends no body.
func answer(w http.ResponseWriter, a reply) {
	body, err := json.Marshal(a.body)
	if err != nil {
		a.status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if a.allow != "" {
		h.Set("Allow", a.allow)
	}
	if a.challenge {
		h.Set("WWW-Authenticate", `Bearer realm="altagate"`)
	}
	body = append(visible(body), '\n')
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	w.Write(body) //nolint:errcheck // the client has left
}

// visible is JSON with what a terminal would obey and not show as an escape: it
// may come from a viewer.
func visible(text []byte) []byte {
	shown := make([]byte, 0, len(text)+1)
	for len(text) > 0 {
		c, size := utf8.DecodeRune(text)
		if unicode.IsPrint(c) {
			shown = append(shown, text[:size]...)
		} else {
			for _, unit := range utf16.AppendRune(nil, c) {
				shown = fmt.Appendf(shown, `\u%04x`, unit)
			}
		}
		text = text[size:]
	}
	return shown
}

// quoted is a text that came with a request, for an error.
func quoted(text string) string {
	const most = 80
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}

package admin

import (
	"cmp"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/session"
)

var (
	_ Sessions = (*session.Store)(nil)
	_ Sessions = (*fake)(nil)
)

// call is one call that changed a fake.
type call struct {
	Method, ID, User, Route, Host, Stream string
	Hold                                  time.Duration
	All                                   bool
}

// fake is a store of sessions that notes what it is told.
type fake struct {
	mu       sync.Mutex
	sessions []session.Info // in the order of their ids
	calls    []call
	filters  []session.Filter
	err      error // of every end
	gone     bool  // sessions end between being found and being ended
}

func (f *fake) List(filter session.Filter, after string, limit int) (found []session.Info, more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filters = append(f.filters, filter)
	for _, s := range f.sessions {
		if s.ID > after && (filter.Route == "" || filter.Route == s.Route) {
			found = append(found, s)
		}
	}
	if len(found) > limit {
		return found[:limit], true
	}
	return found, false
}

func (f *fake) Find(id string) (session.Info, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, ok := slices.BinarySearchFunc(f.sessions, id, func(s session.Info, id string) int { return cmp.Compare(s.ID, id) })
	if !ok {
		return session.Info{}, false
	}
	return f.sessions[i], true
}

func (f *fake) End(id string, hold time.Duration, user bool) ([]string, error) {
	ended := []string{id}
	if f.gone {
		ended = nil
	}
	return f.note(call{Method: "End", ID: id, Hold: hold, All: user}, ended)
}

func (f *fake) EndUser(user string, hold time.Duration) ([]string, error) {
	var ended []string
	for _, s := range f.sessions {
		if s.User == user {
			ended = append(ended, s.ID)
		}
	}
	return f.note(call{Method: "EndUser", User: user, Hold: hold}, ended)
}

func (f *fake) EndStream(route, host, name string, hold time.Duration) ([]string, error) {
	return f.note(call{Method: "EndStream", Route: route, Host: host, Stream: name, Hold: hold}, nil)
}

func (f *fake) note(c call, ended []string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, c)
	return ended, f.err
}

// The ids of the sessions in a store from three().
const (
	first  = "0123456789abcdef0123456789abcdef"
	second = "5f1c0e9a7b3d42c88e6f0a1b2c3d4e5f"
	third  = "fedcba9876543210fedcba9876543210"
)

func three() *fake {
	began := time.Date(2026, 3, 1, 20, 15, 0, 123456789, time.FixedZone("", 3600))
	one := session.Info{
		ID: first, Route: "live", Host: "tv.example.com", Stream: "/live/ch1/", Address: netip.MustParseAddr("192.0.2.7"),
		UserAgent: "VLC/3.0.20", User: "u77", Name: "living room", Backend: "portal",
		Started: began, LastRequest: began.Add(time.Hour), Requests: 1803, Active: true, MaxSessions: 2,
	}
	two, three := one, one
	two.ID, two.Route = second, "vod"
	three.ID, three.User, three.Name, three.Backend, three.Provisional = third, "", "", "", true
	return &fake{sessions: []session.Info{one, two, three}}
}

// asking is one request to an API.
type asking struct {
	method, target, host string
	headers              map[string]string
	authorization        []string
	at                   net.Addr // of the listener; by default one on loopback
}

// does sends a request through a handler, as a server on the listener would.
func (a asking) does(h http.Handler) *httptest.ResponseRecorder {
	r := httptest.NewRequest(cmp.Or(a.method, "GET"), a.target, http.NoBody)
	r.Host = cmp.Or(a.host, "127.0.0.1:9182")
	for name, value := range a.headers {
		r.Header.Set(name, value)
	}
	if a.authorization != nil {
		r.Header["Authorization"] = a.authorization
	}
	if a.at == nil {
		a.at = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9182}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(On(addressed{a.at})))
	return w
}

// addressed is a listener of which only the address counts.
type addressed struct{ at net.Addr }

func (addressed) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (addressed) Close() error              { return nil }
func (a addressed) Addr() net.Addr          { return a.at }

// errorOf is what an answer says was wrong; it fails if there is no such JSON.
func errorOf(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%q is no JSON: %v", w.Body, err)
	}
	text, _ := body["error"].(string)
	if (text == "") != (w.Code == http.StatusOK) {
		t.Fatalf("%d with %s", w.Code, w.Body)
	}
	return text
}

// served is a real server for h on a listener.
func served(t *testing.T, network, address string, h http.Handler) net.Addr {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, BaseContext: On}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return l.Addr()
}

// got is status and body of a reply.
func got(t *testing.T, reply *http.Response, err error) (int, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.StatusCode, strings.TrimSpace(string(body))
}

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// middleware is a fake portal that follows what is known of one to the letter. What
// is not known it takes at its worst.
type middleware struct {
	*httptest.Server
	mu sync.Mutex
	// asked are the questions; altagate's own probes have no X-Real-Path.
	asked []*http.Request
}

// startMiddleware starts one that answers by answer, which gets the parameters as
// PHP reads them.
func startMiddleware(t *testing.T, secure bool, answer func(http.ResponseWriter, *http.Request, map[string]string)) *middleware {
	t.Helper()
	m := &middleware{}
	m.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Real-Path") != "" {
			m.mu.Lock()
			m.asked = append(m.asked, r)
			m.mu.Unlock()
		}
		answer(w, r, asPHP(r.URL.RawQuery))
	}))
	if secure {
		m.StartTLS()
	} else {
		m.Start()
	}
	t.Cleanup(m.Close)
	return m
}

// questions gives those that came since the last call.
func (m *middleware) questions() []*http.Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.asked
	m.asked = nil
	return all
}

// asPHP reads a query as PHP does, as far as these tests go: the last of a name wins,
// "." and space in a name are "_", and a name ends before "[".
func asPHP(query string) map[string]string {
	read := map[string]string{}
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		name, _ = url.QueryUnescape(name)
		value, _ = url.QueryUnescape(value)
		name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "[")
		read[strings.NewReplacer(".", "_", " ", "_").Replace(name)] = value
	}
	return read
}

// iptvportalAnswer knows nothing but plain Alta: what the portal reads and how it
// refuses is not public.
func iptvportalAnswer(w http.ResponseWriter, r *http.Request, query map[string]string) {
	if r.URL.Path != "/auth/arescrypt/" || query["token"] != "good" {
		w.WriteHeader(http.StatusForbidden)
	}
}

// smartyAnswer has a token good that was made for ch1 and 192.0.2.7. It says so with
// status 200 in each case, which its documentation does not rule out.
func smartyAnswer(w http.ResponseWriter, r *http.Request, query map[string]string) {
	if r.URL.Path != "/tvmiddleware/api/streamservice/token/check/" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	code := 0
	name, named := query["name"]
	ip, located := query["ip"]
	switch {
	case query["token"] != "good":
		code = 1
	case named && name != "ch1":
		code = 2
	case located && ip != "192.0.2.7":
		code = 3
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"error": %d}`, code)
}

// flussonicAnswer takes nothing but what Flussonic's specification has, save that it
// goes without stream_clients and total_clients.
func flussonicAnswer(w http.ResponseWriter, _ *http.Request, query map[string]string) {
	uuid := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	switch known := []string{"name", "proto", "ip", "request_type", "request_number", "session_id", "token"}; {
	case query["token"] == "broken":
		w.WriteHeader(http.StatusInternalServerError)
	case slices.ContainsFunc(slices.Collect(maps.Keys(query)), func(name string) bool { return !slices.Contains(known, name) }),
		query["name"] != "ch1", query["proto"] != "hls", query["ip"] != "192.0.2.7", query["request_type"] != "new_session",
		query["request_number"] != "0", !uuid.MatchString(query["session_id"]), query["token"] != "good":
		w.WriteHeader(http.StatusForbidden)
	default:
		w.Header().Set("X-AuthDuration", "180")
		w.Header().Set("X-UserId", "42")
		w.Header().Set("X-Max-Sessions", "2")
	}
}

// astraAnswer reads Astra's headers and refuses those of Alta's that Astra lacks.
func astraAnswer(w http.ResponseWriter, r *http.Request, query map[string]string) {
	h := r.Header
	switch {
	case h.Get("X-Session-ID") == "", h.Get("X-Real-Path") == "", h.Get("X-Real-Host") != "tv.example.com", h.Get("X-Real-UA") != "player",
		h["X-Real-Origin"] != nil, query["token"] == "":
		w.WriteHeader(http.StatusUnauthorized)
	case h.Get("X-Channel-ID") != "ch1", h.Get("X-Real-IP") != "192.0.2.7", query["token"] != "good":
		w.WriteHeader(http.StatusForbidden)
	default:
		w.Header().Set("X-Session-Name", "ann")
	}
}

// customAnswer is the example in PHP, for the token that the others know.
func customAnswer(w http.ResponseWriter, _ *http.Request, query map[string]string) {
	if query["token"] != "good" {
		w.WriteHeader(http.StatusForbidden)
	}
}

// ministraAnswer is chk_flussonic_tmp_link.php about a token that lives on, since the
// house has those that die.
func ministraAnswer(w http.ResponseWriter, r *http.Request, query map[string]string) {
	stalker := "/stalker_portal/server/api/chk_flussonic_tmp_link.php"
	if r.URL.Path != stalker && r.URL.Path != strings.TrimPrefix(stalker, "/stalker_portal") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if query["token"] != "good" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("X-AuthDuration", "36000")
	w.Header().Set("X-Unique", "true")
	w.Header().Set("X-Max-Sessions", "10")
	w.Header().Set("X-UserId", "42")
}

// TestTheFakesRefuseWhatTheyShould is so that the tests with them can fail.
func TestTheFakesRefuseWhatTheyShould(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		answer func(http.ResponseWriter, *http.Request, map[string]string)
		target string
		status int
		code   int
	}{
		{customAnswer, "/?token=good&token=bad", 403, 0},
		{smartyAnswer, "/tvmiddleware/api/streamservice/token/check/?token=good&name=ch2", 200, 2},
		{smartyAnswer, "/tvmiddleware/api/streamservice/token/check/?token=good&ip[]=1", 200, 3},
		{flussonicAnswer, "/?token=good", 403, 0},
		{astraAnswer, "/?token=good", 401, 0},
		{ministraAnswer, "/server/api/chk_flussonic_tmp_link.php?token=good", 200, 0},
		{ministraAnswer, "/api/chk_flussonic_tmp_link.php?token=good", 404, 0},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, test.target, nil)
		test.answer(w, r, asPHP(r.URL.RawQuery))
		var said struct{ Error int }
		if w.Body.Len() > 0 {
			if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
				t.Fatal(err)
			}
		}
		if w.Code != test.status || said.Error != test.code {
			t.Errorf("%s: status %d, error %d", test.target, w.Code, said.Error)
		}
	}
}

package backend

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/preset"
)

// of makes the config of a preset with what it has as defaults.
func of(t *testing.T, name string) Config {
	t.Helper()
	p, ok := preset.Find(name)
	if !ok {
		t.Fatalf("there is no preset %s", name)
	}
	return Config{Preset: p, Stream: p.Stream, UnavailableStatuses: p.UnavailableStatuses}
}

// sent is the question that one address gets.
func sent(t *testing.T, c Config, own string, r *check.Request, s Session) *http.Request {
	t.Helper()
	c.URLs = []*url.URL{mustURL(t, own)}
	endpoints, err := normal(c).endpoints()
	if err != nil {
		t.Fatal(err)
	}
	return endpoints[0].question(context.Background(), r, s)
}

func live() Session { return Session{ID: "5f1c0e9a7b3d42c88e6f0a1b2c3d4e5f", Stream: "live/ch1"} }

func TestAstraIsAskedInItsOwnHeaders(t *testing.T) {
	r := viewer()
	r.Host = "live.example.com:8080"
	c := of(t, "astra")
	c.Host = "portal.example"
	got := onTheWire(t, c, "/auth", r)
	want := []string{
		"GET /auth?token=123 HTTP/1.1",
		"Host: portal.example",
		"User-Agent: altagate",
		"X-Channel-ID: ",
		"X-Real-Host: live.example.com:8080",
		"X-Real-IP: 192.0.2.7",
		"X-Real-Path: /ch1/index.m3u8",
		"X-Real-UA: VLC/3.0",
		"X-Session-ID: s1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	id := map[string][]string(sent(t, c, "http://a/", r, live()).Header)["X-Channel-ID"]
	if len(id) != 1 || id[0] != "live/ch1" {
		t.Errorf("the channel is %q", id)
	}
}

func TestFlussonicIsAskedInItsOwnParameters(t *testing.T) {
	again := live()
	again.Number = 2
	for _, test := range []struct {
		path, query string
		s           Session
		want        string
	}{
		{
			"/live/ch1/index.m3u8", "token=60334b&utc=5", live(),
			"name=live%2Fch1&proto=hls&ip=192.0.2.7&request_type=new_session&request_number=0&" +
				"session_id=5f1c0e9a-7b3d-42c8-8e6f-0a1b2c3d4e5f&token=60334b&utc=5",
		},
		{
			"/live/ch1/index.mpd", "", again,
			"name=live%2Fch1&proto=dash&ip=192.0.2.7&request_type=update_session&request_number=2&" +
				"session_id=5f1c0e9a-7b3d-42c8-8e6f-0a1b2c3d4e5f",
		},
	} {
		r := viewer()
		r.Path, r.Query = test.path, test.query
		q := sent(t, of(t, "flussonic"), "http://a/auth?key=k", r, test.s)
		if got := q.URL.RawQuery; got != "key=k&"+test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
		if q.Header.Get("X-Session-Id") != test.s.ID {
			t.Errorf("the headers of Alta are not there: %v", q.Header)
		}
	}
}

func TestSmartyIsToldTheNameOnlyByATemplateOfTheOperators(t *testing.T) {
	c := of(t, "smarty")
	r := viewer()
	r.Query = "token=1&name=evil&ip=evil"
	if got := sent(t, c, "http://a/", r, live()).URL.RawQuery; got != "ip=192.0.2.7&token=1" {
		t.Errorf("without: %s", got)
	}
	c.Stream = "vod-{stream}"
	if got := sent(t, c, "http://a/", r, Session{Stream: "caf%C3%A9&ip=1/50%25"}).URL.RawQuery; got != "ip=192.0.2.7&name=vod-caf%C3%A9%26ip%3D1%2F50%25&token=1" {
		t.Errorf("with: %s", got)
	}
}

// TestWhatAPresetSetsIsNotAViewersToSay asks with each parameter of a preset's, in
// the spellings in which some program would read it.
func TestWhatAPresetSetsIsNotAViewersToSay(t *testing.T) {
	for _, name := range preset.Names() {
		c := of(t, name)
		reserved := newTold(c).reserved
		for _, p := range reserved {
			for _, spelling := range []string{
				p, strings.ToUpper(p), p + "[]", p + "[0]", p + "[", "+" + p, "%20" + p, p + "%00x", "%" + hex(p[0]) + p[1:],
				strings.ReplaceAll(p, "_", "."), strings.ReplaceAll(p, "_", "%20"), p + "[]=1&token=2&" + p,
			} {
				r := viewer()
				r.Query = spelling + "=evil"
				got := sent(t, c, "http://a/", r, live()).URL.RawQuery
				if strings.Contains(got, "evil") {
					t.Errorf("%s: %s arrives as %s", name, r.Query, got)
				}
			}
			for _, query := range []string{"token=1;" + p + "=evil", p + ";token=1", "a;" + p, p + "=evil;token=1"} {
				r := viewer()
				r.Query = query
				s := newScript()
				s.set("a", says(200), says(404))
				c := c
				c.URLs = []*url.URL{mustURL(t, "http://a/")}
				b, err := assemble(c, s.send)
				if err != nil {
					t.Fatal(err)
				}
				if o := b.Ask(t.Context(), r, live()); word(o) != "unanswered" || !o.Malformed {
					t.Errorf("%s: %s is asked about: %+v", name, query, o)
				}
				b.Close()
			}
		}
	}
}

func hex(c byte) string { return string([]byte{"0123456789abcdef"[c>>4], "0123456789abcdef"[c&15]}) }

func TestAnOperatorCannotSetWhatAPresetSets(t *testing.T) {
	for _, test := range []struct {
		preset, url string
		header      http.Header
	}{
		{"smarty", "http://a/?ip=1", nil},
		{"smarty", "http://a/?x;IP[]=1", nil},
		{"flussonic", "http://a/?name=1", nil},
		{"astra", "http://a/", http.Header{"X-Channel-Id": {"1"}}},
		{"astra", "http://a/", http.Header{"x_real_host": {"1"}}},
		{"astra", "http://a/", http.Header{"X-Real-Origin": {"1"}}},
	} {
		c := of(t, test.preset)
		c.URLs, c.Header = []*url.URL{mustURL(t, test.url)}, test.header
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", test)
		}
	}
}

func TestABackendOfAnotherPresetOrNameIsAnother(t *testing.T) {
	c := of(t, "flussonic")
	c.URLs = []*url.URL{mustURL(t, "http://a/")}
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if !b.Same(c) {
		t.Error("it is not the same as itself")
	}
	named := c
	named.Stream = "live/{stream}"
	other := of(t, "smarty")
	other.URLs, other.Stream, other.UnavailableStatuses = c.URLs, c.Stream, c.UnavailableStatuses
	if b.Same(named) || b.Same(other) {
		t.Error("another is the same")
	}
}

func TestABodyCountsOnlyForSmartyAndOnlyAgainstAViewer(t *testing.T) {
	long := strings.Repeat(" ", 70<<10)
	for _, test := range []struct {
		preset string
		status int
		body   string
		want   string
	}{
		{"smarty", 200, `{"error":0}`, "allow"},
		{"smarty", 200, `{"error":1}`, "deny"},
		{"smarty", 200, "\ufeff" + `{"error":"2"}`, "deny"},
		{"smarty", 200, `no JSON`, "allow"},
		{"smarty", 200, ``, "allow"},
		{"smarty", 200, long + `{"error":1}`, "allow"}, // beyond what is read
		{"smarty", 200, `{"error":1}` + long, "deny"},
		{"smarty", 403, `{"error":0}`, "deny"},
		{"smarty", 500, `{"error":0}`, "deny"},
		{"smarty", 204, ``, "deny"},
		{"custom", 200, `{"error":1}`, "allow"},
		{"ministra", 200, `{"error":1}`, "allow"},
		{"flussonic", 500, ``, "unanswered"},
		{"flussonic", 502, ``, "deny"},
		{"flussonic", 302, ``, "deny"},
		{"custom", 500, ``, "deny"},
	} {
		address, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			io.WriteString(w, test.body)
		})
		b := start(t, of(t, test.preset), address)
		if o := b.Ask(t.Context(), viewer(), live()); word(o) != test.want || o.Status != test.status {
			t.Errorf("%s %d %.30q: %s %+v", test.preset, test.status, test.body, word(o), o)
		}
		if o := b.Trace(t.Context(), viewer(), live()).Outcome; word(o) != test.want || o.Status != test.status {
			t.Errorf("trace of %s %d %.30q: %s %+v", test.preset, test.status, test.body, word(o), o)
		}
	}
}

func TestABodyThatBreaksOffIsNoReply(t *testing.T) {
	address := raw(t, write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"error\":0}"))
	if o := start(t, of(t, "smarty"), address).Ask(t.Context(), viewer(), live()); word(o) != "unanswered" {
		t.Errorf("outcome is %+v", o)
	}
}

package backend

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
)

const rawOK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// onTheWire asks a backend made from the config, with own after its address, and
// gives the lines that arrived.
func onTheWire(t *testing.T, c Config, own string, r *check.Request) []string {
	t.Helper()
	heads := make(chan string, 1)
	address := raw(t, func(conn net.Conn, head string) {
		heads <- head
		io.WriteString(conn, rawOK)
	})
	scheme, host, _ := strings.Cut(address, "//")
	user, rest, _ := strings.Cut(own, "@")
	if rest != "" {
		host, own = user+"@"+host, rest
	}
	b := start(t, c, scheme+"//"+host+own)
	if o := b.Ask(t.Context(), r, s1()); o.Verdict != check.Allowed {
		t.Fatalf("outcome is %+v", o)
	}
	return strings.Split(strings.TrimSuffix(<-heads, "\r\n"), "\r\n")
}

func TestTheQuestionIsOneGetWithTheFiveHeadersOfAlta(t *testing.T) {
	got := onTheWire(t, Config{Host: "portal.example"}, "/auth", viewer())
	want := []string{
		"GET /auth?token=123 HTTP/1.1",
		"Host: portal.example",
		"User-Agent: altagate",
		"X-Real-Ip: 192.0.2.7",
		"X-Real-Origin: https://live.example.com",
		"X-Real-Path: /ch1/index.m3u8",
		"X-Real-Ua: VLC/3.0",
		"X-Session-Id: s1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnEmptyUserAgentIsSentEmpty(t *testing.T) {
	r := viewer()
	r.UserAgent = ""
	got := strings.Join(onTheWire(t, Config{}, "/auth", r), "\n") + "\n"
	if !strings.Contains(got, "\nX-Real-Ua: \n") {
		t.Errorf("no empty X-Real-Ua in\n%s", got)
	}
}

func TestTheViewersQueryArrivesByteForByteAfterTheOperators(t *testing.T) {
	for _, test := range []struct{ own, viewer, want string }{
		{"/auth", "", "/auth"},
		{"", "", "/"},
		{"", "a=1", "/?a=1"},
		{"/auth?key=s", "", "/auth?key=s"},
		{"/auth?key=s", "token=1", "/auth?key=s&token=1"},
		{"/auth?key=s&", "token=1", "/auth?key=s&token=1"},
		{"/auth?", "token=1", "/auth?token=1"},
		{"/auth", "b=2&a=1&b=2", "/auth?b=2&a=1&b=2"},
		{"/auth", "a=%zz&%74oken=%e2%82%AC&+=+&;x", "/auth?a=%zz&%74oken=%e2%82%AC&+=+&;x"},
		{"/auth", "q=\"<>|^`{}\\\xff\xc3\xa9?&&=", "/auth?q=\"<>|^`{}\\\xff\xc3\xa9?&&="},
		{"/a%2Fb/%C3%A9", "x", "/a%2Fb/%C3%A9?x"},
	} {
		r := viewer()
		r.Query = test.viewer
		got := onTheWire(t, Config{}, test.own, r)[0]
		if want := "GET " + test.want + " HTTP/1.1"; got != want {
			t.Errorf("%q with %q: got %q, want %q", test.own, test.viewer, got, want)
		}
	}
}

func TestTheOperatorsParametersAndAltagatesOwnAreNotTheViewersToSet(t *testing.T) {
	r := viewer()
	r.Query = "token=1&key=evil&KEY=evil&%6bey[]=evil&altagate_id=v1.x&name=2"
	got := onTheWire(t, Config{}, "/auth?key=secret", r)[0]
	if want := "GET /auth?key=secret&token=1&name=2 HTTP/1.1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAUserInTheURLIsBasicAuthAndFixedHeadersAreSent(t *testing.T) {
	c := Config{Header: http.Header{"x-api-key": {"k1"}, "User-Agent": {"edge-7"}}}
	got := strings.Join(onTheWire(t, c, "user:pa%3Ass@/auth", viewer()), "\n")
	for _, want := range []string{
		"GET /auth?token=123 HTTP/1.1\n",
		"\nAuthorization: Basic dXNlcjpwYTpzcw==\n",
		"\nX-Api-Key: k1\n",
		"\nUser-Agent: edge-7\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestWhatCannotBeSentIsUnansweredAndNothingIsAskedOrProbedForIt(t *testing.T) {
	for name, spoil := range map[string]func(*check.Request){
		"space in the query":   func(r *check.Request) { r.Query = "a b HTTP/1.1" },
		"control in the query": func(r *check.Request) { r.Query = "a=\x00" },
		"fragment":             func(r *check.Request) { r.Query = "a#b" },
		"line end in the path": func(r *check.Request) { r.Path = "/a\r\nX-Real-Ip: 1" },
		"DEL in the agent":     func(r *check.Request) { r.UserAgent = "a\x7f" },
		"NUL in the host":      func(r *check.Request) { r.Host = "a\x00" },
		"no address":           func(r *check.Request) { *r = check.Request{} },
	} {
		t.Run(name, func(t *testing.T) {
			s, e := newScript(), &events{}
			s.set("a", says(200), refuse)
			c := Config{URLs: nil, Notify: e.notify}
			c.URLs = append(c.URLs, mustURL(t, "http://a/auth"))
			b, err := assemble(c, s.send)
			if err != nil {
				t.Fatal(err)
			}
			b.Close() // no probing but by mistake
			s.calls()
			r := viewer()
			spoil(r)
			o := b.Ask(t.Context(), r, s1())
			if word(o) != "unanswered" || !errors.Is(o.Err, errUnsendable) {
				t.Errorf("outcome is %+v", o)
			}
			if calls := s.calls(); len(calls) > 0 {
				t.Errorf("asked: %q", calls)
			}
		})
	}
}

func TestProbesHaveNothingOfAViewer(t *testing.T) {
	for _, test := range []struct{ url, probe, want, auth string }{
		{"http://u:p@a/auth?key=s", "", "http://a/auth?key=s", "Basic dTpw"},
		{"http://u:p@a/auth?key=s", "/health?db=1", "http://a/health?db=1", "Basic dTpw"},
		{"http://u:p@a/auth", "http://a/health", "http://a/health", "Basic dTpw"},
		{"http://u:p@a/auth", "http://b/health", "http://b/health", ""},
		{"http://u:p@a/auth", "http://x:y@b/health", "http://b/health", "Basic eDp5"},
	} {
		c := Config{Host: "portal.example", Header: http.Header{"X-Api-Key": {"k1"}}}
		if test.probe != "" {
			c.Probe = mustURL(t, test.probe)
		}
		e, err := newEndpoint(normal(c), mustURL(t, test.url))
		if err != nil {
			t.Fatal(err)
		}
		r := e.probe(t.Context())
		if got := r.URL.String(); got != test.want {
			t.Errorf("%s, %s: probes %s, want %s", test.url, test.probe, got, test.want)
		}
		want := http.Header{"User-Agent": {"altagate"}, "X-Api-Key": {"k1"}}
		if test.auth != "" {
			want.Set("Authorization", test.auth)
		}
		if diff := cmp.Diff(want, r.Header); diff != "" {
			t.Errorf("%s, %s: %s", test.url, test.probe, diff)
		}
		if r.Host != "portal.example" {
			t.Errorf("Host is %q", r.Host)
		}
	}
}

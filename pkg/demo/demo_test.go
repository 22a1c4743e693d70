package demo

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// got is what a handler answers to a viewer's GET.
func got(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("User-Agent", "VLC/3.0.20")
	h.ServeHTTP(w, r)
	return w
}

func TestTheBackendAllowsToken123Only(t *testing.T) {
	for query, want := range map[string]int{
		"token=123":               200,
		"token=%3123":             200,
		"a=1&token=123&b=2":       200,
		"token=1&token=123":       200,
		"token=123&token=1":       403,
		"token=1234":              403,
		"token=":                  403,
		"":                        403,
		"Token=123":               403,
		"token=123;token=123&x=%": 403,
	} {
		var asked Question
		h := Backend(func(q Question) { asked = q })
		if w := got(h, "/?"+query); w.Code != want || w.Body.Len() != 0 || asked.Status != want || asked.Query != query {
			t.Errorf("%q: got %d and %+v, want %d", query, w.Code, asked, want)
		}
	}
}

func TestTheBackendTellsWhatItWasAsked(t *testing.T) {
	var asked Question
	r := httptest.NewRequest(http.MethodGet, "/?token=1", nil)
	for name, value := range map[string]string{
		"X-Session-Id": "s", "X-Real-Ip": "192.0.2.7", "X-Real-Path": "/live/index.m3u8",
		"X-Real-Origin": "https://tv.example.com", "X-Real-Ua": "VLC",
	} {
		r.Header.Set(name, value)
	}
	Backend(func(q Question) { asked = q }).ServeHTTP(httptest.NewRecorder(), r)
	want := Question{
		Session: "s", Addr: "192.0.2.7", Path: "/live/index.m3u8", Origin: "https://tv.example.com", UserAgent: "VLC",
		Query: "token=1", Status: 403,
	}
	if asked != want {
		t.Errorf("got %+v, want %+v", asked, want)
	}
}

func TestThePlaylistNamesSegmentsThatAreThere(t *testing.T) {
	h := Origin()
	list := got(h, "/live/index.m3u8?token=123")
	if list.Code != 200 || list.Header().Get("Content-Type") != "application/vnd.apple.mpegurl" ||
		list.Header().Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(list.Body.String(), "#EXTM3U\n") {
		t.Fatalf("got %d %v %s", list.Code, list.Header(), list.Body)
	}
	segments := 0
	for line := range strings.Lines(list.Body.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		segments++
		w := got(h, "/live/"+strings.TrimSpace(line))
		body := w.Body.Bytes()
		if w.Code != 200 || w.Header().Get("Content-Type") != "video/mp2t" || len(body) == 0 || len(body)%188 != 0 {
			t.Fatalf("%s: got %d %v, %d bytes", line, w.Code, w.Header(), len(body))
		}
		for i := 0; i < len(body); i += 188 {
			if body[i] != 0x47 {
				t.Fatalf("%s: no MPEG-TS packet at %d", line, i)
			}
		}
	}
	if segments != 4 {
		t.Errorf("%d segments", segments)
	}
}

func TestTheOriginHasNothingElse(t *testing.T) {
	for _, path := range []string{"/", "/live/", "/live/../origin.go", "/live/nowhere.ts", "/index.m3u8", "/stream/seg0.ts"} {
		if w := got(Origin(), path); w.Code != 404 {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
	w := httptest.NewRecorder()
	Origin().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/live/index.m3u8", nil))
	if w.Code != 405 {
		t.Errorf("POST: got %d", w.Code)
	}
}

// altagate is a server that answers every check with status, and its listener.
func altagate(t *testing.T, network string, status int, seen func(*http.Request)) string {
	t.Helper()
	spec, address := "", "127.0.0.1:0"
	if network == "unix" {
		spec, address = "unix:", filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen(r)
		w.Header().Set("Location", "/auth/nginx")
		w.WriteHeader(status)
	}))
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return spec + l.Addr().String()
}

func TestTheEdgeServesOnlyOnA200(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		for _, status := range []int{200, 204, 302, 401, 403, 500} {
			checks := 0
			edge := Edge(Origin(), altagate(t, network, status, func(*http.Request) { checks++ }))
			w := got(edge, "/live/index.m3u8")
			if served := strings.HasPrefix(w.Body.String(), "#EXTM3U"); served != (status == 200) || checks != 1 {
				t.Errorf("%s %d: %d %s", network, status, w.Code, w.Body)
			}
			if status != 200 && (w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "*") {
				t.Errorf("%s %d: %d %v", network, status, w.Code, w.Header())
			}
		}
	}
}

func TestTheEdgeServesNobodyWhileNobodyAnswers(t *testing.T) {
	if w := got(Edge(Origin(), "unix:"+t.TempDir()+"/nobody"), "/live/index.m3u8"); w.Code != 403 {
		t.Errorf("got %d", w.Code)
	}
}

func TestTheEdgeSaysWhatNginxSaysAndNothingOfTheViewersOwn(t *testing.T) {
	var check *http.Request
	edge := Edge(Origin(), altagate(t, "tcp", 403, func(r *http.Request) { check = r.Clone(t.Context()) }))
	r := httptest.NewRequest(http.MethodPost, "/live//a%2Fb?token=1&token=%zz", strings.NewReader("body"))
	r.RemoteAddr = "[2001:db8::7]:1234"
	r.Host = "tv.example.com:8080"
	r.Header.Set("X-Real-Ip", "203.0.113.1")
	r.Header.Set("X-Original-Uri", "/public")
	r.Header.Set("Cookie", "a=b")
	edge.ServeHTTP(httptest.NewRecorder(), r)
	want := map[string]string{
		"X-Original-Uri": "/live//a%2Fb?token=1&token=%zz", "X-Original-Method": "POST", "X-Forwarded-Proto": "http",
		"X-Forwarded-Host": "tv.example.com:8080", "X-Real-Ip": "2001:db8::7",
	}
	if check.Method != "GET" || check.URL.Path != "/auth/nginx" || check.ContentLength != 0 || len(check.Header) != len(want) {
		t.Errorf("got %s %s with %v", check.Method, check.URL, check.Header)
	}
	for name, value := range want {
		if values := check.Header[name]; len(values) != 1 || values[0] != value {
			t.Errorf("%s: got %q, want %q", name, values, value)
		}
	}
}

func TestTheEdgeAsksAboutPathsOnly(t *testing.T) {
	checks := 0
	s := httptest.NewServer(Edge(Origin(), altagate(t, "tcp", 200, func(*http.Request) { checks++ })))
	defer s.Close()
	for _, line := range []string{"GET http://other/live/index.m3u8", "CONNECT other:443"} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, line+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		reply, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(reply), "HTTP/1.1 400 ") {
			t.Errorf("%s: got %q, %v", line, reply, err)
		}
		conn.Close()
	}
	if checks != 0 {
		t.Errorf("%d checks", checks)
	}
}

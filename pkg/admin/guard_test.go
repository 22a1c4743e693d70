package admin

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func otherwise() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "elsewhere") })
}

func TestTheAPIIsAnsweredOnLoopbackAndUnixSocketsOnly(t *testing.T) {
	for _, test := range []struct {
		at   net.Addr
		want int
	}{
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9182}, 200},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 9), Port: 9182}, 200},
		{&net.TCPAddr{IP: net.IPv6loopback, Port: 9182}, 200},
		{&net.UnixAddr{Name: "/run/altagate/admin.sock", Net: "unix"}, 200},
		{&net.UnixAddr{Name: "@altagate", Net: "unix"}, 200},
		{&net.TCPAddr{IP: net.IPv6unspecified, Port: 9182}, 403},
		{&net.TCPAddr{IP: net.IPv4zero, Port: 9182}, 403},
		{&net.TCPAddr{Port: 9182}, 403},
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 9182}, 403},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "lo", Port: 9182}, 403},
		{&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, 403},
	} {
		for _, method := range []string{"GET", "DELETE"} {
			store := three()
			w := asking{method: method, target: "/api/v1/sessions/" + first, at: test.at}.does(API(store, two(), new(Decisions), nil, otherwise()))
			text := errorOf(t, w)
			if w.Code != test.want || test.want == 403 && (!strings.Contains(text, "unix:/path") || len(store.calls) > 0) {
				t.Errorf("%s on %v: %d %s", method, test.at, w.Code, text)
			}
			if metrics := (asking{target: "/metrics", at: test.at}).does(API(store, two(), new(Decisions), nil, otherwise())); metrics.Body.String() != "elsewhere" {
				t.Errorf("on %v the other pages are not answered: %s", test.at, metrics.Body)
			}
		}
	}
}

func TestAServerThatDoesNotSayWhereItListensAnswersNobody(t *testing.T) {
	r := httptest.NewRequestWithContext(context.Background(), "GET", "/api/v1/sessions", http.NoBody)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	API(three(), two(), new(Decisions), nil, otherwise()).ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestTheHostMustBeThisMachine(t *testing.T) {
	for host, want := range map[string]int{
		"localhost": 200, "localhost:9182": 200, "LocalHost:8080": 200, "127.0.0.1": 200, "127.0.0.1:9182": 200, "127.8.8.8:1": 200,
		"[::1]:9182": 200, "[::1]": 200, "[::ffff:127.0.0.1]:9182": 200,
		"evil.example": 403, "evil.example:9182": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "10.0.0.2:9182": 403,
		"127.1": 403, "2130706433": 403, "0x7f.1": 403, "0.0.0.0:9182": 403, "[::]:9182": 403, "[::1%25eth0]": 403, "localhost:9182:9182": 403, "@localhost": 403,
		"admin.localhost.example:9182": 403, ":9182": 403,
	} {
		for _, method := range []string{"GET", "HEAD", "DELETE"} {
			store := three()
			w := asking{method: method, target: "/api/v1/sessions/" + first, host: host}.does(API(store, two(), new(Decisions), nil, otherwise()))
			if w.Code != want || want == 403 && len(store.calls) > 0 {
				t.Errorf("%s under %q: %d %s", method, host, w.Code, w.Body)
			}
		}
	}
	r := httptest.NewRequestWithContext(On(addressed{&net.UnixAddr{}}), "GET", "/api/v1/sessions", http.NoBody)
	r.Host = ""
	w := httptest.NewRecorder()
	if API(three(), two(), new(Decisions), nil, otherwise()).ServeHTTP(w, r); w.Code != http.StatusForbidden {
		t.Errorf("without a host: %d", w.Code)
	}
}

func TestAPageOfAnotherOriginChangesNothing(t *testing.T) {
	for _, test := range []struct {
		method  string
		headers map[string]string
		want    int
	}{
		{"DELETE", nil, 200},
		{"DELETE", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		{"DELETE", map[string]string{"Origin": "http://127.0.0.1:9182"}, 200},
		{"DELETE", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"DELETE", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"DELETE", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:9182"}, 403},
		{"DELETE", map[string]string{"Origin": "https://evil.example"}, 403},
		{"DELETE", map[string]string{"Origin": "http://127.0.0.1:8080"}, 403},
		{"DELETE", map[string]string{"Origin": "null"}, 403},
		{"POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, 200},
	} {
		store := three()
		w := asking{method: test.method, target: "/api/v1/sessions/" + first, headers: test.headers}.does(API(store, two(), new(Decisions), nil, otherwise()))
		if w.Code != test.want || test.want != 200 && len(store.calls) > 0 {
			t.Errorf("%s with %v: %d %s", test.method, test.headers, w.Code, w.Body)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Error("another origin may read the answer")
		}
	}
}

func TestEveryAnswerIsJSONThatNobodyKeeps(t *testing.T) {
	for _, a := range []asking{
		{target: "/api/v1/sessions"},
		{target: "/api/v1/sessions?limit=0"},
		{target: "/api/v1/sessions/" + first},
		{target: "/api/v1/sessions/none"},
		{target: "/api/"},
		{method: "PUT", target: "/api/v1/sessions"},
		{method: "DELETE", target: "/api/v1/sessions/" + first},
		{target: "/api/v1/sessions", host: "evil.example"},
		{target: "/api/v1/sessions", at: &net.TCPAddr{IP: net.IPv4zero}},
	} {
		w := a.does(API(three(), two(), new(Decisions), nil, otherwise()))
		errorOf(t, w)
		for name, want := range map[string]string{
			"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %s: %s is %q", a.method, a.target, name, got)
			}
		}
	}
}

func TestARealServerAnswersOnLoopbackAndAUnixSocketAndNotOnAllAddresses(t *testing.T) {
	h := API(three(), two(), new(Decisions), nil, otherwise())
	at := served(t, "tcp", "127.0.0.1:0", h).String()
	reply, err := http.Get("http://" + at + "/api/v1/sessions/" + first)
	if status, body := got(t, reply, err); status != 200 || !strings.HasPrefix(body, `{"id":"`+first+`"`) {
		t.Errorf("on loopback: %d %s", status, body)
	}
	reply, err = http.Head("http://" + at + "/api/v1/sessions/" + first)
	if status, body := got(t, reply, err); status != 200 || body != "" || reply.ContentLength < 100 {
		t.Errorf("to a HEAD: %d %q, %d bytes", status, body, reply.ContentLength)
	}

	_, port, err := net.SplitHostPort(served(t, "tcp", ":0", h).String())
	if err != nil {
		t.Fatal(err)
	}
	reply, err = http.Get("http://127.0.0.1:" + port + "/api/v1/sessions")
	if status, body := got(t, reply, err); status != 403 {
		t.Errorf("on all addresses, asked over loopback: %d %s", status, body)
	}

	path := filepath.Join(t.TempDir(), "a.sock")
	served(t, "unix", path, h)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer client.CloseIdleConnections()
	reply, err = client.Get("http://localhost/api/v1/sessions?limit=1")
	if status, body := got(t, reply, err); status != 200 || !strings.Contains(body, first) {
		t.Errorf("on a Unix socket: %d %s", status, body)
	}
}

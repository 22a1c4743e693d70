package admin

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

const token = "Zm9ydHktdHdvIGJ5dGVzIG9mIHNlY3JldCBoZXJlIQ=="

func TestWithATokenTheAPIIsAnsweredOnEveryListenerToWhoBringsIt(t *testing.T) {
	is := func() []byte { return []byte(token) }
	for _, at := range []net.Addr{
		&net.TCPAddr{IP: net.IPv4zero, Port: 9182}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 9182}, &net.TCPAddr{IP: net.IPv6loopback, Port: 9182},
	} {
		for _, test := range []struct {
			brings []string
			want   int
		}{
			{[]string{"Bearer " + token}, 200},
			{[]string{"bearer  " + token + " "}, 200},
			{nil, 401},
			{[]string{""}, 401},
			{[]string{"Bearer "}, 401},
			{[]string{"Bearer"}, 401},
			{[]string{token}, 401},
			{[]string{"Basic " + token}, 401},
			{[]string{"Bearer " + token[:43]}, 401},
			{[]string{"Bearer " + token + "x"}, 401},
			{[]string{"Bearer " + strings.ToLower(token)}, 401},
			{[]string{"Bearer " + token, "Bearer " + token}, 401},
		} {
			store := three()
			a := asking{method: "DELETE", target: "/api/v1/sessions/" + first, at: at, host: "altagate.example:9182", authorization: test.brings}
			w := a.does(API(store, two(), new(Decisions), is, otherwise()))
			text := errorOf(t, w)
			if w.Code != test.want || test.want != 200 && (len(store.calls) > 0 || w.Header().Get("WWW-Authenticate") == "") || strings.Contains(text, token) {
				t.Errorf("%q on %v: %d %s", test.brings, at, w.Code, text)
			}
		}
		if w := (asking{target: "/metrics", at: at}).does(API(three(), two(), new(Decisions), is, otherwise())); w.Body.String() != "elsewhere" {
			t.Errorf("metrics want a token on %v", at)
		}
	}
}

func TestAUnixSocketWantsNoToken(t *testing.T) {
	w := asking{target: "/api/v1/sessions", at: &net.UnixAddr{Name: "/run/a.sock"}}.does(API(three(), two(), new(Decisions), func() []byte { return []byte(token) }, otherwise()))
	if w.Code != http.StatusOK {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestATokenDoesNotLetAnotherOriginIn(t *testing.T) {
	store := three()
	w := asking{
		method: "DELETE", target: "/api/v1/sessions/" + first, authorization: []string{"Bearer " + token},
		headers: map[string]string{"Sec-Fetch-Site": "cross-site"},
	}.does(API(store, two(), new(Decisions), func() []byte { return []byte(token) }, otherwise()))
	if w.Code != http.StatusForbidden || len(store.calls) > 0 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestAnEmptyTokenIsNone(t *testing.T) {
	for _, authorization := range [][]string{nil, {"Bearer "}, {"Bearer"}, {""}} {
		w := asking{target: "/api/v1/sessions", at: &net.TCPAddr{IP: net.IPv4zero}, authorization: authorization}.
			does(API(three(), two(), new(Decisions), func() []byte { return nil }, otherwise()))
		if w.Code != http.StatusForbidden {
			t.Errorf("%q: got %d %s", authorization, w.Code, w.Body)
		}
	}
}

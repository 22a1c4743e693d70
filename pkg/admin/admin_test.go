package admin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// asked gives status, headers and body of one request to a real server.
func asked(t *testing.T, h http.Handler, method, path string) (*http.Response, string) {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := s.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply, string(body)
}

func handler(ready func() bool) http.Handler {
	return Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "altagate_checks_total 1\n")
	}), ready)
}

func TestWhatIsAnswered(t *testing.T) {
	h := handler(func() bool { return true })
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/", 200, "/metrics"},
		{"GET", "/metrics", 200, "altagate_checks_total 1\n"},
		{"GET", "/healthz", 200, "ok\n"},
		{"HEAD", "/healthz", 200, ""},
		{"GET", "/readyz?verbose", 200, "ready\n"},
		{"POST", "/readyz", 405, "only GET and HEAD"},
		{"DELETE", "/metrics", 405, "only GET and HEAD"},
		{"GET", "/api/v1/sessions", 404, "not found"},
		{"POST", "/nowhere", 404, "not found"},
		{"GET", "//metrics", 404, "not found"},
		{"GET", "/metrics/", 404, "not found"},
	} {
		reply, body := asked(t, h, test.method, test.path)
		if reply.StatusCode != test.status || !strings.Contains(body, test.body) || test.body == "" && body != "" {
			t.Errorf("%s %s: got %d %q", test.method, test.path, reply.StatusCode, body)
		}
		if reply.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: a browser may guess the type", test.method, test.path)
		}
		if test.status == http.StatusMethodNotAllowed && reply.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s: Allow is %q", test.method, test.path, reply.Header.Get("Allow"))
		}
	}
}

func TestReadinessIsThatOfTheMomentAndLifeGoesOnWhileDraining(t *testing.T) {
	var ready atomic.Bool
	h := handler(ready.Load)
	if reply, body := asked(t, h, "GET", "/readyz"); reply.StatusCode != 503 || body != "not ready: draining\n" {
		t.Errorf("got %d %q", reply.StatusCode, body)
	}
	if reply, _ := asked(t, h, "GET", "/healthz"); reply.StatusCode != 200 {
		t.Errorf("got %d", reply.StatusCode)
	}
	ready.Store(true)
	if reply, _ := asked(t, h, "GET", "/readyz"); reply.StatusCode != 200 {
		t.Errorf("got %d", reply.StatusCode)
	}
}

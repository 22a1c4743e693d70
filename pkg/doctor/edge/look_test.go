package edge_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/altagate/altagate/pkg/doctor"
	"github.com/altagate/altagate/pkg/doctor/edge"
)

// fake is an edge and its altagate in one: it decides as its tests say, and notes
// what it decided.
type fake struct {
	// change may alter what is noted, and what is answered; status 0 closes the
	// connection.
	change func(r *http.Request, d *doctor.Decided, status *int)

	mu   sync.Mutex
	told []doctor.Decided
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	d := doctor.Decided{
		Decision: "deny", Reason: "backend", Method: r.Method, Scheme: "http", Host: strings.ToLower(r.Host), Path: r.URL.Path,
		Address: host, UserAgent: r.UserAgent(),
	}
	status := http.StatusForbidden
	if strings.Contains(r.URL.RawQuery, "token=123") {
		d.Decision, d.Reason, status = "allow", "session", http.StatusOK
	}
	switch {
	case strings.Contains(r.Host, "invalid"), strings.Contains(r.Host, "@"):
		d.Decision, status = "", 421
	case r.URL.Path != "/live/index.m3u8":
		d.Decision, d.Reason, status = "deny", "malformed", 403
	}
	if f.change != nil {
		f.change(r, &d, &status)
	}
	if d.Decision != "" {
		f.mu.Lock()
		f.told = append(f.told, d)
		f.mu.Unlock()
	}
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

func (f *fake) decisions(context.Context, string) ([]doctor.Decided, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.told), nil
}

// looked looks at an edge.
func looked(t *testing.T, f *fake, adjust func(*edge.Config)) *doctor.Section {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c := edge.Config{URL: "http://tv.example.com/live/index.m3u8?token=123", Address: strings.TrimPrefix(s.URL, "http://"), Decisions: f.decisions}
	if adjust != nil {
		adjust(&c)
	}
	section, err := edge.Look(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return section
}

func ids(s *doctor.Section) []string {
	found := []string{}
	for _, f := range s.Findings {
		found = append(found, f.ID)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestAnEdgeThatIsSound(t *testing.T) {
	s := looked(t, &fake{}, nil)
	if len(s.Findings) > 0 || s.Failed != "" || len(s.Fine) < 7 {
		t.Errorf("%+v", s)
	}
}

// TestWhatAnEdgeDoesWrongIsFound has what no shipped edge can be broken into. The
// real ones are in test/e2e.
func TestWhatAnEdgeDoesWrongIsFound(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(r *http.Request, d *doctor.Decided, status *int)
		found  string
	}{
		{"a header beside the proxy's own", func(r *http.Request, d *doctor.Decided, _ *int) {
			if r.Header.Get("X-Real-Ip") != "" {
				d.Reason, d.Error, d.Address = "bad-check", "there twice: viewer's address", ""
			}
		}, "edge-header-breaks"},
		{"a POST that hangs", func(r *http.Request, d *doctor.Decided, status *int) {
			if r.Method == "POST" {
				d.Decision, *status = "", 0
			}
		}, "edge-post-hangs"},
		{"everybody is allowed", func(_ *http.Request, d *doctor.Decided, status *int) {
			d.Decision, d.Reason, *status = "allow", "default", 200
		}, "edge-junk-allowed edge-unknown-host"},
		{"HEAD is not checked", func(r *http.Request, d *doctor.Decided, status *int) {
			if r.Method == "HEAD" {
				d.Decision, *status = "", 200
			}
		}, "edge-unchecked"},
		{"a denial is served", func(_ *http.Request, _ *doctor.Decided, status *int) { *status = 200 }, "edge-denial-served edge-unchecked"},
		{"another port", func(_ *http.Request, d *doctor.Decided, _ *int) { d.Host += ":8443" }, "edge-context-wrong"},
		{"one address for all", func(_ *http.Request, d *doctor.Decided, _ *int) { d.Address = "127.0.0.9" }, "edge-address-hidden"},
		{"a path that is not checked", func(r *http.Request, d *doctor.Decided, status *int) {
			if strings.Contains(r.RequestURI, "//index") {
				d.Decision, *status = "", 200
			}
		}, "edge-unchecked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := looked(t, &fake{change: test.change}, nil)
			if want := strings.Fields(test.found); !slices.Equal(ids(s), want) {
				t.Errorf("found %q, want %q\n%+v", ids(s), want, s.Findings)
			}
		})
	}
}

func TestWithoutAltagatesWordAnEdgeThatServesJunkIsFound(t *testing.T) {
	blind := func(c *edge.Config) {
		c.Decisions = func(context.Context, string) ([]doctor.Decided, error) { return nil, errors.New("refused") }
	}
	if s := looked(t, &fake{}, blind); len(s.Findings) > 0 || !strings.Contains(s.Failed, "refused") {
		t.Errorf("%+v", s)
	}
	open := &fake{change: func(_ *http.Request, _ *doctor.Decided, status *int) { *status = 200 }}
	if s := looked(t, open, blind); !slices.Equal(ids(s), []string{"edge-junk-allowed"}) {
		t.Errorf("%+v", s)
	}
}

func TestAViewerWhoIsDeniedLeavesAnEdgeUnseen(t *testing.T) {
	s := looked(t, &fake{}, func(c *edge.Config) { c.URL = "http://tv.example.com/live/index.m3u8?token=1" })
	if len(s.Findings) > 0 || !strings.Contains(s.Failed, "is denied (backend)") {
		t.Errorf("%+v", s)
	}
}

func TestAListenerOfAltagatesAtTheEdgeIsFound(t *testing.T) {
	is := func(context.Context, string) bool { return true }
	s := looked(t, &fake{}, func(c *edge.Config) {
		c.Listeners = []edge.Listener{
			{Name: "exposed", Address: "0.0.0.0:9182", Is: is}, {Name: "our own", Address: "127.0.0.1:9180", Is: is},
			{Name: "a socket", Address: "unix:/run/x", Is: is}, {Name: "off", Is: is},
		}
	})
	if !slices.Equal(ids(s), []string{"edge-listener-reachable"}) || len(s.Findings) != 1 || s.Findings[0].Where != "127.0.0.1:9182" {
		t.Errorf("%+v", s.Findings)
	}
}

func TestAnOperatorIsAskedToStopAltagate(t *testing.T) {
	stopped := false
	asked := []string{}
	f := &fake{change: func(_ *http.Request, d *doctor.Decided, status *int) {
		if stopped {
			d.Decision, *status = "", 200
		}
	}}
	s := looked(t, f, func(c *edge.Config) {
		c.There = func(context.Context) bool { return !stopped }
		c.Pause = func(what string) bool {
			asked = append(asked, what)
			stopped = len(asked) == 1
			return true
		}
	})
	if !slices.Equal(ids(s), []string{"edge-open-when-away"}) || len(asked) != 2 || !strings.Contains(asked[1], "Start") {
		t.Errorf("%q %+v", asked, s.Findings)
	}
}

func TestAnEdgeThatIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := looked(t, &fake{}, func(c *edge.Config) { c.Address = l.Addr().String() })
	if s.Failed == "" || len(s.Findings) > 0 {
		t.Errorf("%+v", s)
	}
}

// TestNoTokenIsShown: the edge's URL holds one.
func TestNoTokenIsShown(t *testing.T) {
	const token = "s3cretToken"
	check := func(text string) {
		t.Helper()
		if strings.Contains(text, token) {
			t.Errorf("the token is shown: %s", text)
		}
	}
	for _, url := range []string{"tv.example.com/?token=" + token, "http://?token=" + token, "http://a b/?token=" + token, "http://a/ ?token=" + token, "http://[/?" + token} {
		_, err := edge.Look(t.Context(), edge.Config{URL: url})
		if err == nil {
			t.Errorf("%q is taken", url)
			continue
		}
		check(err.Error())
	}
	open := &fake{change: func(_ *http.Request, d *doctor.Decided, status *int) { d.Decision, *status = "", 200 }}
	s := looked(t, open, func(c *edge.Config) { c.URL = "http://tv.example.com/live/index.m3u8?token=" + token })
	if len(s.Findings) == 0 {
		t.Error("nothing was found")
	}
	for _, f := range s.Findings {
		check(f.What + f.Where)
	}
	check(s.Failed + s.Title + strings.Join(s.Fine, "") + strings.Join(s.Unseen, ""))
}

package backend

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

func TestNewNeitherWaitsNorFailsBecauseTheBackendIsAway(t *testing.T) {
	b := start(t, Config{Name: "portal"}, refusing(t), "http://name.invalid/auth")
	if b.Name() != "portal" || b.Timeout() != 2*time.Second {
		t.Errorf("name %q, timeout %s", b.Name(), b.Timeout())
	}
	if o := b.Ask(t.Context(), viewer(), s1()); word(o) != "absent" || o.Backend != "portal" || o.Session != "s1" || o.Err == nil {
		t.Errorf("outcome is %+v", o)
	}
}

func TestAListenerThatNeverAnswersIsAwayAfterTwoProbes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	turned := make(chan check.Event, 1)
	b := start(t, Config{Timeout: 50 * time.Millisecond, Notify: func(e check.Event) { turned <- e }}, "http://"+l.Addr().String())
	<-turned
	if o := b.Ask(t.Context(), viewer(), s1()); word(o) != "absent" {
		t.Errorf("outcome is %+v", o)
	}
}

func TestCloseClosesKeptConnections(t *testing.T) {
	closed := make(chan struct{})
	address := raw(t, func(c net.Conn, _ string) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		c.Read(make([]byte, 1))
		close(closed)
	})
	b := start(t, Config{}, address)
	b.Ask(t.Context(), viewer(), s1())
	b.Close()
	select {
	case <-closed:
	case <-time.After(maxIdleTime / 3):
		t.Error("a connection is still open")
	}
}

func TestNewRefusesAConfigThatCannotWork(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	text := filepath.Join(t.TempDir(), "text.pem")
	os.WriteFile(empty, nil, 0o600)
	os.WriteFile(text, []byte("no certificate"), 0o600)
	fine := []*url.URL{mustURL(t, "http://127.0.0.1:1/auth")}
	for want, c := range map[string]Config{
		"no URL":                  {},
		"no http://":              {URLs: []*url.URL{mustURL(t, "127.0.0.1/auth")}},
		"such as http://":         {URLs: []*url.URL{mustURL(t, "ftp://a/auth")}},
		"with a host":             {URLs: []*url.URL{mustURL(t, "http:///auth")}},
		"byte 0x20: write it":     {URLs: []*url.URL{{Scheme: "http", Host: "a", RawQuery: "a b"}}},
		"byte 0x23: write it":     {URLs: fine, Probe: &url.URL{Path: "/health", RawQuery: "#"}},
		"negative":                {URLs: fine, Timeout: -1},
		"200 cannot be":           {URLs: fine, UnavailableStatuses: []int{502, 200}},
		"several addresses":       {URLs: append(fine, fine...), Probe: mustURL(t, "http://a/health")},
		"probe is neither":        {URLs: fine, Probe: mustURL(t, "ftp://a/health")},
		`"X-Real-Ip"`:             {URLs: fine, Header: http.Header{"X-Real-Ip": {"1"}}},
		`"X_session_id"`:          {URLs: fine, Header: http.Header{"x_session_id": {"1"}}},
		`"Host"`:                  {URLs: fine, Header: http.Header{"Host": {"a"}}},
		`name "a b"`:              {URLs: fine, Header: http.Header{"a b": {"1"}}},
		`value of header "X-A"`:   {URLs: fine, Header: http.Header{"X-A": {"1\r\nX-B: 2"}}},
		`host "a/b"`:              {URLs: fine, Host: "a/b"},
		"a user in its URL":       {URLs: []*url.URL{mustURL(t, "http://u:p@a/")}, Header: http.Header{"authorization": {"x"}}},
		"a user in its probe":     {URLs: fine, Probe: mustURL(t, "http://u:p@a/"), Header: http.Header{"authorization": {"x"}}},
		"reading CA file":         {URLs: fine, CAFile: filepath.Join(t.TempDir(), "none")},
		"empty.pem is empty":      {URLs: fine, CAFile: empty},
		"text.pem has no certifi": {URLs: fine, CAFile: text},
	} {
		b, err := New(c)
		if err == nil {
			b.Close()
			t.Errorf("want an error with %q", want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

// serveTLS starts a TLS server, and gives a PEM file with its authority.
func serveTLS(t *testing.T, config *tls.Config, handler ...http.Handler) (address, ca string) {
	t.Helper()
	s := httptest.NewUnstartedServer(append(handler, status(200))[0])
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = config
	s.StartTLS()
	t.Cleanup(s.Close)
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL, ca
}

func TestABackendBehindTLSIsAskedOnlyIfItsCertificateIsTrusted(t *testing.T) {
	address, ca := serveTLS(t, nil)
	old, oldCA := serveTLS(t, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	for _, test := range []struct {
		name, url string
		c         Config
		want      string
	}{
		{"private CA", address, Config{CAFile: ca}, "allow"},
		{"private CA and its name", address, Config{CAFile: ca, ServerName: "example.com"}, "allow"},
		{"another name", address, Config{CAFile: ca, ServerName: "portal.example"}, "absent"},
		{"unknown CA", address, Config{}, "absent"},
		{"TLS 1.1", old, Config{CAFile: oldCA}, "absent"},
		{"no TLS", strings.Replace(address, "https", "http", 1), Config{}, "deny"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := start(t, test.c, test.url)
			if o := b.Ask(t.Context(), viewer(), s1()); word(o) != test.want {
				t.Errorf("outcome is %+v", o)
			}
			trace := b.Trace(t.Context(), viewer(), s1())
			if word(trace.Outcome) != test.want {
				t.Errorf("traced outcome is %+v", trace.Outcome)
			}
			if strings.HasPrefix(test.url, "https") && trace.Attempts[0].Phases.TLS <= 0 {
				t.Errorf("phases are %+v", trace.Attempts[0].Phases)
			}
		})
	}
}

func TestSameTellsWhetherAReloadCanKeepTheBackend(t *testing.T) {
	_, ca := serveTLS(t, nil)
	config := func() Config {
		return Config{
			Name: "portal", URLs: []*url.URL{mustURL(t, "http://u:p@127.0.0.1:1/auth?a=1")},
			Probe: mustURL(t, "/health"), Timeout: time.Second, Header: http.Header{"X-A": {"1"}},
			Host: "portal.example", CAFile: ca, ServerName: "portal", UnavailableStatuses: []int{502},
		}
	}
	b := start(t, config())
	c := config()
	c.Notify = func(check.Event) {}
	c.Header = http.Header{"x-a": {"1"}}
	if !b.Same(c) {
		t.Error("an equal config is not the same")
	}
	for name, change := range map[string]func(*Config){
		"name":        func(c *Config) { c.Name = "other" },
		"URL":         func(c *Config) { c.URLs[0].RawQuery = "a=2" },
		"password":    func(c *Config) { c.URLs[0].User = url.UserPassword("u", "q") },
		"another URL": func(c *Config) { c.URLs = append(c.URLs, c.URLs[0]) },
		"probe":       func(c *Config) { c.Probe.Path = "/other" },
		"no probe":    func(c *Config) { c.Probe = nil },
		"timeout":     func(c *Config) { c.Timeout = 0 },
		"header":      func(c *Config) { c.Header["X-A"] = []string{"2"} },
		"more header": func(c *Config) { c.Header["X-B"] = []string{"2"} },
		"host":        func(c *Config) { c.Host = "" },
		"no CA":       func(c *Config) { c.CAFile = "" },
		"lost CA":     func(c *Config) { c.CAFile += "x" },
		"client cert": func(c *Config) { c.ClientCert, c.ClientKey = ca, ca },
		"server name": func(c *Config) { c.ServerName = "" },
		"statuses":    func(c *Config) { c.UnavailableStatuses = nil },
	} {
		c := config()
		change(&c)
		if b.Same(c) {
			t.Errorf("another %s is the same", name)
		}
	}
}

func TestChangingTheConfigAfterwardsChangesNothing(t *testing.T) {
	address, questions := serve(t, status(200))
	c := Config{URLs: []*url.URL{mustURL(t, address)}, Header: http.Header{"X-A": {"1"}}}
	b := start(t, c)
	*c.URLs[0] = *mustURL(t, refusing(t))
	c.Header["X-Real-Ip"] = []string{"6.6.6.6"}
	if o := b.Ask(t.Context(), viewer(), s1()); o.Verdict != check.Allowed || questions.get() != 1 {
		t.Errorf("outcome is %+v", o)
	}
}

package config

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/preset"
	"github.com/altagate/altagate/pkg/stream"
)

func FuzzParse(f *testing.F) {
	for _, dir := range []string{"good", "bad"} {
		for _, data := range samples(f, dir) {
			f.Add(data)
		}
	}
	f.Add(everyKeyOf(Example()))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err == nil {
			mustBeUsable(t, c)
			return
		}
		var mistakes Mistakes
		if c != nil || !errors.As(err, &mistakes) || len(mistakes) == 0 {
			t.Fatalf("got %v, %v", c, err)
		}
		for i, m := range mistakes {
			if m.Line < 1 || m.Column < 1 || m.Text == "" {
				t.Errorf("a mistake without place or text: %+v", m)
			}
			if i > 0 && m.Line < mistakes[i-1].Line {
				t.Errorf("not in the order of the file: %v", mistakes)
			}
		}
	})
}

// mustBeUsable checks what those who get a config count on.
func mustBeUsable(t *testing.T, c *Config) {
	t.Helper()
	names := map[string]bool{}
	for _, b := range c.Backends {
		names[b.Name] = true
		if _, known := preset.Find(b.Preset); !known || b.Preset == "" || len(b.URLs) == 0 || b.Timeout <= 0 || b.Timeout > MaxTimeout {
			t.Errorf("backend %+v", b)
		}
		for _, u := range b.URLs {
			if u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
				t.Errorf("URL %v", u)
			}
		}
	}
	for _, r := range c.Routes {
		if r.Name == "" || len(r.Backends) == 0 || r.DenyStatus < 400 || r.DenyStatus > 499 || r.OnUnavailable != Deny && r.OnUnavailable != Allow {
			t.Errorf("route %+v", r)
		}
		for _, name := range r.Backends {
			if !names[name] {
				t.Errorf("route %s: no backend %q", r.Name, name)
			}
		}
		mustHaveSessions(t, c, r)
	}
	if len(c.Keys) > MaxKeys || c.SessionLimit < 1000 || c.SessionLimit > 10_000_000 || CheckState(c.State) != nil {
		t.Errorf("config %+v", c)
	}
	for _, k := range c.Keys {
		if (k.Text == "") == (k.File == "") || k.File == "" && (len(k.Text) < MinKeySize || len(k.Text) > MaxKeySize) {
			t.Errorf("key %+v", k)
		}
	}
	if len(c.Routes) == 0 || NeedsCallers(c.Listen) != "" && len(c.Callers) == 0 && c.ListenTLS.ClientCA == "" {
		t.Errorf("config %+v", c)
	}
}

// mustHaveSessions checks what a route says of its sessions.
func mustHaveSessions(t *testing.T, c *Config, r Route) {
	t.Helper()
	s := r.Session
	if _, err := stream.Parse(s.Layout, r.Paths); err != nil || s.Layout == "" {
		t.Errorf("route %s: layout %q: %v", r.Name, s.Layout, err)
	}
	if s.Idle < 10*time.Second || s.Idle > s.Max || s.Max > 720*time.Hour || r.Grace < 0 || r.Grace > MaxGrace {
		t.Errorf("route %+v", r)
	}
	if slices.Contains(s.Join, JoinID) && len(c.Keys) == 0 {
		t.Errorf("route %s joins by id without keys", r.Name)
	}
}

package backend

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
)

func noPorts(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EADDRNOTAVAIL}
}

func unresolvable(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "a", IsNotFound: true}}
}

func garbage(r *http.Request) (*http.Response, error) {
	connected(r)
	return nil, errors.New("malformed HTTP response")
}

// toEvil does one thing with the question that a viewer breaks on purpose, and the
// usual with those of the others.
func toEvil(evil act) act {
	return func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.RawQuery, "evil") {
			return evil(r)
		}
		return says(200)(r)
	}
}

// does is what an address does with questions and with probes.
type does struct{ question, probe act }

func both(a act) does { return does{a, a} }

// TestTheTableOfFailures has a backend that was there do something. One viewer asks
// then, who would break the check if he could; another beside him; newcomers each
// second; and one when he has long gone. Only "absent" lets on_unavailable decide.
func TestTheTableOfFailures(t *testing.T) {
	fine := both(says(200))
	for _, row := range []struct {
		name                string
		does                func() []does
		evil, beside, later string
		up                  bool
	}{
		{"refused", one(both(refuse)), "absent", "absent", "absent", false},
		{"its name does not resolve", one(both(unresolvable)), "absent", "absent", "absent", false},
		{"reset", one(both(reset)), "absent", "absent", "absent", false},
		{"reset only for one query", one(does{toEvil(reset), says(404)}), "unanswered", "allow", "allow", true},
		{"garbage", one(both(garbage)), "absent", "absent", "absent", false},
		{"garbage only for one query", one(does{toEvil(garbage), says(404)}), "unanswered", "allow", "allow", true},
		{"hung", one(both(silence)), "unanswered", "unanswered", "absent", false},
		{"hung only for one query", one(does{toEvil(silence), says(404)}), "unanswered", "allow", "allow", true},
		{"hung for the probe alone, which nobody has a reason for", one(does{says(200), silence}), "allow", "allow", "allow", true},
		{"a listed status", one(both(says(502))), "absent", "absent", "absent", false},
		{"a listed status only for one query", one(does{toEvil(says(502)), says(404)}), "unanswered", "allow", "allow", true},
		{"another 5xx", one(both(says(500))), "deny", "deny", "deny", true},
		{"some addresses refused", some(both(refuse), fine), "allow", "allow", "allow", true},
		{"some addresses hung", some(both(silence), fine), "unanswered", "unanswered", "allow", true},
		{"some addresses reset", some(both(reset), fine), "unanswered", "allow", "allow", true},
		{"all addresses refused", some(both(refuse), both(refuse)), "absent", "absent", "absent", false},
		{"all addresses hung", some(both(silence), both(silence)), "unanswered", "unanswered", "absent", false},
		{"one address refused, the other hung", some(both(refuse), both(silence)), "unanswered", "unanswered", "absent", false},
		{
			"the only worker is held by a question, and the probe is slow",
			func() []does {
				w := newWorker()
				quick := w.after(time.Millisecond, says(200))
				return []does{{func(r *http.Request) (*http.Response, error) {
					if strings.Contains(r.URL.RawQuery, "evil") {
						return w.after(8*time.Second, says(200))(r)
					}
					return quick(r)
				}, quick}}
			},
			"unanswered", "unanswered", "allow", true,
		},
		{"our own descriptors are used up", one(both(noDescriptors)), "overload", "overload", "overload", true},
		{"our own ports are used up", one(both(noPorts)), "overload", "overload", "overload", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFailing(t, row.does())
				first := f.ask("token=evil")
				time.Sleep(100 * time.Millisecond)
				second := f.ask("token=123")
				for range 40 { // seconds with a newcomer each
					f.ask("token=123")
					time.Sleep(time.Second)
				}
				got := []string{word(<-first), word(<-second), word(<-f.ask("token=123"))}
				if diff := cmp.Diff([]string{row.evil, row.beside, row.later}, got); diff != "" {
					t.Error(diff)
				}
				if state := f.backend.State(); state.Up != row.up || f.backend.Away() == row.up {
					t.Errorf("up %t: %+v", state.Up, state)
				}
				f.back()
				time.Sleep(2200 * time.Millisecond) // a hung probe, and the pause after it
				if got := word(<-f.ask("token=123")); got != "allow" {
					t.Errorf("two seconds after the return: %s", got)
				}
			})
		})
	}
}

func one(d does) func() []does     { return func() []does { return []does{d} } }
func some(d ...does) func() []does { return func() []does { return d } }

// failing is a backend that was there until it began to fail.
type failing struct {
	t       *testing.T
	script  *script
	hosts   []string
	backend *Backend
}

func newFailing(t *testing.T, all []does) failing {
	t.Helper()
	f := failing{t: t, script: newScript(), hosts: []string{"a", "b"}[:len(all)]}
	c := Config{Name: "portal", UnavailableStatuses: []int{502}}
	for _, h := range f.hosts {
		c.URLs = append(c.URLs, mustURL(t, "http://"+h+"/auth"))
	}
	f.back()
	b, err := assemble(c, f.script.send)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	b.Watch()
	synctest.Wait()
	for i, h := range f.hosts {
		f.script.set(h, all[i].question, all[i].probe)
	}
	f.backend = b
	return f
}

// back lets every address answer again.
func (f failing) back() {
	for _, h := range f.hosts {
		f.script.set(h, says(200), says(404))
	}
}

func (f failing) ask(query string) <-chan check.Outcome {
	o := make(chan check.Outcome, 1)
	r := viewer()
	r.Query = query
	go func() { o <- f.backend.Ask(f.t.Context(), r, s1()) }()
	return o
}

package backend

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
)

func TestEventsTellEachQuestionAndHowLongItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", slowly(300*time.Millisecond, says(200)), says(200))
		b := scripted(t, s, e, "a")
		<-ask(t, b)
		s.set("a", slowly(400*time.Millisecond, says(403)), says(200))
		<-ask(t, b)
		s.set("a", slowly(500*time.Millisecond, reset), slowly(700*time.Millisecond, says(200)))
		<-ask(t, b)
		want := []check.Event{
			check.Turned{Backend: "portal", Address: "http://a", There: true, Up: true},
			check.Asked{Backend: "portal", Verdict: check.Allowed, Took: 300 * time.Millisecond},
			check.Asked{Backend: "portal", Verdict: check.Denied, Took: 400 * time.Millisecond},
			// The wait for the probe is not the question's.
			check.Asked{Backend: "portal", Verdict: check.Unavailable, Took: 500 * time.Millisecond},
		}
		if diff := cmp.Diff(want, e.all); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEventsComeWithoutALock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.set("a", says(200), says(200))
		c := Config{Name: "portal"}
		c.URLs = append(c.URLs, mustURL(t, "http://a/auth"))
		turned := make(chan struct{})
		ready := make(chan *Backend, 1)
		var words []string
		c.Notify = func(ev check.Event) {
			if _, ok := ev.(check.Turned); ok {
				words = append(words, word((<-ready).Ask(t.Context(), viewer(), s1())))
				close(turned)
			}
		}
		b, err := assemble(c, s.send)
		if err != nil {
			t.Fatal(err)
		}
		b.Watch()
		defer b.Close()
		ready <- b
		<-turned
		if !slices.Equal(words, []string{"allow"}) {
			t.Errorf("asked from within Notify: %q", words)
		}
	})
}

func TestEventsComeInTheOrderInWhichThingsHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", says(200), refuse)
		s.set("b", says(200), slowly(time.Second/2, refuse))
		c := Config{Name: "portal"}
		for _, h := range []string{"a", "b"} {
			c.URLs = append(c.URLs, mustURL(t, "http://"+h+"/auth"))
		}
		c.Notify = func(ev check.Event) {
			if turned, ok := ev.(check.Turned); ok && turned.Address == "http://a" {
				time.Sleep(time.Second) // a reporter that is slow, but not for long
			}
			e.notify(ev)
		}
		b, err := assemble(c, s.send)
		if err != nil {
			t.Fatal(err)
		}
		b.Watch()
		defer b.Close()
		time.Sleep(5 * time.Second)
		want := []string{"http://a there=false up=false", "http://b there=false up=false"}
		if diff := cmp.Diff(want, e.turns()); diff != "" {
			t.Error(diff)
		}
	})
}

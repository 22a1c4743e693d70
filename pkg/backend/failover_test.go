package backend

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
)

func TestAQuestionGoesToTheFirstAddressThatIsThere(t *testing.T) {
	for _, test := range []struct {
		name             string
		a, probeA        act
		b, probeB        act
		want, questions  string
		afterFirstProbes bool
	}{
		{"both are there", says(200), says(200), says(403), says(200), "allow", "a", true},
		{"the first is away", says(200), refuse, says(403), says(200), "deny", "b", true},
		{"both are away", says(200), refuse, says(200), refuse, "absent", "", true},
		{"the first refuses, not yet known to be away", refuse, silence, says(200), says(200), "allow", "a b", false},
		{"both refuse, not yet known to be away", refuse, slowly(time.Second/2, refuse), refuse, slowly(time.Second/2, refuse), "absent", "a b", false},
		{"the first resets", reset, says(200), says(200), says(200), "unanswered", "a", true},
		{"the first resets and is away, the second is there", reset, slowly(time.Second/2, refuse), says(200), says(200), "unanswered", "a", false},
		{"the first hangs", silence, says(200), says(200), says(200), "unanswered", "a", true},
		{"the first answers 502", says(502), says(200), says(200), says(200), "deny", "a", true},
		{"no descriptors", noDescriptors, says(200), says(200), says(200), "overload", "a", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript()
				s.set("a", test.a, test.probeA)
				s.set("b", test.b, test.probeB)
				b := scripted(t, s, nil, "a", "b")
				if test.afterFirstProbes {
					time.Sleep(time.Second)
				}
				s.calls()
				if got := word(<-ask(t, b)); got != test.want {
					t.Errorf("outcome is %s, want %s", got, test.want)
				}
				var asked []string
				for _, c := range s.calls() {
					if f := strings.Fields(c); f[1] == "question" {
						asked = append(asked, f[2])
					}
				}
				if got := strings.Join(asked, " "); got != test.questions {
					t.Errorf("asked %q, want %q", got, test.questions)
				}
			})
		})
	}
}

func TestWhileOneAddressIsSuspectTheNextIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newScript(), &events{}
		s.set("a", silence, silence)
		s.set("b", says(200), says(200))
		b := scripted(t, s, e, "a", "b")
		holding := ask(t, b) // at a, which is not known to hang before 1s
		time.Sleep(1100 * time.Millisecond)
		begun := time.Now()
		if got := word(<-ask(t, b)); got != "allow" || time.Since(begun) != 0 {
			t.Errorf("%s after %s", got, time.Since(begun))
		}
		<-holding
		time.Sleep(15 * time.Second)
		want := []string{"http://b there=true up=true", "http://a there=false up=true"}
		if diff := cmp.Diff(want, e.turns()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnAddressThatNothingCanBeSentToIsPassedOver(t *testing.T) {
	untrusted, _ := serveTLS(t, nil)
	address, questions := serve(t, status(200))
	b := start(t, Config{}, refusing(t), "http://name.invalid/auth", untrusted, address)
	for range 5 {
		if o := b.Ask(t.Context(), viewer(), s1()); o.Verdict != check.Allowed {
			t.Errorf("outcome is %+v", o)
		}
	}
	if n := questions.get(); n != 5 {
		t.Errorf("5 questions arrived as %d", n)
	}
}

func TestAQuestionThatMayHaveArrivedIsNotSentToTheNextAddress(t *testing.T) {
	for name, answer := range map[string]func(net.Conn, string){
		"closed": func(net.Conn, string) {},
		"reset":  func(c net.Conn, _ string) { c.(*net.TCPConn).SetLinger(0) },
		"broken": write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			var first counter
			breaks := raw(t, func(c net.Conn, head string) { first.add(1); answer(c, head) })
			address, second := serve(t, status(200))
			b := start(t, Config{}, breaks, address)
			if o := b.Ask(t.Context(), viewer(), s1()); word(o) != "unanswered" {
				t.Errorf("outcome is %+v", o)
			}
			if first.get() != 1 || second.get() != 0 {
				t.Errorf("asked %d times and %d times", first.get(), second.get())
			}
		})
	}
}

package limit

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAboveTheBoundInAllQuestionsWaitForTheirTurnAndThenAreTurnedAway(t *testing.T) {
	c := wide()
	c.Questions, c.Queue = 2, 2
	inBubble(t, c, func(a *asker) {
		for i := range 5 {
			a.ask(fmt.Sprint("q", i), home(i), false)
		}
		a.wantBegun("q0", "q1")
		a.wantRefused("q4", ErrQuestions)
		a.leave("q0")
		a.wantBegun("q0", "q1", "q2")
		a.leave("q1")
		a.wantBegun("q0", "q1", "q2", "q3")
	})
}

func TestWithoutAQueueNothingWaits(t *testing.T) {
	c := wide()
	c.Questions, c.Queue = 1, 0
	inBubble(t, c, func(a *asker) {
		a.ask("first", home(1), false)
		a.ask("second", home(2), false)
		a.ask("session", home(3), true)
		a.wantRefused("second", ErrQuestions)
		a.wantRefused("session", ErrQuestions)
	})
}

func TestAnAddressHasItsShareOfQuestionsAndNoMore(t *testing.T) {
	c := wide()
	c.PerAddress = 2
	inBubble(t, c, func(a *asker) {
		a.ask("q1", home(1), false)
		a.ask("q2", home(1), false)
		a.ask("q3", home(1), false)
		a.ask("other", home(2), false)
		a.wantRefused("q3", ErrAddress)
		a.leave("q1")
		a.ask("q4", home(1), false)
		a.wantBegun("q1", "q2", "other", "q4")
	})
}

func TestWhatWaitsCountsInAnAddressesShare(t *testing.T) {
	c := wide()
	c.Questions, c.PerAddress = 1, 2
	inBubble(t, c, func(a *asker) {
		a.ask("q1", home(1), false)
		a.ask("q2", home(1), false)
		a.ask("q3", home(1), false)
		a.wantRefused("q3", ErrAddress)
	})
}

func TestAnAddressBeginsTenSecondsWorthAtOnceAndThenItsRate(t *testing.T) {
	c := wide()
	c.Rate = 2
	inBubble(t, c, func(a *asker) {
		begin := func(addr netip.Addr) (n int) {
			for {
				leave, err := a.l.Enter(context.Background(), addr, false, time.Hour)
				if err != nil {
					if !errors.Is(err, ErrRate) {
						a.t.Errorf("got %v, want %v", err, ErrRate)
					}
					return n
				}
				leave()
				n++
			}
		}
		got := []int{begin(home(1))}
		for _, pause := range []time.Duration{time.Second, 3 * time.Second, 400 * time.Millisecond, 100 * time.Millisecond, time.Hour} {
			pass(pause)
			got = append(got, begin(home(1)))
		}
		if diff := cmp.Diff([]int{20, 2, 6, 0, 1, 20}, got); diff != "" {
			a.t.Errorf("(-want +got)\n%s", diff)
		}
		if n := begin(home(2)); n != 20 {
			a.t.Errorf("another address began %d questions, want 20", n)
		}
	})
}

func TestAnIPv6AddressStandsForItsNetworkOf64(t *testing.T) {
	c := wide()
	c.PerAddress = 1
	inBubble(t, c, func(a *asker) {
		a.ask("one", netip.MustParseAddr("2001:db8::1"), false)
		a.ask("same", netip.MustParseAddr("2001:db8::ffff:2"), false)
		a.ask("next", netip.MustParseAddr("2001:db8:0:1::1"), false)
		a.ask("IPv4", netip.MustParseAddr("192.0.2.1"), false)
		a.ask("next IPv4", netip.MustParseAddr("192.0.2.2"), false)
		a.wantRefused("same", ErrAddress)
		a.wantBegun("one", "next", "IPv4", "next IPv4")
	})
}

func TestABigNATMayAskMoreAndTheLongestPrefixCounts(t *testing.T) {
	c := wide()
	c.PerAddress = 1
	c.More = []More{
		{In: netip.MustParsePrefix("203.0.113.0/24"), Times: 2},
		{In: netip.MustParsePrefix("203.0.113.9/32"), Times: 5},
		{In: netip.MustParsePrefix("203.0.0.0/16"), Times: 3},
		{In: netip.MustParsePrefix("2001:db8::/32"), Times: 4},
	}
	for addr, want := range map[string]int{
		"203.0.113.1": 2, "203.0.113.9": 5, "203.0.1.1": 3, "198.51.100.1": 1, "2001:db8:1::1": 4, "2001:db9::1": 1,
	} {
		inBubble(t, c, func(a *asker) {
			for i := range 10 {
				a.ask(fmt.Sprint("q", i), netip.MustParseAddr(addr), false)
			}
			if len(a.begun) != want {
				t.Errorf("%s: %d at once, want %d", addr, len(a.begun), want)
			}
		})
	}
}

func TestASessionsOwnQuestionHasTheNextTurn(t *testing.T) {
	c := wide()
	c.Questions, c.Queue = 1, 3
	inBubble(t, c, func(a *asker) {
		a.ask("busy", home(0), false)
		a.ask("a1", home(1), false)
		a.ask("a2", home(1), false)
		a.ask("b1", home(2), false)
		a.ask("session", home(3), true) // in the place of a2
		a.wantRefused("a2", ErrQuestions)
		for _, name := range []string{"busy", "session", "a1"} {
			a.leave(name)
		}
		a.wantBegun("busy", "session", "a1", "b1")
	})
}

// TestAViewerWithManySessionsKeepsNobodyElseOut has one viewer's sessions all ask at
// the same time, and newcomers and another viewer's session beside them.
func TestAViewerWithManySessionsKeepsNobodyElseOut(t *testing.T) {
	c := wide()
	c.Questions, c.Queue = 1, 4
	inBubble(t, c, func(a *asker) {
		for i := range 6 {
			a.ask(fmt.Sprint("many", i), home(1), true)
		}
		a.wantRefused("many5", ErrQuestions)
		a.ask("newcomer", home(2), false) // in the place of many4, and so on
		a.wantRefused("many4", ErrQuestions)
		a.ask("guest", home(2), false)
		a.wantRefused("many3", ErrQuestions)
		a.ask("session", home(3), true)
		a.wantRefused("many2", ErrQuestions)
		a.ask("third", home(2), false) // the half of newcomers is full
		a.wantRefused("third", ErrQuestions)
		if len(a.refused) != 5 {
			t.Errorf("refused: %v", a.refused)
		}
		for _, name := range []string{"many0", "many1", "newcomer", "session"} {
			a.leave(name)
		}
		a.wantBegun("many0", "many1", "newcomer", "session", "guest")
	})
}

func TestASessionsOwnQuestionMeetsNoBoundOfItsAddress(t *testing.T) {
	c := wide()
	c.PerAddress, c.Rate = 1, 1
	inBubble(t, c, func(a *asker) {
		a.ask("newcomer", home(1), false)
		for i := range 50 {
			a.ask(fmt.Sprint("session", i), home(1), true)
		}
		if len(a.refused) > 0 {
			t.Errorf("refused: %v", a.refused)
		}
		a.leave("newcomer")
		a.ask("next newcomer", home(1), false)
		if len(a.refused) > 0 {
			t.Errorf("sessions count against newcomers of their address: %v", a.refused)
		}
	})
}

func TestAddressesTakeTurnsSoThatAFloodHoldsUpNobodyElse(t *testing.T) {
	c := wide()
	c.Questions = 1
	inBubble(t, c, func(a *asker) {
		for i := range 6 {
			a.ask(fmt.Sprint("flood", i), home(1), false)
		}
		a.ask("viewer", home(2), false)
		a.ask("guest", home(2), false)
		for _, name := range []string{"flood0", "flood1", "viewer", "flood2", "guest"} {
			a.leave(name)
		}
		a.wantBegun("flood0", "flood1", "viewer", "flood2", "guest", "flood3")
	})
}

func TestAQueueThatOneAddressFillsIsOpenForTheOthers(t *testing.T) {
	c := wide()
	c.Questions, c.Queue = 1, 4
	inBubble(t, c, func(a *asker) {
		for i := range 6 {
			a.ask(fmt.Sprint("flood", i), home(1), false)
		}
		a.wantRefused("flood5", ErrQuestions)
		a.ask("viewer", home(2), false)
		a.wantRefused("flood4", ErrQuestions)
		a.ask("guest", home(2), false) // 2 of each now
		a.wantRefused("flood3", ErrQuestions)
		a.ask("third", home(2), false)
		a.wantRefused("third", ErrQuestions)
		a.ask("other", home(3), false)
		if len(a.refused) != 5 {
			t.Errorf("refused: %v", a.refused)
		}
	})
}

func TestWhoGivesUpLeavesHisPlace(t *testing.T) {
	c := wide()
	c.Questions, c.Queue = 1, 2
	inBubble(t, c, func(a *asker) {
		a.ask("busy", home(0), false)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		a.askUntil(ctx, time.Hour, "hurried", home(1), false)
		a.askUntil(context.Background(), time.Second, "hurried session", home(1), true)
		pass(2 * time.Second)
		synctest.Wait()
		for _, name := range []string{"hurried", "hurried session"} {
			a.wantRefused(name, ErrQueue)
			a.wantRefused(name, context.DeadlineExceeded)
		}
		a.ask("patient", home(1), false)
		a.leave("busy")
		a.wantBegun("busy", "patient")
	})
}

// TestATurnThatComesTooLateIsGivenOn settles a question and ends its context before
// its goroutine sees either.
func TestATurnThatComesTooLateIsGivenOn(t *testing.T) {
	for range 100 { // which of the two it sees first is chance
		c := wide()
		c.Questions = 1
		inBubble(t, c, func(a *asker) {
			a.ask("busy", home(0), false)
			ctx, cancel := context.WithCancel(context.Background())
			a.askUntil(ctx, time.Hour, "gone", home(1), false)
			a.ask("next", home(2), false)
			cancel()
			a.leave("busy")
			if !slices.Contains(a.begun, "gone") {
				a.wantBegun("busy", "next")
			}
		})
	}
}

func TestChangedBoundsHoldAtOnce(t *testing.T) {
	c := wide()
	c.Questions = 1
	inBubble(t, c, func(a *asker) {
		for i := range 4 {
			a.ask(fmt.Sprint("q", i), home(i), false)
		}
		for c.Questions = 2; c.Questions <= 3; c.Questions++ {
			a.l.Set(c)
			synctest.Wait()
		}
		a.wantBegun("q0", "q1", "q2")
		c.Questions, c.Queue = 1, 1
		a.l.Set(c)
		a.leave("q0")
		a.leave("q1")
		a.wantBegun("q0", "q1", "q2")
		a.ask("more", home(9), false)
		a.wantRefused("more", ErrQuestions)
		a.leave("q2")
		a.wantBegun("q0", "q1", "q2", "q3")
	})
}

func TestAddressesAreForgottenWhenTheyAreQuietOrTooMany(t *testing.T) {
	inBubble(t, wide(), func(a *asker) {
		a.ask("busy", home(1), false)
		network := netip.MustParseAddr("2001:db8::").As16()
		for i := range maxAddresses + 1000 {
			network[4], network[5], network[6] = byte(i>>16), byte(i>>8), byte(i)
			leave, err := a.l.Enter(context.Background(), netip.AddrFrom16(network), false, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			leave()
		}
		if n := len(a.l.addresses); n > maxAddresses {
			t.Errorf("%d addresses are remembered, %d is the most", n, maxAddresses)
		}
		if a.l.addresses[shared(home(1))] == nil {
			t.Error("an address with a question under way is forgotten")
		}
		pass(refill)
		a.ask("later", home(2), false)
		if n := len(a.l.addresses); n != 2 {
			t.Errorf("%d addresses are remembered, want the two with a question", n)
		}
	})
}

func TestARefusedAddressIsNotRemembered(t *testing.T) {
	c := wide()
	c.Questions, c.Queue = 1, 0
	inBubble(t, c, func(a *asker) {
		for i := range 100 {
			a.ask(fmt.Sprint("q", i), home(i), false)
		}
		if n := len(a.l.addresses); n != 1 {
			t.Errorf("%d addresses are remembered, want the one that asks", n)
		}
	})
}

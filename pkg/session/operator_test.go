package session

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

// userOf allows everybody, and says that the token is the user.
func userOf(r *check.Request) check.Outcome {
	return check.Outcome{Verdict: check.Allowed, User: r.Query}
}

func TestAnOperatorsEndWithoutATimeOnlyEnds(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		first := w.wantOf(request(entry), "allow backend")
		w.end(0, false)
		w.wantEnds("an operator", "operator")
		if d := w.wantOf(request(entry), "allow backend"); d.Session == first.Session {
			t.Error("the session is back")
		}
	})
}

func TestAnOperatorsEndHoldsAgainstTheViewerOnThatStream(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry+"?token=1", "allow backend")
		w.wantOf(from("192.0.2.2", entry+"?token=2"), "allow backend")
		page, _ := w.store.List(Filter{Address: request("/").Addr}, "", 9)
		if _, err := w.store.End(page[0].ID, time.Hour, false); err != nil {
			t.Fatal(err)
		}
		w.questions()
		for range 2 {
			w.want(entry+"?token=1", "deny revoked")
			w.want(entry+"?token=9", "deny revoked")
			w.want(segment, "deny revoked")
			w.wantOf(from("192.0.2.2", segment), "allow session")
			w.pass(9 * time.Minute)
		}
		w.wantAsked(0, "held")
		w.want("/live/ch2/index.m3u8", "allow backend")
	})
}

func TestAnEndHoldsForItsTimeAndNoLonger(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry, "allow backend")
		w.end(time.Hour, false)
		w.pass(time.Hour - time.Nanosecond)
		w.want(segment, "deny revoked")
		w.pass(time.Nanosecond)
		w.want(entry, "allow backend")
		if held := len(w.store.holds.places); held != 1 {
			t.Fatalf("%d holds", held)
		}
		w.end(time.Hour, false)
		w.pass(2 * time.Hour)
		w.want(entry, "allow backend")
		w.end(0, false)
		if held := w.store.holds.count() + len(w.store.holds.ids); held != 0 {
			t.Errorf("%d holds are kept after their time", held)
		}
	})
}

func TestAnEndHoldsAgainstTheIDWhoeverCarriesIt(t *testing.T) {
	inWorldOf(t, byID(), withKeys(t), func(w *world) {
		id := w.wantOf(request(entry), "allow backend").ID
		w.end(time.Hour, false)
		carrier := from("198.51.100.7", segment+"?altagate_id="+id)
		w.wantOf(carrier, "deny revoked")
		carrier.Path = "/live/ch2/index.m3u8"
		w.wantOf(carrier, "allow backend")
		w.pass(time.Hour)
		carrier.Path = segment
		w.wantOf(carrier, "allow backend")
	})
}

func TestAnEndOfAUserHoldsWhateverTheToken(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(func(*check.Request) check.Outcome { return check.Outcome{Verdict: check.Allowed, User: "u7"} })
		w.want("/live/ch1/index.m3u8?token=1", "allow backend")
		w.wantOf(from("192.0.2.2", "/live/ch2/index.m3u8?token=2"), "allow backend")
		ended, err := w.store.EndUser("u7", time.Hour)
		if err != nil || len(ended) != 2 {
			t.Fatalf("got %v, %v", ended, err)
		}
		w.wantEnds("a user", "operator", "operator")
		w.wantOf(from("192.0.2.3", "/live/ch3/index.m3u8?token=3"), "deny revoked")
		w.wantLive(0, "a user")
		w.pass(time.Hour)
		w.want("/live/ch3/index.m3u8?token=4", "allow backend")
	})
}

func TestAnEndOfASessionMayHoldAgainstItsUser(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(userOf)
		w.want(entry+"?u7", "allow backend")
		w.wantOf(from("192.0.2.2", entry+"?u7"), "allow backend")
		w.wantOf(from("192.0.2.3", entry+"?u8"), "allow backend")
		page, _ := w.store.List(Filter{User: "u7"}, "", 9)
		ended, err := w.store.End(page[0].ID, time.Hour, true)
		if err != nil || len(ended) != 2 {
			t.Fatalf("got %v, %v", ended, err)
		}
		w.wantOf(from("192.0.2.4", "/live/ch2/index.m3u8?u7"), "deny revoked")
		w.wantOf(from("192.0.2.3", segment), "allow session")
	})
}

// Most portals name no user: that is nobody, not everybody without a name.
func TestAnEndOfNobodyEndsNobody(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry, "allow backend")
		w.wantOf(from("192.0.2.2", entry), "allow backend")
		if ended, err := w.store.EndUser("", time.Hour); err != nil || len(ended) != 0 {
			t.Errorf("EndUser gives %v, %v", ended, err)
		}
		page, _ := w.store.List(Filter{}, "", 1)
		if ended, err := w.store.End(page[0].ID, 0, true); err != nil || len(ended) != 1 {
			t.Errorf("End gives %v, %v", ended, err)
		}
		w.wantLive(1, "one was ended")
	})
}

func TestAUserWhoIsFoundOutByARepeatedQuestionEnds(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Minute))
		w.want(entry, "allow backend")
		if _, err := w.store.EndUser("u7", time.Hour); err != nil {
			t.Fatal(err)
		}
		w.script(func(*check.Request) check.Outcome { return check.Outcome{Verdict: check.Allowed, User: "u7"} })
		w.pass(2 * time.Minute)
		w.want(segment, "deny revoked")
		w.wantEnds("the user", "operator")
	})
}

func TestAnEndOfAStreamHoldsAgainstItsViewers(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		for n := range 5 {
			w.wantOf(from(address(n), entry), "allow backend")
		}
		w.want("/live/ch2/index.m3u8", "allow backend")
		ended, err := w.store.EndStream("tv", "", "/live/ch1/", time.Hour)
		if err != nil || len(ended) != 5 || !slices.IsSorted(ended) {
			t.Fatalf("got %v, %v", ended, err)
		}
		w.wantOf(from(address(3), entry), "deny revoked")
		w.wantOf(from(address(9), entry), "allow backend")
		w.want("/live/ch2/seg1.ts", "allow session")
		if ended, err := w.store.EndStream("tv", "other.example.com", "/live/ch2/", 0); err != nil || len(ended) != 0 {
			t.Errorf("another host: %v, %v", ended, err)
		}
	})
}

// A question that was under way when the operator ended the session opens no new
// one, and allows nothing.
func TestAnEndHoldsAgainstQuestionsThatAreUnderWay(t *testing.T) {
	decisions := map[string]check.Decision{
		"the backend allows":  {Allow: true, Reason: check.Backend, Outcome: check.Outcome{Verdict: check.Allowed}},
		"the policy allows":   {Allow: true, Reason: check.Default},
		"an old session does": {Allow: true, Reason: check.Grace},
	}
	for name, d := range decisions {
		t.Run(name, func(t *testing.T) {
			inWorldOf(t, openRoute(), withKeys(t), func(w *world) {
				w.rules.Join.ID = true
				signed := w.wantOf(request(entry+"?token=1"), "allow backend").ID
				same, carrier := request(entry+"?token=2"), from("198.51.100.7", entry+"?token=2&altagate_id="+signed)
				first, second := w.store.Join(w.rules, &same), w.store.Join(w.rules, &carrier)
				w.end(time.Hour, false)
				for r, j := range map[*check.Request]Joined{&same: first, &carrier: second} {
					if got := said(w.store.Settle(w.rules, r, j, NewID(), d)); got != "deny revoked" {
						t.Errorf("%s: got %q", r.Addr, got)
					}
				}
				w.wantLive(0, "ended")
			})
		})
	}
}

func TestAnEndWhileItsSessionIsAskedAboutStands(t *testing.T) {
	for _, verdict := range []check.Verdict{check.Allowed, check.Denied, check.Unavailable} {
		t.Run(verdict.String(), func(t *testing.T) {
			inWorld(t, viewers(), func(w *world) {
				w.script(allowFor(time.Minute))
				w.want(entry, "allow backend")
				w.pass(2 * time.Minute)
				r := request(segment)
				j := w.store.Join(w.rules, &r)
				if j.Due == nil {
					t.Fatal("no question is due")
				}
				w.end(time.Hour, false)
				w.store.Renew(j.Due, check.Outcome{Verdict: verdict})
				w.want(segment, "deny revoked")
				w.wantLive(0, "ended")
				w.wantEnds("one end", "operator")
			})
		})
	}
}

func TestASessionThatIsNotThereIsNotEnded(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		d := w.wantOf(request(entry), "allow backend")
		for _, id := range []string{"", "x", NewID().String(), d.Session[:31], ID{}.String()} {
			if ended, err := w.store.End(id, time.Hour, true); ended != nil || err != nil {
				t.Errorf("End(%q) = %v, %v", id, ended, err)
			}
			if _, ok := w.store.Find(id); ok {
				t.Errorf("Find(%q) finds one", id)
			}
		}
		if got, ok := w.store.Find(d.Session); !ok || got != w.only() {
			t.Errorf("Find gives %+v, %v", got, ok)
		}
	})
}

func TestMoreEndsThanCanHoldAreRefusedWhole(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry, "allow backend")
		until := time.Now().Add(time.Hour)
		for n := range maxHolds {
			w.store.holds.add(Revocation{User: fmt.Sprint(n), Until: until})
		}
		ended, err := w.store.End(w.only().ID, time.Hour, false)
		if ended != nil || err == nil {
			t.Fatalf("got %v, %v", ended, err)
		}
		w.want(segment, "allow session")
		w.end(0, false)
		w.wantLive(0, "an end that holds for no time")
		w.pass(time.Hour)
		w.want(entry, "allow backend")
		w.end(time.Hour, false)
	})
}

func TestAListHasPagesInTheOrderOfIDs(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		want := map[string]bool{}
		for n := range 1000 {
			want[w.wantOf(from(address(n), entry), "allow backend").Session] = true
		}
		for _, limit := range []int{1, 7, 100, 999, 1000, 5000} {
			got, after := map[string]bool{}, ""
			for more := true; more; {
				var page []Info
				page, more = w.store.List(Filter{}, after, limit)
				if len(page) == 0 || len(page) > limit || more && len(page) != limit {
					t.Fatalf("a page of %d, and %d is the most; more: %v", len(page), limit, more)
				}
				for _, n := range page {
					if n.ID <= after {
						t.Fatalf("%s after %s", n.ID, after)
					}
					after = n.ID
					got[n.ID] = true
				}
				if limit == 1 && len(got) == 20 {
					break
				}
			}
			if limit > 1 && len(got) != len(want) {
				t.Errorf("pages of %d: %d sessions, want %d", limit, len(got), len(want))
			}
		}
	})
}

func TestAListSaysThatThereAreMoreHoweverManyItSorted(t *testing.T) {
	const limit = 10
	inWorld(t, viewers(), func(w *world) {
		for n := range 2*limit + pageSlack + 1 {
			w.wantOf(from(address(n), entry), "allow backend")
		}
		if page, more := w.store.List(Filter{}, "", limit); len(page) != limit || !more {
			t.Errorf("a page of %d, more: %v", len(page), more)
		}
	})
}

func TestAListIsFiltered(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(userOf)
		w.want("/live/ch1/index.m3u8?u1", "allow backend")
		w.want("/live/ch2/index.m3u8?u1", "allow backend")
		w.wantOf(from("2001:db8::1", "/live/ch1/index.m3u8?u2"), "allow backend")
		other := from("192.0.2.3", "/live/ch1/index.m3u8?u3")
		other.Host = "b.example.com"
		w.wantOf(other, "allow backend")
		for want, filters := range map[int][]Filter{
			0: {{Route: "radio"}, {User: "u4"}, {Stream: "/live/ch1"}, {Address: from("192.0.2.9", "/").Addr}, {User: "u2", Stream: "/live/ch2/"}},
			1: {{Host: "b.example.com"}, {User: "u2"}, {Address: from("2001:db8::2", "/").Addr}, {User: "u1", Stream: "/live/ch2/"}},
			2: {{User: "u1"}, {Address: request("/").Addr}},
			3: {{Host: "tv.example.com"}, {Stream: "/live/ch1/"}},
			4: {{}, {Route: "tv"}},
		} {
			for _, f := range filters {
				if page, more := w.store.List(f, "", 100); len(page) != want || more {
					t.Errorf("%+v: %d sessions, more %v; want %d", f, len(page), more, want)
				}
			}
		}
	})
}

func TestAnEndThatIsNotOnDiskSaysSo(t *testing.T) {
	disk := newDisk()
	inWorldOf(t, viewers(), Config{Journal: disk}, func(w *world) {
		w.want(entry, "allow backend")
		w.pass(time.Second)
		disk.breakWith(errors.New("no space left on device"))
		ended, err := w.store.End(w.only().ID, time.Hour, false)
		if len(ended) != 1 || err == nil {
			t.Fatalf("got %v, %v", ended, err)
		}
		w.want(segment, "deny revoked")
	})
}

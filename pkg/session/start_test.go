package session

import (
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
)

func TestAViewingIsOneQuestion(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry+"?token=1", "allow backend")
		for range 100 {
			w.pass(4 * time.Second)
			w.want(entry+"?token=1", "allow session")
			w.want(segment, "allow session")
		}
		w.wantAsked(1, "100 refreshes and segments")
		if got := w.only(); got.Requests != 201 || got.Stream != "/live/ch1/" {
			t.Errorf("%d requests on %s, want 201 on /live/ch1/", got.Requests, got.Stream)
		}
	})
}

func TestAnAllowForAnEntryOpensItsStream(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want("/live/ch1/index.m3u8", "allow backend")
		w.want("/live/ch1/v720/chunk.m3u8", "allow session")
		w.want("/live/ch1/v720/seg-1.ts", "allow session")
		w.want("/flat/sport.m3u8", "allow backend")
		w.want("/flat/sport-17.ts", "allow session")
		w.script(deny)
		w.want("/live/ch10/seg1.ts", "deny backend")
		w.want("/live/ch1_hd/seg1.ts", "deny backend")
		w.want("/flat/sports-17.ts", "deny backend")
	})
}

func TestAnAllowForAnythingElseOpensThatOnePath(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want("/live/ch1/poster.jpg", "allow backend")
		w.want("/live/ch1/poster.jpg", "allow session")
		w.script(deny)
		w.want("/live/ch1/index.m3u8", "deny backend")
		w.want("/live/ch1/seg1.ts", "deny backend")
	})
}

func TestNothingElseThanAnAllowStartsASession(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(deny)
		w.want(entry, "deny backend")
		w.pass(time.Minute)
		w.fail(true)
		w.want(entry, "deny unanswered")
		w.goAway(true)
		w.want(entry, "deny default")
		w.wantLive(0, "denied, unanswered, away")
	})
}

func TestAnotherViewerIsAskedAbout(t *testing.T) {
	others := map[string]func(r *check.Request){
		"address":    func(r *check.Request) { *r = from("192.0.2.2", segment) },
		"user agent": func(r *check.Request) { r.UserAgent = "curl" },
		"host":       func(r *check.Request) { r.Host = "other.example.com" },
		"port":       func(r *check.Request) { r.Host += ":8443" },
		"scheme":     func(r *check.Request) { r.Scheme = "http" },
	}
	for name, change := range others {
		t.Run(name, func(t *testing.T) {
			inWorld(t, viewers(), func(w *world) {
				w.want(entry, "allow backend")
				w.script(deny)
				r := request(segment)
				change(&r)
				w.wantOf(r, "deny backend")
				w.want(segment, "allow session")
			})
		})
	}
}

func TestAnotherRouteIsAnotherStream(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.want(entry, "allow backend")
		w.script(deny)
		other := viewers()
		other.Route = "radio"
		w.use(other)
		w.want(segment, "deny backend")
	})
}

func TestAnIPv6ViewerIsItsNetwork(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.wantOf(from("2001:db8:0:1::1", entry), "allow backend")
		w.wantOf(from("2001:db8:0:1:ffff::2", segment), "allow session")
		w.script(deny)
		w.wantOf(from("2001:db8:0:2::1", segment), "deny backend")
	})
}

func TestOtherMethodsAreAskedAboutEachTimeAndOpenNothing(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		for _, method := range []string{"POST", "OPTIONS", "get", "PUT", ""} {
			r := request(entry)
			r.Method = method
			w.wantOf(r, "allow backend")
			w.wantOf(r, "allow backend")
		}
		w.wantLive(0, "other methods")
		w.want(entry, "allow backend")
		r := request(segment)
		r.Method = "HEAD"
		w.wantOf(r, "allow session")
		r.Method = "POST"
		w.wantOf(r, "allow backend")
	})
}

func TestALayoutOfOnesOwnNamesTheStream(t *testing.T) {
	layout, err := stream.Parse(`/vod/(?P<stream>[^/_]+)_[^/]+`, nil)
	if err != nil {
		t.Fatal(err)
	}
	rules := viewers()
	rules.Layout = layout
	inWorld(t, rules, func(w *world) {
		w.want("/vod/film_master.m3u8", "allow backend")
		w.want("/vod/film_720.ts", "allow session")
		w.script(deny)
		w.want("/vod/films_720.ts", "deny backend")
	})
	rules.Layout, err = stream.Parse("path", nil)
	if err != nil {
		t.Fatal(err)
	}
	inWorld(t, rules, func(w *world) {
		w.want(entry, "allow backend")
		w.want(entry, "allow session")
		w.script(deny)
		w.want(segment, "deny backend")
	})
}

// The backend learns the id of the session that its allow will open, and the same
// whenever the question is repeated.
func TestTheBackendIsToldTheIDOfTheSessionThatItOpens(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		w.script(allowFor(time.Minute))
		d := w.wantOf(request(entry+"?token=1"), "allow backend")
		w.pass(30 * time.Second)
		w.want(segment, "allow session")
		w.pass(30 * time.Second)
		asked := w.wantAsked(2, "one minute of an allow that is good for one")
		if asked[0].id != d.Session || asked[1].id != d.Session || w.only().ID != d.Session {
			t.Errorf("asked with %v, and the session is %s", asked, d.Session)
		}
		if asked[1].path != entry || asked[1].query != "token=1" {
			t.Errorf("the question was repeated as %v", asked[1])
		}
	})
}

func TestTwoQuestionsOfOneViewerAtOnceOpenOneSession(t *testing.T) {
	inWorld(t, viewers(), func(w *world) {
		r := request(entry)
		first, second := w.store.Join(w.rules, &r), w.store.Join(w.rules, &r)
		allow := check.Decision{Allow: true, Reason: check.Backend, Outcome: check.Outcome{Verdict: check.Allowed}}
		a := w.store.Settle(w.rules, &r, first, NewID(), allow)
		b := w.store.Settle(w.rules, &r, second, NewID(), allow)
		if a.Session == "" || a.Session != b.Session {
			t.Errorf("sessions %q and %q", a.Session, b.Session)
		}
		if got := w.only(); got.Requests != 2 {
			t.Errorf("%d requests, want 2", got.Requests)
		}
	})
}

func TestAViewerIsHandedAnIDOfTheKeyThatSignsNow(t *testing.T) {
	inWorldOf(t, viewers(), withKeys(t), func(w *world) {
		if d := w.wantOf(request(entry+"?token=1"), "allow backend"); d.ID != "" {
			t.Errorf("without a join by id the viewer is handed %q", d.ID)
		}
		withID := *w.rules
		withID.Join = Join{ID: true, Token: true}
		w.rules = &withID
		old := w.wantOf(request(entry+"?token=1"), "allow session").ID
		w.want(segment+"?altagate_id="+old, "allow session")

		w.store.SetKeys(keysOf(t, secret("b")))
		renewed := w.wantOf(request(entry+"?token=1"), "allow session").ID
		if renewed == "" || renewed == old {
			t.Errorf("after the key was changed the viewer is handed %q, and had %q", renewed, old)
		}
		w.want(segment+"?altagate_id="+renewed, "allow session")
	})
}

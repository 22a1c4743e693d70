package gate_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"testing"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/gate"
	"github.com/altagate/altagate/pkg/session"
)

// limitedTo is a config of one backend that limits its users as it is told.
func limitedTo(url, users string) string {
	return fmt.Sprintf(`
backends: {portal: {url: %q%s}}
routes:
  - {name: live, match: {paths: [/live/]}, backends: [portal], deny_status: 451}
  - {name: vod, match: {paths: [/vod/]}, backends: [portal], session: {join: []}}
`, url, users)
}

// seat is a check of one of several devices.
func seat(n byte, path string) *check.Request {
	r := viewer(path)
	r.Addr = netip.AddrFrom4([4]byte{192, 0, 2, n})
	return r
}

func asks(t *testing.T, g *gate.Gate, r *check.Request) check.Decision {
	t.Helper()
	return g.Check(within(t, patience), r)
}

// user is a reply's X-UserId and more.
func user(more ...string) http.Header {
	h := http.Header{"X-UserId": {"u42"}}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = []string{more[i+1]}
	}
	return h
}

const channel = "/live/ch1/index.m3u8"

func TestWhatAReplyAndTheConfigSayOfAUsersLimit(t *testing.T) {
	const denies, ends, neither = "denies the newcomer", "ends the oldest", "neither"
	for name, test := range map[string]struct {
		users string
		reply http.Header
		want  string
	}{
		"nothing":                                    {"", user(), neither},
		"a number":                                   {"", user("X-Max-Sessions", "1"), denies},
		"a number, and nobody":                       {"", http.Header{"X-Max-Sessions": {"1"}, "X-Unique": {"true"}}, neither},
		"a greater number":                           {"", user("X-Max-Sessions", "2"), neither},
		"unique":                                     {"", user("X-Unique", "true"), ends},
		"unique and a number":                        {"", user("X-Unique", "true", "X-Max-Sessions", "1"), ends},
		"as Ministra does: unique and ten":           {"", user("X-Unique", "true", "X-Max-Sessions", "10"), neither},
		"a number of the config":                     {"max_sessions: 1", user(), denies},
		"a number of the config, and nobody":         {"max_sessions: 1", nil, neither},
		"the reply's number before the config's":     {"max_sessions: 1", user("X-Max-Sessions", "2"), neither},
		"the config's number for a unique one":       {"max_sessions: 2", user("X-Unique", "true"), neither},
		"the reply ignored":                          {"reply: ignore", user("X-Unique", "true", "X-Max-Sessions", "1"), neither},
		"the reply ignored, with a number":           {"reply: ignore, max_sessions: 1", user("X-Unique", "true", "X-Max-Sessions", "10"), denies},
		"the config's word on the newcomer":          {"on_exceed: deny_new", user("X-Unique", "true"), denies},
		"the config's word on the oldest":            {"on_exceed: end_oldest", user("X-Max-Sessions", "1"), ends},
		"the config's word and number":               {"on_exceed: end_oldest, max_sessions: 1", user(), ends},
		"a number that is none":                      {"", user("X-Max-Sessions", "one"), neither},
		"what the config says, and a number of none": {"max_sessions: 1", user("X-Max-Sessions", "0"), denies},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPortal(t, tokens(test.reply))
			if test.users != "" {
				test.users = ", users: {" + test.users + "}"
			}
			g := open(t, limitedTo(p.URL, test.users), ignore)
			first, second := asks(t, g, seat(1, channel)), asks(t, g, seat(2, channel))
			again := asks(t, g, seat(1, channel))
			got := fmt.Sprintf("%v, %s and then %s", first.Allow, second.Word(), again.Word())
			want := map[string]string{denies: "true, deny and then allow", ends: "true, allow and then deny", neither: "true, allow and then allow"}[test.want]
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			for _, d := range []check.Decision{second, again} {
				if !d.Allow && (d.Reason != check.Limit || d.Status != 451 || d.Outcome.User != "u42") {
					t.Errorf("denied as %+v", d)
				}
			}
			if n := len(p.asked()); n != 2 {
				t.Errorf("asked %d times, want 2", n)
			}
		})
	}
}

// What a viewer sends names no user, and has no limit.
func TestAViewerCannotSayWhoHeIs(t *testing.T) {
	p := newPortal(t, tokens(user("X-Max-Sessions", "1")))
	g := open(t, limitedTo(p.URL, ""), ignore)
	asks(t, g, seat(1, channel))
	r := seat(2, channel)
	r.Query = "token=123&X-UserId=u1&X-Max-Sessions=9&user=u1"
	if d := asks(t, g, r); d.Allow || d.Reason != check.Limit {
		t.Errorf("got %+v", d)
	}
}

func TestOtherMethodsAndRoutesWithoutSessionsAreJudgedToo(t *testing.T) {
	p := newPortal(t, tokens(user("X-Max-Sessions", "1", "X-Unique", "true")))
	g := open(t, limitedTo(p.URL, ""), ignore)
	post, vod := seat(2, channel), seat(2, "/vod/film.mp4")
	post.Method = "POST"
	for _, r := range []*check.Request{post, vod} {
		if d := asks(t, g, r); !d.Allow {
			t.Errorf("nobody watches: %+v", d)
		}
	}
	asks(t, g, seat(1, channel))
	for _, r := range []*check.Request{post, vod} {
		if d := asks(t, g, r); d.Allow || d.Reason != check.Limit {
			t.Errorf("another watches: %+v", d)
		}
		own := *r
		own.Addr = seat(1, channel).Addr
		if d := asks(t, g, &own); !d.Allow {
			t.Errorf("he watches himself: %+v", d)
		}
	}
	watchingFrom(t, g, 1, "/live/ch1/1.ts")
}

func watchingFrom(t *testing.T, g *gate.Gate, n byte, path string) {
	t.Helper()
	r := seat(n, path)
	r.Query = ""
	if d := asks(t, g, r); !d.Allow || d.Reason != check.Session {
		t.Errorf("%s: %+v", path, d)
	}
}

func TestAReloadChangesALimit(t *testing.T) {
	p := newPortal(t, tokens(user()))
	g := open(t, limitedTo(p.URL, ", users: {max_sessions: 1}"), ignore)
	asks(t, g, seat(1, channel))
	if d := asks(t, g, seat(2, channel)); d.Allow {
		t.Fatalf("the second: %+v", d)
	}
	mustReload(t, g, limitedTo(p.URL, ", users: {max_sessions: 2}"))
	if d := asks(t, g, seat(2, "/live/ch2/index.m3u8")); !d.Allow {
		t.Errorf("the second after the reload: %+v", d)
	}
	if d := asks(t, g, seat(3, channel)); d.Allow {
		t.Errorf("the third after the reload: %+v", d)
	}
}

func TestAnOperatorHearsOnceThatALimitCountsNobody(t *testing.T) {
	p := newPortal(t, tokens(nil))
	for users, want := range map[string]int{"": 0, ", users: {max_sessions: 1}": 1} {
		e := newEvents()
		g := open(t, limitedTo(p.URL, users), e.notify)
		asks(t, g, seat(1, channel))
		asks(t, g, seat(2, channel))
		if all := of[check.NamelessUsers](e); len(all) != want || want > 0 && all[0].Backend != "portal" {
			t.Errorf("%q: %+v, want %d", users, all, want)
		}
	}
}

func TestHundredsWhoStartAtOnceWithOneAccountAreNoMoreThanItsLimit(t *testing.T) {
	p := newPortal(t, tokens(user("X-Max-Sessions", "3")))
	g := open(t, limitedTo(p.URL, ""), ignore)
	var all sync.WaitGroup
	var mu sync.Mutex
	allowed := 0
	for n := range byte(200) {
		all.Go(func() {
			d := asks(t, g, seat(n+1, channel))
			mu.Lock()
			defer mu.Unlock()
			if d.Allow {
				allowed++
			} else if d.Reason != check.Limit {
				t.Errorf("got %+v", d)
			}
		})
	}
	all.Wait()
	if page, _ := g.Sessions().List(sessionsOf("u42"), "", 10); allowed != 3 || len(page) != 3 {
		t.Errorf("%d were let in, and %d sessions are there", allowed, len(page))
	}
}

func sessionsOf(user string) session.Filter { return session.Filter{User: user} }

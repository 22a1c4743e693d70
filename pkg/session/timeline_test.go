package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
)

// A timeline is a route, and a row of steps of four bytes each: what happens, and
// its particulars.
const stepSize = 4

// The kinds of steps. Requests are most of what happens.
const (
	stepPass = iota
	stepAway
	stepFail
	stepAnswer
	stepEnd
	stepEndUser
	stepRestart
	stepReload
	stepRequest
	stepKinds = 20
)

func timelinePaths() []string {
	return []string{
		"/live/ch1/index.m3u8", "/live/ch1/seg1.ts", "/live/ch10/index.m3u8", "/live/ch10/seg1.ts", "/live/ch1_hd/index.m3u8",
		"/live/ch1_hd/seg1.ts", "/live/ch1-4k.m3u8", "/live/ch1.m3u8", "/live/ch1-4.ts", "/live/ch1_4.ts", "/live/ch1.5/index.m3u8",
		"/live/ch1.5/seg1.ts", "/live/ch1/v/master.m3u8", "/live/ch1/v/seg1.ts", "/live/index.m3u8", "/live/ch1/poster.jpg",
		"/live/ch1.ts", "/live/ch1/index.m3u8/seg1.ts", "/live/CH1/seg1.ts", "/live/ch1;/seg1.ts",
	}
}

func timelineQueries() []string {
	return []string{
		"", "token=1", "token=2", "id=1", "id=99", "start=5", "token=1&start=5", "seq=7", "token=1&id=1", "token=1&_HLS_msn=3",
		"TOKEN=1", "token=1&token=2", "id=1;id=99", "id[]=1", "CMCD=bl%3d1&token=2", "utc=1&lutc=2",
	}
}

func timelineViewers() []check.Request {
	all := []check.Request{request("/"), request("/"), from("192.0.2.2", "/"), from("2001:db8::1", "/"), from("2001:db8::2", "/"), request("/")}
	all[1].UserAgent = "Lavf/60"
	all[5].Host = "b.example.com"
	return all
}

func timelineRoute(t testing.TB, a, b byte) Rules {
	layout, err := stream.Parse("auto", []string{"/live/"})
	if err != nil {
		t.Fatal(err)
	}
	joins := []Join{
		{Token: true, Client: true}, {Token: true, Client: true, ID: true}, {Token: true}, {ID: true}, {Address: true}, {Client: true},
		{Token: true, Client: true, Address: true, ID: true}, {},
	}
	choose := func(bit int, is, or time.Duration) time.Duration {
		if b>>bit&1 == 1 {
			return is
		}
		return or
	}
	return Rules{
		Route: "tv", Layout: layout, Join: joins[int(a)%len(joins)], Idle: choose(0, time.Minute, 0), Max: choose(1, 30*time.Minute, 0),
		Grace: choose(2, 0, 5*time.Minute), AllowUnavailable: b>>3&1 == 1, Once: b>>4&1 == 1,
		Cache: choose(5, 7*time.Second, 0),
	}
}

// timeline is one run of the steps, and the oracle beside it.
type timeline struct {
	w     *world
	o     *oracle
	hands []string
	// denies and good are what the backend says to a query.
	denies map[string]bool
	good   map[string]time.Duration
}

// runTimeline gives what is wrong first, with the steps up to it.
func runTimeline(t *testing.T, route [2]byte, steps []byte) (wrong string) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, timelineRoute(t, route[0], route[1]), Config{Keys: keysOf(t, secret("a")), Journal: newDisk()})
		defer func() { w.stop() }()
		tl := &timeline{w: w, o: newOracle(w), denies: map[string]bool{}, good: map[string]time.Duration{}}
		w.script(func(r *check.Request) check.Outcome {
			if tl.denies[r.Query] {
				return check.Outcome{Verdict: check.Denied, Once: w.rules.Once}
			}
			return check.Outcome{
				Verdict: check.Allowed, AuthDuration: tl.good[r.Query], Once: w.rules.Once, User: userWith(r.Query),
				MaxSessions: tl.o.limit.most, Unique: tl.o.limit.newest,
			}
		})
		tl.o.limit = limitRule{most: int(route[1] >> 5 & 3), newest: route[1]>>7 == 1}
		var log []string
		began := time.Now()
		for ; len(steps) >= stepSize; steps = steps[stepSize:] {
			what, bad := tl.step([stepSize]byte(steps))
			log = append(log, fmt.Sprintf("%9v %s", time.Since(began).Round(time.Millisecond), what))
			synctest.Wait()
			if bad == "" {
				bad = tl.o.look(time.Now())
			}
			if bad == "" {
				bad = disorder(w.store)
			}
			if bad != "" {
				wrong = fmt.Sprintf("%s\nrules: %+v, %+v\n%s", bad, *w.rules, tl.o.limit, strings.Join(log, "\n"))
				return
			}
		}
		w.pass(49 * time.Hour) // Whatever they were: no session is longer than max, and grace.
		if wrong = left(w.store); wrong != "" {
			wrong = fmt.Sprintf("after all: %s\nrules: %+v, %+v\n%s", wrong, *w.rules, tl.o.limit, strings.Join(log, "\n"))
		}
	})
	return wrong
}

// step does one step, and says what it was and what is wrong about it.
func (tl *timeline) step(s [stepSize]byte) (what, wrong string) {
	w, queries := tl.w, timelineQueries()
	switch kind := s[0] % stepKinds; kind {
	case stepPass:
		d := []time.Duration{
			time.Nanosecond, time.Second, 3 * time.Second, 9 * time.Second, 10 * time.Second, 50 * time.Second, time.Minute, 2 * time.Minute,
			5 * time.Minute, 10 * time.Minute, 10*time.Minute - time.Nanosecond, 30 * time.Minute, 24 * time.Hour,
		}[int(s[1])%13]
		w.pass(d)
		return "pass " + d.String(), ""
	case stepAway:
		w.goAway(!w.away)
		if !w.away {
			tl.o.returned, w.failedAt = time.Now(), time.Now()
		}
		return fmt.Sprintf("away %v", w.away), ""
	case stepFail:
		w.fail(!w.failing)
		w.failedAt = time.Now()
		return fmt.Sprintf("fail %v", w.failing), ""
	case stepAnswer:
		query := queries[int(s[1])%len(queries)]
		tl.denies[query] = s[2]&1 == 1
		tl.good[query] = []time.Duration{0, time.Second, 10 * time.Second, time.Minute, time.Hour}[int(s[3])%5]
		return fmt.Sprintf("the backend denies %q: %v, else allows for %v", query, tl.denies[query], tl.good[query]), ""
	case stepEnd:
		return tl.end(s)
	case stepEndUser:
		user, hold := userWith(queries[int(s[1])%len(queries)]), holdOf(s[2])
		return fmt.Sprintf("end %q for %v", user, hold), tl.note(w.store.EndUser(user, hold))(nil, user, hold)
	case stepRestart:
		return tl.restart(s[1]&1 == 1)
	case stepReload:
		// What a session may still do under other rules is a matter of plain tests; a
		// reload of the same rules must change nothing.
		w.use(*w.rules)
		return "reload", ""
	default:
		return tl.request(s)
	}
}

func holdOf(b byte) time.Duration {
	return []time.Duration{0, 10 * time.Second, time.Minute, 20 * time.Minute}[b%4]
}

func (tl *timeline) end(s [stepSize]byte) (what, wrong string) {
	page, _ := tl.w.store.List(Filter{}, "", 100)
	if len(page) == 0 {
		return "end nothing", ""
	}
	n, hold := page[int(s[1])%len(page)], holdOf(s[2])
	user := ""
	if s[3]&1 == 1 {
		user = n.User
	}
	what = fmt.Sprintf("end the session on %s for %v, and user %q", n.Stream, hold, user)
	return what, tl.note(tl.w.store.End(n.ID, hold, user != ""))(tl.o.known[n.ID], user, hold)
}

// note has the oracle know of an end.
func (tl *timeline) note(ended []string, err error) func(of *viewing, user string, hold time.Duration) string {
	return func(of *viewing, user string, hold time.Duration) string {
		if err != nil {
			return err.Error()
		}
		for _, id := range ended {
			v := tl.o.known[id]
			if v == nil {
				return fmt.Sprintf("ended %s, which nothing has opened", id)
			}
			tl.o.over(v)
		}
		if of != nil && !of.ended {
			return "it was not ended"
		}
		if hold > 0 {
			tl.o.held = append(tl.o.held, held{of, user, time.Now().Add(hold)})
		}
		return ""
	}
}

func (tl *timeline) restart(crash bool) (what, wrong string) {
	if crash {
		tl.w.pass(3 * pause) // What is not yet on disk is lost, and the oracle cannot know what that is.
		tl.w.crash()
		what = "crash"
	} else {
		tl.w.restart()
		what = "restart"
	}
	for _, v := range tl.o.known {
		stale := min(savedAtLeast, tl.w.rules.idle()/4)
		if at := v.early.Add(-stale); at.After(v.started) {
			v.early = at
		} else {
			v.early = v.started
		}
	}
	tl.o.returned, tl.w.failedAt = time.Now(), time.Now()
	tl.o.restarted()
	return what, ""
}

func (tl *timeline) request(s [stepSize]byte) (what, wrong string) {
	paths, queries, viewers := timelinePaths(), timelineQueries(), timelineViewers()
	r := viewers[int(s[0]/stepKinds)%len(viewers)]
	r.Path, r.Query = paths[int(s[1])%len(paths)], queries[int(s[2])%len(queries)]
	switch {
	case s[3] >= 250:
		r.Method = "POST"
	case s[3] >= 150 && len(tl.hands) > 0:
		r.IDs[0] = tl.hands[int(s[3])%len(tl.hands)]
	}
	now := time.Now()
	d := tl.w.check(r)
	if d.ID != "" && r.Method != "POST" {
		tl.hands = append(tl.hands, d.ID)
	}
	what = fmt.Sprintf("%s %s%s?%s of %s (%s), id %v: %s, session %.6s", r.Method, r.Host, r.Path, r.Query, r.Addr, r.UserAgent, r.IDs[0] != "",
		said(d), d.Session)
	return what, tl.o.decided(&r, d, now)
}

// disorder gives where the Store's indexes disagree.
func disorder(s *Store) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wrong := disorderOfUsers(s); wrong != "" {
		return wrong
	}
	all := allOf(s)
	shared := 0
	for _, n := range all {
		p, terms := s.place(n), s.terms(n)
		if s.withID(s.id(n)) != n || s.exactly(&p, terms.query) != n || !slices.Contains(placed(s, &p), n) {
			return fmt.Sprintf("session %s is out of its place", s.idText(n))
		}
		if n.older != 0 && s.at(n.older).newer != n.ref || n.newer != 0 && s.at(n.newer).older != n.ref {
			return fmt.Sprintf("session %s has one beside it that has another", s.idText(n))
		}
		if n.leads != 0 {
			for mine := range s.lastUsed(s.together(n.network()), ofAddress) {
				if mine.network() != n.network() {
					return "a session counts for another address"
				}
				shared++
			}
		}
	}
	for i, r := range s.agenda.of {
		if n := s.sessions.look(r); n == nil || !n.alive() || int(n.inAgenda) != i {
			return "the agenda has what is not there"
		}
		if i > 0 && s.agenda.at[i] < s.agenda.at[(i-1)/branches] {
			return "the agenda is out of order"
		}
	}
	if wrong := disorderOfSlots(s, all); wrong != "" {
		return wrong
	}
	if wrong := disorderOfTexts(s, all); wrong != "" {
		return wrong
	}
	total := len(all)
	for what, count := range map[string]int{
		"are counted": s.count, "count for addresses": shared, "are in the agenda": len(s.agenda.of),
		"are in order": len(inOrder(s, s.paid)) + len(inOrder(s, s.provisional)),
		"have an id":   s.byID.size, "have a place": s.byPlace.size, "have a query": s.byExact.size,
	} {
		if count != total {
			return fmt.Sprintf("there are %d sessions, and %d %s", total, count, what)
		}
	}
	return ""
}

// disorderOfTexts gives what is wrong about where sessions have their texts.
func disorderOfTexts(s *Store, all []*session) string {
	live := map[uint32]int{}
	for _, n := range all {
		live[n.block] += int(n.endOfWhole)
		if b := s.texts.blocks[n.block]; b == nil || !slices.Contains(b.owners, n.ref) || b.text.String() != s.texts.whole[n.block] {
			return fmt.Sprintf("the text of session %s is not where it should be", s.idText(n))
		}
	}
	for i, b := range s.texts.blocks {
		switch {
		case b == nil && (s.texts.whole[i] != "" || !slices.Contains(s.texts.unused, uint32(i))):
			return "a block was given up and is still there"
		case b == nil:
		case b.live != live[uint32(i)]:
			return fmt.Sprintf("a block has %d bytes of texts, and counts %d", live[uint32(i)], b.live)
		case uint32(i) != s.texts.current && 2*b.live < b.text.Len():
			return "most of a block is of no use"
		}
	}
	return ""
}

// allOf are the sessions of a Store.
func allOf(s *Store) (all []*session) {
	for r := ref(1); r < s.sessions.end(); r++ {
		if n := s.sessions.look(r); n != nil && n.alive() {
			all = append(all, n)
		}
	}
	return all
}

// placed are the sessions in a place.
func placed(s *Store, p *place) (found []*session) {
	for n := s.newest(p); n != nil; n = s.older(n, p) {
		found = append(found, n)
	}
	return found
}

func inOrder(s *Store, of roll) []*session { return slices.Collect(s.lastUsed(of, ofAll)) }

// No order of requests, repeated questions, expiries, ends, outages and restarts
// leaves a session that outlives its end, or ends one before it; what is let in, a
// session that lives lets in, on its stream, for its viewer, by a query that fits.
func TestNoOrderOfEventsOutlivesOrShortensASession(t *testing.T) {
	for join := range byte(8) {
		t.Run(fmt.Sprintf("join %d", join), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				route := [2]byte{join, rapid.Byte().Draw(rt, "route")}
				n := rapid.IntRange(1, 40).Draw(rt, "steps")
				steps := rapid.SliceOfN(rapid.Byte(), n*stepSize, n*stepSize).Draw(rt, "bytes")
				if wrong := runTimeline(t, route, steps); wrong != "" {
					rt.Fatal(wrong)
				}
			})
		})
	}
}

func FuzzTimeline(f *testing.F) {
	f.Add(byte(0), byte(0), []byte{stepRequest, 0, 1, 0, stepPass, 9, 0, 0, stepRequest, 0, 2, 0, stepRequest, 1, 0, 0, stepRequest, 0, 1, 0})
	f.Fuzz(func(t *testing.T, a, b byte, steps []byte) {
		if len(steps) > 60*stepSize {
			return
		}
		if wrong := runTimeline(t, [2]byte{a, b}, steps); wrong != "" {
			t.Fatal(wrong)
		}
	})
}

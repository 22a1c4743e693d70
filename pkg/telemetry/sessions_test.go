package telemetry

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
)

func watched() check.SessionInfo {
	return check.SessionInfo{
		ID: "5f1c0e9a7b3d42c88e6f0a1b2c3d4e5f", Route: "live", Host: "tv.example.com", Stream: "/live/ch1/",
		Addr: netip.MustParseAddr("192.0.2.7"), UserAgent: "VLC/3.0.20", Backend: "portal", User: "u77", Name: "living room",
	}
}

// only is the one line of a log, without its time.
func only(t *testing.T, w *written) map[string]any {
	t.Helper()
	lines := w.lines(t)
	if len(lines) != 1 {
		t.Fatalf("want one line, got %v", lines)
	}
	delete(lines[0], "time")
	return lines[0]
}

func TestAStartAndAnEndAreOneLineEachWithWhatBillingNeeds(t *testing.T) {
	began := time.Date(2026, 3, 1, 20, 15, 0, 0, time.FixedZone("", 3600))
	known := map[string]any{
		"level": "info", "id": "5f1c0e9a7b3d42c88e6f0a1b2c3d4e5f", "route": "live", "host": "tv.example.com", "stream": "/live/ch1/",
		"addr": "192.0.2.7", "user_agent": "VLC/3.0.20", "backend": "portal", "user": "u77", "session_name": "living room",
	}
	provisional := watched()
	provisional.Provisional, provisional.Backend, provisional.User, provisional.Name = true, "", "", ""
	ended := check.SessionEnded{
		SessionInfo: watched(), Started: began, Last: began.Add(90*time.Minute + 250*time.Millisecond), Requests: 1803, Reason: "idle",
	}
	backwards := ended
	backwards.Last = began.Add(-time.Hour)
	for name, test := range map[string]struct {
		event check.Event
		other map[string]any
	}{
		"started":     {check.SessionStarted{SessionInfo: watched()}, map[string]any{"message": "session started"}},
		"restored":    {check.SessionStarted{SessionInfo: watched(), Restored: true}, map[string]any{"message": "session restored", "restored": true}},
		"provisional": {check.SessionStarted{SessionInfo: provisional}, map[string]any{"message": "session started", "provisional": true, "backend": nil, "user": nil, "session_name": nil}},
		"ended": {ended, map[string]any{
			"message": "session ended", "started": "2026-03-01T19:15:00.000Z",
			"last_request": "2026-03-01T20:45:00.250Z", "duration_s": 5400.25, "requests": 1803.0, "reason": "idle",
		}},
		"the clock was set back": {backwards, map[string]any{
			"message": "session ended", "started": "2026-03-01T19:15:00.000Z",
			"last_request": "2026-03-01T18:15:00.000Z", "duration_s": 0.0, "requests": 1803.0, "reason": "idle",
		}},
	} {
		want := map[string]any{}
		for _, fields := range []map[string]any{known, test.other} {
			for field, value := range fields {
				if want[field] = value; value == nil {
					delete(want, field)
				}
			}
		}
		tel, w := started(t, Config{})
		tel.Notify(test.event)
		if diff := cmp.Diff(want, only(t, w)); diff != "" {
			t.Errorf("%s (- want, + got):\n%s", name, diff)
		}
		quiet, none := started(t, Config{Level: "warn"})
		quiet.Notify(test.event)
		if got := none.String(); got != "" {
			t.Errorf("%s, at warn: %s", name, got)
		}
	}
}

func TestAFloodOfDenialsHidesNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuck{free: make(chan struct{})}
		tel, err := New(Config{Writer: w, Level: "debug"})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 * maxQueued {
			tel.Record(viewer(), check.Decision{Reason: check.RecentDenial}, 0)
			tel.Record(viewer(), denied(), 0)
		}
		for range maxLasting / 4 {
			tel.Notify(check.SessionStarted{SessionInfo: watched()})
			tel.Notify(check.SessionEnded{SessionInfo: watched(), Reason: "idle"})
		}
		close(w.free)
		tel.Flush()
		got := w.text.String()
		if began, ended := strings.Count(got, "session started"), strings.Count(got, "session ended"); began != maxLasting/4 || ended != maxLasting/4 {
			t.Errorf("%d starts and %d ends of %d each", began, ended, maxLasting/4)
		}
	})
}

func TestLinesOfSessionsAreBoundedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuck{free: make(chan struct{})}
		tel, err := New(Config{Writer: w})
		if err != nil {
			t.Fatal(err)
		}
		tel.Notify(check.SessionStarted{SessionInfo: watched()})
		synctest.Wait()
		for range maxLasting + 100 {
			tel.Notify(check.SessionEnded{SessionInfo: watched()})
		}
		close(w.free)
		tel.Flush()
		if got := w.text.String(); strings.Count(got, "\n") != 1+maxLasting+1 || !strings.Contains(got, `"left_out":100`) {
			t.Errorf("%d lines: …%s", strings.Count(got, "\n"), got[max(0, len(got)-300):])
		}
	})
}

func TestSessionsOfARestartAreASampleAndACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel, w := started(t, Config{})
		for range 5000 {
			tel.Notify(check.SessionStarted{SessionInfo: watched(), Restored: true})
		}
		time.Sleep(summaryAfter)
		synctest.Wait()
		lines := w.lines(t)
		if last := lines[len(lines)-1]; len(lines) != linesPerSecond+1 || last["left_out"] != 4990.0 || last["level"] != "info" {
			t.Errorf("%d lines, the last %v", len(lines), last)
		}
		has(t, scrape(t, tel), `altagate_sessions{route="live"} 5000`)
	})
}

func TestSessionsAreCountedForEachRouteAndARemovedRouteGoesWithItsLast(t *testing.T) {
	tel, _ := started(t, Config{})
	on := func(route string) check.SessionInfo { return check.SessionInfo{Route: route} }
	tel.Configured(Names{Routes: []string{"live", "vod", "radio"}})
	tel.Notify(check.SessionStarted{SessionInfo: on("live")})
	tel.Notify(check.SessionStarted{SessionInfo: check.SessionInfo{Route: "live", Provisional: true}})
	tel.Notify(check.SessionStarted{SessionInfo: on("vod")})
	has(t, scrape(t, tel), `altagate_sessions{route="live"} 2`, `altagate_sessions{route="vod"} 1`, `altagate_sessions{route="radio"} 0`)

	tel.Configured(Names{Routes: []string{"live"}})
	scraped := scrape(t, tel)
	has(t, scraped, `altagate_sessions{route="live"} 2`, `altagate_sessions{route="vod"} 1`)
	if strings.Contains(scraped, `"radio"`) {
		t.Error("a removed route without sessions still has its series")
	}
	tel.Notify(check.SessionEnded{SessionInfo: on("vod")})
	tel.Notify(check.SessionEnded{SessionInfo: on("live")})
	scraped = scrape(t, tel)
	has(t, scraped, `altagate_sessions{route="live"} 1`)
	if strings.Contains(scraped, `"vod"`) {
		t.Error("a removed route still has its series after its last session")
	}
	tel.Configured(Names{Routes: []string{"live", "vod"}})
	has(t, scrape(t, tel), `altagate_sessions{route="vod"} 0`)
}

func TestAnEndThatIsToldBeforeItsStartCountsForNothing(t *testing.T) {
	tel, _ := started(t, Config{})
	tel.Notify(check.SessionEnded{SessionInfo: watched()})
	has(t, scrape(t, tel), `altagate_sessions{route="live"} 0`)
	tel.Notify(check.SessionStarted{SessionInfo: watched()})
	if strings.Contains(scrape(t, tel), `route="live"`) {
		t.Error("a route that no config has still has its series")
	}
}

func TestManySessionsAtOnceLoseNoCount(t *testing.T) {
	tel, _ := started(t, Config{Level: "error"})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				tel.Notify(check.SessionStarted{SessionInfo: watched()})
				tel.Configured(Names{Routes: []string{"live"}})
				tel.Notify(check.SessionStarted{SessionInfo: watched()})
				tel.Notify(check.SessionEnded{SessionInfo: watched()})
			}
		})
	}
	all.Wait()
	has(t, scrape(t, tel), `altagate_sessions{route="live"} 1600`)
}

func TestHiddenViewersAreAWarningAndAMetric(t *testing.T) {
	tel, w := started(t, Config{})
	has(t, scrape(t, tel), "altagate_viewers_hidden 0")
	hidden := check.ViewersHidden{Hidden: true, Addr: netip.MustParseAddr("10.0.0.9"), Sessions: 150, Total: 210}
	tel.Notify(hidden)
	has(t, scrape(t, tel), "altagate_viewers_hidden 1")
	got := only(t, w)
	if got["level"] != "warn" || got["addr"] != "10.0.0.9" || got["sessions"] != 150.0 || got["total"] != 210.0 {
		t.Errorf("got %v", got)
	}
	tel.Notify(check.ViewersHidden{Addr: hidden.Addr, Sessions: 100, Total: 210})
	has(t, scrape(t, tel), "altagate_viewers_hidden 0")
	if lines := w.lines(t); len(lines) != 2 || lines[1]["level"] != "info" {
		t.Errorf("got %v", lines)
	}
}

func TestAMissingLayoutIsHintedAtWithThePageToRead(t *testing.T) {
	tel, w := started(t, Config{})
	tel.Notify(check.LayoutHint{Route: "live", Path: "/live/audio/seg1.ts"})
	got := only(t, w)
	if got["level"] != "info" || got["route"] != "live" || got["path"] != "/live/audio/seg1.ts" ||
		!strings.Contains(fmt.Sprint(got["message"]), "docs/sessions.md") {
		t.Errorf("got %v", got)
	}
}

func TestAStateFileThatCannotBeWrittenIsAnErrorAndAMetric(t *testing.T) {
	tel, w := started(t, Config{State: true})
	has(t, scrape(t, tel), "altagate_state_writable 1")
	tel.Notify(check.JournalTurned{Err: errors.New("writing /var/lib/altagate/state: no space left on device")})
	has(t, scrape(t, tel), "altagate_state_writable 0")
	got := only(t, w)
	if got["level"] != "error" || got["error"] != "writing /var/lib/altagate/state: no space left on device" {
		t.Errorf("got %v", got)
	}
	tel.Notify(check.JournalTurned{})
	has(t, scrape(t, tel), "altagate_state_writable 1")
	if lines := w.lines(t); len(lines) != 2 || lines[1]["level"] != "info" {
		t.Errorf("got %v", lines)
	}
}

func TestWithoutAStateFileThereIsNoMetricOfIt(t *testing.T) {
	tel, _ := started(t, Config{})
	if strings.Contains(scrape(t, tel), "altagate_state_writable") {
		t.Error("altagate_state_writable is there")
	}
}

func TestACheckIsFoundInTheBackendsOwnLog(t *testing.T) {
	const session, asked = "5f1c0e9a7b3d42c88e6f0a1b2c3d4e5f", "00112233445566778899aabbccddeeff"
	for name, test := range map[string]struct {
		d       check.Decision
		session any
		user    any
	}{
		"joined":      {check.Decision{Allow: true, Reason: check.Session, Session: session, Outcome: check.Outcome{Session: session, User: "u77"}}, session, "u77"},
		"opened":      {check.Decision{Allow: true, Reason: check.Backend, Session: session, Outcome: check.Outcome{Session: asked}}, session, nil},
		"denied":      {check.Decision{Reason: check.Backend, Outcome: check.Outcome{Session: asked, User: "u77"}}, asked, "u77"},
		"never asked": {check.Deny(check.Malformed), nil, nil},
	} {
		tel, w := started(t, Config{Level: "debug"})
		tel.Record(viewer(), test.d, 0)
		if got := only(t, w); got["session"] != test.session || got["user"] != test.user {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestNoLineHasWhatJoinsASession(t *testing.T) {
	const secret = "v1.a2V5aWQ.c2VjcmV0.bWFj"
	for _, format := range []string{"json", "console"} {
		tel, w := started(t, Config{Format: format, Level: "debug"})
		r := viewer()
		r.Query, r.IDs = "token="+secret+"&altagate_id="+secret+"&"+secret, [check.MaxIDs]string{secret, secret}
		tel.Record(r, check.Decision{Allow: true, Reason: check.Session, Session: "5f1c", ID: secret}, 0)
		tel.Record(r, check.Decision{Reason: check.Revoked, ID: secret}, 0)
		for _, mark := range []string{"?", ";", "%3F", "%3b", "%253f", "#"} {
			s := watched()
			s.Stream = "=/live/x.ts" + mark + "altagate_id=" + secret
			tel.Notify(check.SessionStarted{SessionInfo: s})
			tel.Notify(check.SessionStarted{SessionInfo: s, Restored: true})
			tel.Notify(check.SessionEnded{SessionInfo: s})
			tel.Notify(check.LayoutHint{Route: "live", Path: s.Stream[1:]})
		}
		tel.Notify(check.JournalTurned{Err: errors.New("saving http://h/?altagate_id=" + secret)})
		if got := w.String(); strings.Contains(got, secret) || strings.Count(got, "=/live/x.ts…") != 18 {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func TestHostileTextOfASessionStaysInItsField(t *testing.T) {
	evil := "\x1b]0;x\x07\r\n{\"level\":\"error\"}\x00\u009b\u202e\xff\" id=spoofed" + strings.Repeat("A", 4096)
	s := watched()
	s.Host, s.Stream, s.UserAgent, s.User, s.Name = evil, evil, evil, evil, evil
	for _, format := range []string{"json", "console"} {
		tel, w := started(t, Config{Format: format})
		tel.Notify(check.SessionEnded{SessionInfo: s})
		got := w.String()
		if strings.Count(got, "\n") != 1 || len(got) > 8192 || strings.ContainsAny(got, "\x00\x07\x1b\r\u009b\u202e") {
			t.Errorf("%s: %d bytes: %q", format, len(got), got)
		}
	}
}

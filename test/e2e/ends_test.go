package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// TestAKilledAltagateGoesOnWhereItWas kills it while hls.js plays, with a token
// that is dead, and starts it again.
func TestAKilledAltagateGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	for _, e := range []edge{edges[0], edges[3]} {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, e, "ministra", "")
			b := openPage(t, h.edge, nil)
			p := play{Source: h.links("/hls/ch1.m3u8"), Seconds: 11}
			b.start(p)
			rig.Until(t, "hls.js to play", func() bool { return h.served("/hls/ch1-") >= 5 })
			rig.Until(t, "the token to die", h.dead)
			h.gate.Kill()
			rig.Until(t, "hls.js to see that altagate is away", func() bool {
				return strings.Contains(h.edge.accessLog(), fmt.Sprintf(`" %d `, e.closed))
			})
			h.gate.restart(t, h.flags...)
			b.wait(t, p)
			h.onceEach(t)
			h.nobodyDenied(t)
			if h.gate.decided(t, "allow", "session") == 0 {
				t.Error("nothing was asked after the restart")
			}
		})
	}
}

// TestAnOperatorEndsASession for a time, and through a crash.
func TestAnOperatorEndsASession(t *testing.T) {
	t.Parallel()
	for _, e := range playerEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, e, "ministra", "")
			f := h.watch(t, "/hls/ch1.m3u8")
			f.reaches(t, 4*pictures)
			ids := h.sessions(t)
			if len(ids) != 1 {
				t.Fatalf("%d sessions, want 1", len(ids))
			}
			h.end(t, ids[0]+"?for=10m")
			rig.Until(t, "ffmpeg to be cut off", f.Ended)
			if h.gate.decided(t, "deny", "revoked") == 0 || !strings.Contains(f.Log(t), "403") {
				t.Errorf("what ffmpeg printed:\n%s", f.Log(t))
			}
			h.onceEach(t)

			h.gate.Kill()
			h.gate.restart(t, h.flags...)
			again := h.watch(t, "/hls/ch1.m3u8")
			rig.Until(t, "ffmpeg with a new token to end", again.Ended)
			if again.Err() == nil || h.gate.decided(t, "deny", "revoked") == 0 {
				t.Errorf("ffmpeg with a new token: %v\n%s", again.Err(), again.Log(t))
			}
			h.watch(t, "/hls/ch2.m3u8", "-t", "2").ends(t, 2*pictures)
			neighbour := viewer{edge: h.edge, from: "127.0.0.2"}
			if got := neighbour.get(t, "/hls/ch1.m3u8?token="+h.link()); got.status != 200 {
				t.Errorf("another viewer of the channel: status %d, want 200", got.status)
			}
		})
	}
}

// end ends a session through the API.
func (h *house) end(t *testing.T, session string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodDelete, "http://"+h.gate.admin+"/api/v1/sessions/"+session, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("ending session %s: status %d", session, resp.StatusCode)
	}
}

// TestAPauseEndsASessionAfterIdle, unless the portal said that its allow is good
// for longer.
func TestAPauseEndsASessionAfterIdle(t *testing.T) {
	t.Parallel()
	const idle = "    session: {idle: 10s}\n"
	ministra, alta := startHouse(t, edges[0], "ministra", idle), startHouse(t, edges[3], "custom", idle)
	is := func(h *house, what, target string, want int) {
		t.Helper()
		if got := (viewer{edge: h.edge}).get(t, target); got.status != want {
			t.Errorf("%s: status %d, want %d", what, got.status, want)
		}
	}
	for _, h := range []*house{ministra, alta} {
		entry := "/live/single/index.m3u8?token=" + h.link()
		is(h, "the start", entry, 200)
		rig.Until(t, "the token to die", h.dead)
		is(h, "a segment after a short pause", "/live/single/00001.ts", 200)
		is(h, "the playlist after a short pause", entry, 200)
		h.onceEach(t)
	}

	rig.Until(t, "the session to end", func() bool { return len(alta.sessions(t)) == 0 })
	is(ministra, "a segment after a long pause, within X-AuthDuration", "/live/single/00002.ts", 200)
	ministra.onceEach(t)
	is(alta, "a segment after a long pause", "/live/single/00002.ts", 403)
	is(alta, "the playlist with the dead token", "/live/single/index.m3u8?token="+alta.first(), 403)
	is(alta, "the playlist with a new token", "/live/single/index.m3u8?token="+alta.link(), 200)
	is(alta, "a segment then", "/live/single/00002.ts", 200)
	if n := alta.questions(); n != 4 {
		t.Errorf("the portal was asked %d questions, want 4", n)
	}
}

// TestKeysInAnotherDirectoryNeedALayout plays AES-128 with the key elsewhere, as
// docs/sessions.md has it, and without.
func TestKeysInAnotherDirectoryNeedALayout(t *testing.T) {
	t.Parallel()
	const elsewhere = "/live/fmp4/master.m3u8"
	t.Run("with", func(t *testing.T) {
		t.Parallel()
		h := startHouse(t, edges[0], "ministra", "    session: {layout: '/live/(?P<stream>[^/]+)/.+|/keys/(?P<stream>[^/]+)\\.key'}\n")
		h.watch(t, elsewhere).ends(t, segments*pictures)
		h.onceEach(t)
		h.nobodyDenied(t)
	})
	t.Run("without", func(t *testing.T) {
		t.Parallel()
		h := startHouse(t, edges[0], "ministra", "")
		f := h.watch(t, elsewhere)
		rig.Until(t, "ffmpeg to give up", f.Ended)
		if n := f.pictures(t); n > 0 || h.served("/keys/") > 0 {
			t.Errorf("%d pictures without the key", n)
		}
		if hint := grep(h.gate.Log(t), "session.layout"); !strings.Contains(hint, "/keys/fmp4.key") {
			t.Errorf("no hint that a layout is missing:\n%s", h.gate.Log(t))
		}
	})
}

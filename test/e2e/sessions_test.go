package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// stream is one that a studio has.
type stream struct {
	name, entry string
	// pictures of it are played.
	pictures int
	flags    []string
}

func streams() []stream {
	const all = segments * pictures
	return []stream{
		{"single level", "/live/single/index.m3u8", all, nil},
		{"ladder in nested directories", "/live/ladder/index.m3u8", all, nil},
		{"fragmented MP4 with AES-128", "/live/fmp4/index.m3u8", all, nil},
		{"flat names of nginx-rtmp, live", "/hls/ch1.m3u8", 5 * pictures, []string{"-t", "5"}},
		{"DASH", "/dash/ch1/manifest.mpd", all, nil},
	}
}

// playerEdges are those that players play through here.
func playerEdges() []edge { return []edge{edges[0], edges[2], edges[3]} }

// TestEachStreamIsOneQuestionForFFmpeg gives the token with the first URL only, as
// a portal's link has it.
func TestEachStreamIsOneQuestionForFFmpeg(t *testing.T) {
	t.Parallel()
	for _, e := range playerEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, e, "ministra", "")
			for _, s := range streams() {
				if e.file == "nginx/hls-edge.conf" && strings.HasSuffix(s.entry, ".mpd") {
					continue
				}
				h.watch(t, s.entry, s.flags...).ends(t, s.pictures)
			}
			h.onceEach(t)
			h.nobodyDenied(t)
		})
	}
}

// TestEachStreamIsOneQuestionForHLSJS plays in Chromium, with the page from the
// stream's own origin and from another.
func TestEachStreamIsOneQuestionForHLSJS(t *testing.T) {
	t.Parallel()
	for _, e := range playerEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, e, "ministra", "")
			var page func() string
			if e.file == "nginx/altagate.conf" {
				h.offer(playerPage(t))
				page = h.links("/player/index.html")
			}
			b := openPage(t, h.edge, page)
			for _, s := range streams() {
				if strings.HasSuffix(s.entry, ".mpd") {
					continue
				}
				p := play{Source: h.links(s.entry), Seconds: 3, Rate: 2}
				b.start(p)
				b.wait(t, p)
			}
			h.onceEach(t)
			h.nobodyDenied(t)
		})
	}
}

// TestNobodyIsCutOffWhenTheTokenDies plays on for longer than a token of Ministra's
// lives, with a pause of a player.
func TestNobodyIsCutOffWhenTheTokenDies(t *testing.T) {
	t.Parallel()
	for _, e := range playerEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, e, "ministra", "")
			f := h.watch(t, "/hls/ch1.m3u8", "-t", "12")
			f.reaches(t, 3*pictures)
			f.Signal(t, syscall.SIGSTOP)
			rig.Until(t, "the token to die", h.dead)
			f.Signal(t, syscall.SIGCONT)
			f.ends(t, 10*pictures)
			h.onceEach(t)
			h.nobodyDenied(t)
			stranger := viewer{edge: h.edge, from: "127.0.0.2"}
			if got := stranger.get(t, "/hls/ch1.m3u8?token="+h.first()); got.status != 403 {
				t.Errorf("another viewer with the dead token: status %d, want 403", got.status)
			}
		})
	}
}

// TestAPauseInABrowserOutlivesTheToken has hls.js ask for nothing meanwhile.
func TestAPauseInABrowserOutlivesTheToken(t *testing.T) {
	t.Parallel()
	h := startHouse(t, edges[3], "ministra", "")
	b := openPage(t, h.edge, nil)
	p := play{Source: h.links("/live/ladder/index.m3u8"), Seconds: 4, Pause: true}
	b.start(p)
	b.pauses(t, "the token to die", h.dead)
	b.wait(t, p)
	h.onceEach(t)
	h.nobodyDenied(t)
}

// TestAPullGoesOnAfterAReconnect breaks off a live MPEG-TS when its token is dead.
func TestAPullGoesOnAfterAReconnect(t *testing.T) {
	t.Parallel()
	for _, e := range []edge{edges[0], edges[3]} {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, e, "ministra", "")
			f := h.watch(t, "/live/pull.ts", "-reconnect", "1", "-reconnect_streamed", "1", "-reconnect_at_eof", "1", "--")
			f.reaches(t, pictures)
			rig.Until(t, "the token to die", h.dead)
			h.drop()
			rig.Until(t, "ffmpeg to come back", func() bool { return h.served("/live/pull.ts") == 2 })
			f.reaches(t, f.pictures(t)+5*pictures)
			h.onceEach(t)
			h.nobodyDenied(t)
		})
	}
}

// TestLowLatencyQueriesAreOneSession sends what players of low-latency HLS send.
func TestLowLatencyQueriesAreOneSession(t *testing.T) {
	t.Parallel()
	for _, e := range playerEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, e, "ministra", "")
			v, token := viewer{edge: h.edge}, h.link()
			entry := "/live/ll/index.m3u8?token=" + token
			for _, target := range []string{
				entry,
				entry + "&_HLS_msn=17&_HLS_part=0",
				entry + "&_HLS_msn=17&_HLS_part=1&_HLS_skip=YES",
				"/live/ll/index.m3u8?_HLS_msn=17&_HLS_part=2&_HLS_skip=v2&token=" + token,
				entry + "&CMCD=ot%3Dm%2Csid%3D%22x%22",
				"/live/ll/high/media.m3u8",
				"/live/ll/high/media.m3u8?_HLS_msn=17&_HLS_part=3",
				"/live/ll/high/media.m3u8?_HLS_msn=18&_HLS_part=0&_HLS_skip=YES",
				"/live/ll/high/18.0.m4s",
				"/live/ll/high/18.0.m4s?CMCD=bl%3D2100",
				"/live/ll/high/18.1.m4s?_HLS_start_offset=2.5",
			} {
				if got := v.get(t, target); got.status != 200 {
					t.Errorf("%s: status %d", target, got.status)
				}
			}
			h.onceEach(t)
			h.nobodyDenied(t)
			if got := v.get(t, "/live/ll/index.m3u8?token=another&_HLS_msn=18"); got.status != 403 {
				t.Errorf("with a token that the portal does not know: status %d, want 403", got.status)
			}
		})
	}
}

// TestZappingAwayAndBackIsOneQuestionForEach has a new token each time.
func TestZappingAwayAndBackIsOneQuestionForEach(t *testing.T) {
	t.Parallel()
	for _, e := range playerEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, e, "ministra", "")
			for _, channel := range []string{"ch1", "ch2", "ch1", "ch2", "ch1"} {
				h.watch(t, "/hls/"+channel+".m3u8", "-t", "2").ends(t, 2*pictures)
			}
			h.onceEach(t)
			h.nobodyDenied(t)
		})
	}
}

// TestThreeEqualBoxesWatchTheSameChannel behind one address, each with its token.
func TestThreeEqualBoxesWatchTheSameChannel(t *testing.T) {
	t.Parallel()
	for _, e := range []edge{edges[0], edges[3]} {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, e, "ministra", "")
			var boxes []film
			for range 3 {
				boxes = append(boxes, h.watch(t, "/hls/ch1.m3u8", "-t", "10"))
			}
			for _, f := range boxes {
				f.ends(t, 9*pictures)
			}
			h.onceEach(t)
			h.nobodyDenied(t)
			if n := len(h.sessions(t)); n != 3 {
				t.Errorf("%d sessions, want 3", n)
			}
		})
	}
}

// TestWhoHasNoTokenSeesNothing asks for what another viewer is watching.
func TestWhoHasNoTokenSeesNothing(t *testing.T) {
	t.Parallel()
	for _, e := range playerEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			h := startHouse(t, e, "ministra", "")
			f := h.watch(t, "/hls/ch1.m3u8")
			f.reaches(t, 4*pictures)
			box := http.Header{"User-Agent": {h.lastAgent()}}
			tests := []struct {
				name, from, target string
				header             http.Header
				want               int
			}{
				{"the viewer's own segment", "127.0.0.1", "/hls/ch1-1.ts", box, 200},
				{"a segment from another address", "127.0.0.2", "/hls/ch1-1.ts", box, 403},
				{"a segment for another program", "127.0.0.1", "/hls/ch1-1.ts", nil, 403},
				{"a segment of another channel", "127.0.0.1", "/hls/ch10-1.ts", box, 403},
				{"another channel", "127.0.0.1", "/hls/ch2.m3u8", box, 403},
				{"the channel without a token", "127.0.0.1", "/hls/ch1.m3u8", box, 403},
				{"the channel from another address", "127.0.0.2", "/hls/ch1.m3u8", box, 403},
				{"the channel with a token that nobody made", "127.0.0.1", "/hls/ch1.m3u8?token=123", box, 403},
			}
			for _, tt := range tests {
				got := viewer{edge: h.edge, from: tt.from}.send(t, request{target: tt.target, header: tt.header})
				if got.status != tt.want {
					t.Errorf("%s: status %d, want %d", tt.name, got.status, tt.want)
				}
			}
			stranger := watch(t, h.edge, "/hls/ch2.m3u8")
			rig.Until(t, "ffmpeg without a token to end", stranger.Ended)
			if stranger.Err() == nil || !strings.Contains(stranger.Log(t), "403") {
				t.Errorf("ffmpeg without a token: %v\n%s", stranger.Err(), stranger.Log(t))
			}
			f.reaches(t, f.pictures(t)+2*pictures)
		})
	}
}

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/test/rig"
)

// film is an ffmpeg that plays a stream.
type film struct {
	*rig.Process
}

// watch has ffmpeg play what is at a target of an edge. The flags are those of its
// output, as "-t", unless there is an "--" behind those of its input.
func watch(t *testing.T, edge *proxy, target string, flags ...string) film {
	t.Helper()
	input := []string{
		"-nostdin", "-loglevel", "warning", "-nostats", "-stats_period", "0.1", "-progress", "pipe:1",
		"-headers", "Host: tv.example.com:" + rig.Port(edge.address) + "\r\n",
	}
	for i, flag := range flags {
		if flag == "--" {
			input, flags = append(input, flags[:i]...), flags[i+1:]
			break
		}
	}
	args := append(append(input, "-i", "http://"+edge.address+target), flags...)
	return film{rig.Start(t, "ffmpeg", rig.Program(t, "ffmpeg"), append(args, "-f", "null", "-")...)}
}

// pictures is how many were decoded so far.
func (f film) pictures(t *testing.T) int {
	t.Helper()
	log := f.Log(t)
	_, last, found := strings.Cut(log[max(strings.LastIndex(log, "frame="), 0):], "frame=")
	last, _, complete := strings.Cut(last, "\n")
	if !found || !complete {
		return 0
	}
	n, err := strconv.Atoi(last)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// reaches waits until so many pictures are decoded.
func (f film) reaches(t *testing.T, want int) {
	t.Helper()
	rig.Until(t, fmt.Sprintf("ffmpeg to decode %d pictures", want), func() bool {
		if f.Ended() && f.pictures(t) < want {
			t.Fatalf("ffmpeg ended after %d pictures, want %d:\n%s", f.pictures(t), want, f.Log(t))
		}
		return f.pictures(t) >= want
	})
}

// ends waits until ffmpeg has ended by itself with all the pictures.
func (f film) ends(t *testing.T, want int) {
	t.Helper()
	f.reaches(t, want)
	rig.Until(t, "ffmpeg to end", f.Ended)
	if f.Err() != nil || strings.Contains(f.Log(t), "HTTP error") {
		t.Errorf("ffmpeg: %v\n%s", f.Err(), f.Log(t))
	}
}

// browserPatience is longer: a browser starts slowly on a busy machine.
const browserPatience = 3 * rig.Patience

// browser is a headless Chromium with a page that plays by hls.js what the test
// says.
type browser struct {
	*rig.Process
	// There is one play at a time.
	next    chan play
	results chan shown
	// The page pauses, and goes on when it may.
	paused, resume chan struct{}
}

// play is one source to play.
type play struct {
	// Source gives the URL when the player is about to ask for it.
	Source func() string
	// Seconds is how much of it is to be seen, Rate how many at a time.
	Seconds, Rate float64
	// Pause is set where the viewer pauses after half of it.
	Pause bool
}

// shown is how it went.
type shown struct {
	Shown float64
	Error string
}

// openPage starts a browser in front of an edge. Where page is nil the player
// comes from another origin than the stream; else from there, through the edge.
func openPage(t *testing.T, edge *proxy, page func() string) *browser {
	t.Helper()
	bin := rig.Program(t, "chromium", "chromium-browser", "google-chrome")
	player := playerPage(t)
	b := &browser{
		next: make(chan play, 1), results: make(chan shown, 1),
		paused: make(chan struct{}, 1), resume: make(chan struct{}, 1),
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		to := server.URL + "/player.html"
		if page != nil {
			to = page()
		}
		http.Redirect(w, r, to+"#"+server.URL, http.StatusFound)
	})
	mux.HandleFunc("GET /player.html", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, player) })
	b.handle(mux)
	dir := rig.TempDir(t)
	// Its launcher and its libraries write to the home directory, too.
	b.Process = rig.Start(t, "chromium", rig.Program(t, "env"), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir,
		bin, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+dir, "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--log-level=3", "--disable-breakpad", "--disable-extensions", "--disable-features=HttpsUpgrades,MediaRouter",
		"--mute-audio", "--autoplay-policy=no-user-gesture-required",
		// Nothing leaves this machine.
		"--host-resolver-rules=MAP tv.example.com "+rig.Host(edge.address)+", MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		server.URL+"/")
	// It has nothing to keep, and ends slowly when it is asked to.
	t.Cleanup(b.Kill)
	return b
}

// handle answers the page.
func (b *browser) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /next", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		select {
		case next := <-b.next:
			fmt.Fprintf(w, `{"source": %q, "seconds": %g, "rate": %g, "pause": %t}`, next.Source(), next.Seconds, max(next.Rate, 1), next.Pause)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /pause", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		b.paused <- struct{}{}
		select {
		case <-b.resume:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /result", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		var result shown
		if err := json.NewDecoder(r.Body).Decode(&result); err != nil {
			result.Error = err.Error()
		}
		b.results <- result
	})
}

// start has the page play something, as soon as it is loaded.
func (b *browser) start(p play) { b.next <- p }

// wait waits until it is played, and fails the test if it could not be.
func (b *browser) wait(t *testing.T, p play) {
	t.Helper()
	select {
	case got := <-b.results:
		if got.Error != "" || got.Shown < p.Seconds {
			t.Errorf("hls.js showed %.1f of %.1f seconds: %s", got.Shown, p.Seconds, got.Error)
		}
	case <-time.After(browserPatience):
		t.Fatalf("waited %s for hls.js to play", browserPatience)
	}
}

// pauses waits for the viewer's pause, and ends it when something is true.
func (b *browser) pauses(t *testing.T, until string, is func() bool) {
	t.Helper()
	select {
	case <-b.paused:
	case got := <-b.results:
		t.Fatalf("hls.js showed %.1f seconds and did not get to its pause: %s", got.Shown, got.Error)
	case <-time.After(browserPatience):
		t.Fatalf("waited %s for the viewer's pause", browserPatience)
	}
	rig.Until(t, until, is)
	b.resume <- struct{}{}
}

// playerPage is the player with hls.js in it.
func playerPage(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile(rig.Program(t, rig.Top+"/.deps/players/node_modules/hls.js/dist/hls.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("testdata", "players", "player.html"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(page), "/* hls.js */", string(script)+"\n", 1)
}

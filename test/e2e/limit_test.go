package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// TestOneAccountOnTwoTelevisions plays with ffmpeg through a real edge, with a portal
// whose token lasts and whose user may watch once.
func TestOneAccountOnTwoTelevisions(t *testing.T) {
	t.Parallel()
	for _, unique := range []bool{false, true} {
		for _, e := range []edge{edges[0], edges[3]} {
			t.Run(fmt.Sprintf("unique %v, %s", unique, e.file), func(t *testing.T) {
				t.Parallel()
				twoTelevisions(t, e, unique)
			})
		}
	}
}

func twoTelevisions(t *testing.T, e edge, unique bool) {
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-UserId", "4711")
		w.Header().Set("X-Max-Sessions", "1")
		w.Header().Set("X-Unique", fmt.Sprint(unique))
	}))
	t.Cleanup(portal.Close)
	s := startStudio(t)
	config := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), fmt.Sprintf(`
backends: {portal: {url: %q}}
routes: [{name: tv, match: {paths: [/live/, /hls/]}, backends: [portal]}]
`, portal.URL))
	gate := serve(t, e.unix, "--config", config)
	edge := e.start(t, e, gate, s.address)

	first := watch(t, edge, "/hls/ch1.m3u8?token=1")
	first.reaches(t, 2*pictures)
	second := viewer{edge: edge, from: "127.0.0.2"}
	if !unique {
		if got := second.get(t, "/hls/ch2.m3u8?token=1"); got.status != 403 {
			t.Errorf("one more: status %d, want 403", got.status)
		}
		first.reaches(t, first.pictures(t)+2*pictures)
		// Zapping is nothing more.
		watch(t, edge, "/hls/ch2.m3u8?token=1", "-t", "2").ends(t, 2*pictures)
		return
	}
	if got := second.get(t, "/hls/ch2.m3u8?token=1"); got.status != 200 {
		t.Errorf("the newest: status %d, want 200", got.status)
	}
	rig.Until(t, "the first to be cut off", first.Ended)
	if !strings.Contains(first.Log(t), "403") {
		t.Errorf("what ffmpeg printed:\n%s", first.Log(t))
	}
	if got := second.get(t, "/hls/ch2-0.ts"); got.status == 403 {
		t.Errorf("the newest goes on: status %d", got.status)
	}
	if ended := grep(gate.Log(t), "session ended"); gate.decided(t, "deny", "limit") == 0 || !strings.Contains(ended, `"reason":"limit"`) {
		t.Errorf("nothing says why:\n%s", ended)
	}
}

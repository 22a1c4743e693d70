package e2e

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// TestADeniedViewerLandsOnThePromo goes through each proxy with its shipped config: the
// promo is on the same edge, open by a rule, and plays.
func TestADeniedViewerLandsOnThePromo(t *testing.T) {
	t.Parallel()
	for _, e := range edges {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			promo := "http://tv.example.com/promo/index.m3u8?from=gate"
			flow := ""
			if e.cached {
				flow = ", cache: 10s"
			}
			config := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), fmt.Sprintf(`
backends: {portal: {url: %q}}
routes:
  - {name: live, backends: [portal], redirect: %q%s}
  - {name: promo, match: {paths: [/promo/]}, backends: [portal], rules: [{action: allow}]}
`, startPHP(t).url, promo, flow))
			a := serve(t, e.unix, "--config", config)
			p := e.start(t, e, a, startOrigin(t).address)
			for _, step := range []struct {
				method, target string
				want           int
				location       string
			}{
				{"GET", "/live/index.m3u8?token=123", 200, ""},
				{"GET", "/live/1.ts", 200, ""},
				{"GET", "/vod/index.m3u8?token=1", 302, promo},
				{"GET", "/vod/index.m3u8?token=1", 302, promo}, // And again: a kept connection, a remembered denial.
				{"HEAD", "/vod/index.m3u8?token=1", 302, promo},
				{"GET", "/vod/1.ts", 403, ""},
				{"GET", "/promo/index.m3u8?from=gate", 200, ""},
				{"GET", "/promo/1.ts", 200, ""},
			} {
				status, location, header := answered(t, p, step.method, step.target)
				if status != step.want || location != step.location {
					t.Errorf("%s %s: %d to %q, want %d to %q", step.method, step.target, status, location, step.want, step.location)
				}
				for name := range header {
					if strings.HasPrefix(strings.ToLower(name), "x-altagate") {
						t.Errorf("%s %s: a viewer sees %s", step.method, step.target, name)
					}
				}
			}
			// With altagate away nobody is sent anywhere.
			a.Stop(t)
			if status, location, _ := answered(t, p, "GET", "/vod/index.m3u8?token=1"); status != e.closed || location != "" {
				t.Errorf("without altagate: %d to %q, want %d", status, location, e.closed)
			}
		})
	}
}

func answered(t *testing.T, p *proxy, method, target string) (status int, location string, header http.Header) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+p.address+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host, r.Header = "tv.example.com", http.Header{"X-Altagate-Redirect": {"http://evil.example.com/"}}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), resp.Header
}

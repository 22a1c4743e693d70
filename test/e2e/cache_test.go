package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestTheCachingEdgeChecksWhatItHasInItsCache shares copies between viewers,
// and lets no viewer have one unchecked.
func TestTheCachingEdgeChecksWhatItHasInItsCache(t *testing.T) {
	backend := startFake(t, status(200), status(200))
	a := serve(t, false, "--backend", backend.url())
	o := startOrigin(t)
	v := viewer{edge: edges[2].start(t, edges[2], a, o.address)}

	// asks has a viewer ask, and says whether the origin was asked, and for what.
	asks := func(target string, header http.Header) (got answer, fetched string) {
		t.Helper()
		o.take()
		got = v.send(t, request{target: target, header: header})
		for _, s := range o.take() {
			fetched += s.target
		}
		return got, fetched
	}

	first, fetched := asks("/ch/1/a.ts?token=alice", nil)
	if first.status != 200 || fetched != "/ch/1/a.ts" {
		t.Fatalf("the first viewer: status %d, fetched %q; the token must not go to the origin", first.status, fetched)
	}
	second, fetched := asks("/ch/1/a.ts?token=bob", nil)
	if second.status != 200 || fetched != "" || second.body != first.body {
		t.Errorf("the second viewer: status %d, fetched %q, want the same copy", second.status, fetched)
	}
	for _, got := range []answer{first, second} {
		if got.header.Get("Set-Cookie") != "" || got.header.Get("Cache-Control") != "private" {
			t.Errorf("a viewer got Set-Cookie %q and Cache-Control %q", got.header["Set-Cookie"], got.header["Cache-Control"])
		}
	}
	part, fetched := asks("/ch/1/a.ts?token=carol", http.Header{"Range": {"bytes=2-5"}})
	if part.status != 206 || fetched != "" || part.body != first.body[2:6] {
		t.Errorf("a range: status %d, %q, fetched %q, want bytes 2 to 5 of %q", part.status, part.body, fetched, first.body)
	}

	if _, fetched := asks("/ch/2/a.ts?token=mallory", http.Header{
		"X-Forwarded-Host": {"evil"}, "Forwarded": {"host=evil"}, "X-Original-Url": {"/evil"}, "Accept-Language": {"evil"}, "X-Evil": {"evil"},
	}); fetched != "/ch/2/a.ts" || strings.Contains(fmt.Sprint(o.lastHeader()), "evil") {
		t.Errorf("fetched %q for everybody with one viewer's headers: %v", fetched, o.lastHeader())
	}

	live, _ := asks("/ch/index.m3u8?token=a", nil)
	for target, want := range map[string]string{
		"/ch/index.m3u8?start=1&duration=60&token=a":  "/ch/index.m3u8?start=1&duration=60",
		"/ch/index.m3u8?start=2&duration=60&token=a":  "/ch/index.m3u8?start=2&duration=60",
		"/ch/index.m3u8?token=a&duration=60&start=3":  "/ch/index.m3u8?start=3&duration=60",
		"/ch/index.m3u8%3Fstart=1&duration=60?start=": "/ch/index.m3u8%3Fstart=1&duration=60",
		"/ch/other.html?token=a&secret=b":             "/ch/other.html",
	} {
		got, fetched := asks(target, nil)
		if got.status != 200 || fetched != want || got.body == live.body {
			t.Errorf("%s: status %d, fetched %q, want %q and not the live playlist", target, got.status, fetched, want)
		}
	}

	for _, query := range []string{
		"start=4&start=5", "start=4&a=1&start=4", "duration=1&duration=2", "START=6", "Start=6&start=7", "%73tart=8", "star%74=8",
		"start[]=9", "start%5b%5d=9", "start", "+start=9", "a=1;start=9", "start;a=9", "a;duration=9", "a=1&start", "start%00=9",
	} {
		if got, fetched := asks("/ch/index.m3u8?token=a&"+query, nil); got.status != 400 || fetched != "" {
			t.Errorf("%s: status %d, fetched %q, want 400: readers do not agree on it", query, got.status, fetched)
		}
	}
	for _, query := range []string{"restart=1&start=2", "starting=1", "a=%2f&start=3", "a=start&start=4", "upstart=1&restart=2"} {
		if got, _ := asks("/ch/index.m3u8?token=a&"+query, nil); got.status != 200 {
			t.Errorf("%s: status %d, want 200", query, got.status)
		}
	}

	backend.set(status(403), status(200))
	if got, fetched := asks("/ch/1/a.ts?token=mallory", nil); got.status != 403 || fetched != "" {
		t.Errorf("a denied viewer of a cached segment: status %d, want 403", got.status)
	}
	a.Stop(t)
	if got, _ := asks("/ch/1/a.ts?token=alice", nil); got.status != 500 {
		t.Errorf("a cached segment while altagate is away: status %d, want 500", got.status)
	}
}

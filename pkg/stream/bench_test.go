package stream_test

import (
	"testing"

	"github.com/altagate/altagate/pkg/stream"
)

// costs are paths as a player asks for them, from the cheapest.
func costs() map[string]string {
	return map[string]string{
		"playlist": "/live/ch1/index.m3u8",
		"flat":     "/live/ch1-1747485787123.ts",
		"ladder":   "/live/sports/ch1/1080p/2026/01/31/20/10/01-05000.ts",
	}
}

func TestAutoAndPathAllocateNothing(t *testing.T) {
	for _, layout := range []string{"auto", "path"} {
		l := parse(t, layout, "/live/", "/vod/", "/live/sports/")
		for name, path := range costs() {
			t.Run(layout+" "+name, func(t *testing.T) {
				var buf [stream.MaxJoins]stream.Name
				found := 0
				if n := testing.AllocsPerRun(100, func() {
					_, _ = l.Opens(path)
					found = len(l.Joins(buf[:0], path))
				}); n != 0 || found == 0 {
					t.Errorf("%v allocations for %d streams", n, found)
				}
			})
		}
	}
}

func BenchmarkJoins(b *testing.B) {
	for _, layout := range []string{"auto", "path", `/live/(?:[^/]+/)*(?P<stream>[^/]+?)(?:_(?:low|hi))?(?:\.m3u8|-\d+\.ts|/.+)`} {
		l := parse(b, layout, "/live/", "/vod/", "/live/sports/")
		name := layout
		if len(name) > 4 {
			name = "expression"
		}
		for path, text := range costs() {
			b.Run(name+"/"+path, func(b *testing.B) {
				var buf [stream.MaxJoins]stream.Name
				b.ReportAllocs()
				for b.Loop() {
					l.Joins(buf[:0], text)
				}
			})
		}
	}
}

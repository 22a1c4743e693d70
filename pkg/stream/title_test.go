package stream_test

import (
	"testing"

	"github.com/altagate/altagate/pkg/stream"
)

func TestAPortalIsToldAStreamByItsPathOrByWhatTheExpressionGave(t *testing.T) {
	for _, test := range []struct{ layout, path, want string }{
		{"auto", "/live/ch1/index.m3u8", "live/ch1"},
		{"auto", "/ch1/index.m3u8", "ch1"},
		{"auto", "/live/sport.m3u8", "live/sport"},
		{"auto", "/live/ch1/17.ts", "live/ch1/17.ts"},
		{"path", "/live/ch1/index.m3u8", "live/ch1/index.m3u8"},
		{`/live/(?P<stream>[^/]+)/.*`, "/live/ch1/index.m3u8", "ch1"},
		{`/live/(?P<stream>[^/]+)/.*`, "/live/ch1/17.ts", "ch1"},
		{`/live/(?P<stream>[^/]+)/.*`, "/vod/a.mp4", "vod/a.mp4"},
	} {
		l, err := stream.Parse(test.layout, []string{"/live/"})
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Title(test.path); got != test.want {
			t.Errorf("%s of %s: %q, want %q", test.path, test.layout, got, test.want)
		}
	}
}

package demo

import (
	"bytes"
	"embed"
	"net/http"
	"strings"
	"time"
)

// stream is 8 s of a test picture and a tone, 160x90, in four segments: made
// with
//
//	ffmpeg -f lavfi -i testsrc=size=160x90:rate=12:duration=8 \
//	  -f lavfi -i sine=frequency=440:sample_rate=22050:duration=8 \
//	  -c:v libx264 -preset veryslow -profile:v baseline -pix_fmt yuv420p -crf 34 \
//	  -g 24 -keyint_min 24 -sc_threshold 0 -bf 0 -c:a aac -b:a 16k -ac 1 \
//	  -f hls -hls_time 2 -hls_playlist_type vod -hls_segment_filename seg%d.ts index.m3u8
//
//go:embed stream
var stream embed.FS

// Origin serves the sample stream at /live/index.m3u8, to players in browsers
// too, and asks nobody.
func Origin() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, below := strings.CutPrefix(r.URL.Path, "/live/")
		data, err := stream.ReadFile("stream/" + name)
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if !below || err != nil {
			http.Error(w, "not found: the stream is at /live/index.m3u8", http.StatusNotFound)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD are answered here", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", contentType(name))
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
	})
}

func contentType(name string) string {
	if strings.HasSuffix(name, ".m3u8") {
		return "application/vnd.apple.mpegurl"
	}
	return "video/mp2t"
}

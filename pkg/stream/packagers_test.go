package stream_test

import (
	"strings"
	"testing"
)

// packager is what one program writes, and the layout that makes each of its
// channels one stream.
type packager struct {
	name, layout string
	// paths are the route's.
	paths string
	// entry is what a player is given; of the paths in belong each is the same
	// stream, of those in apart none is.
	entry         string
	belong, apart string
}

func packagers() []packager {
	return []packager{
		{
			name: "Alta", layout: "auto", paths: "/",
			entry: "/discovery/index.m3u8",
			belong: `/discovery/index.m3u8 /discovery/1080p/6f1a0c2b9d.m3u8 /discovery/1080p/1747485787.ts
				/discovery/480p/6f1a0c2b9d.m3u8 /discovery/480p/1747485787.ts`,
			apart: "/discovery2/index.m3u8 /discovery2/1080p/1747485787.ts /index.m3u8 /discovery",
		},
		{
			// A channel is sold with its archive: whoever starts one has both.
			name: "Alta, archive in the path", layout: `/(?P<stream>[^/]+)/.+`, paths: "/",
			entry:  "/discovery/archive-1747485787-3600.m3u8",
			belong: "/discovery/index.m3u8 /discovery/index-1747485787-40.m3u8 /discovery/1080p/6f1a0c2b9d.m3u8 /discovery/1080p/1747485787.ts",
			apart:  "/discovery2/archive-1747485787-3600.m3u8 /discovery2/1080p/1747485787.ts /discovery/",
		},
		{
			name: "nginx-rtmp, flat", layout: "auto", paths: "/hls/",
			entry:  "/hls/ch1.m3u8",
			belong: "/hls/ch1-0.ts /hls/ch1-1747485787123.ts",
			apart:  "/hls/ch10.m3u8 /hls/ch10-0.ts /hls/ch1_hd.m3u8 /hls/ch1_hd-0.ts /hls/ch1-4k.m3u8 /hls/ch1-4k-0.ts",
		},
		{
			name: "nginx-rtmp, hls_nested", layout: "auto", paths: "/hls/",
			entry:  "/hls/ch1/index.m3u8",
			belong: "/hls/ch1/0.ts /hls/ch1/17.ts",
			apart:  "/hls/ch10/0.ts /hls/ch1_hd/0.ts /hls/index.m3u8",
		},
		{
			// hls_variant _low and so on, with or without hls_nested.
			name: "nginx-rtmp, ladder", layout: `/hls/(?P<stream>[^/]+?)(?:_(?:low|mid|hi))?(?:\.m3u8|-\d+\.ts|/index\.m3u8|/\d+\.ts)`, paths: "/hls/",
			entry: "/hls/ch1.m3u8",
			belong: `/hls/ch1_low.m3u8 /hls/ch1_mid.m3u8 /hls/ch1_hi.m3u8 /hls/ch1_low-0.ts /hls/ch1_hi-1747485787123.ts
				/hls/ch1_low/index.m3u8 /hls/ch1_low/17.ts`,
			apart: `/hls/ch10.m3u8 /hls/ch10_low.m3u8 /hls/ch10_low-0.ts /hls/ch1_hd.m3u8 /hls/ch1_hd_low-0.ts /hls/ch1-4k_low.m3u8
				/hls/ch1_lowest.m3u8 /hls/ch1_low/keys/1.key`,
		},
		{
			name: "nginx-rtmp, DASH", layout: `/dash/(?P<stream>[^/]+?)(?:\.mpd|-(?:init|\d+)\.m4[av])`, paths: "/dash/",
			entry:  "/dash/ch1.mpd",
			belong: "/dash/ch1-init.m4v /dash/ch1-init.m4a /dash/ch1-0.m4v /dash/ch1-1747485787.m4a",
			apart:  "/dash/ch10.mpd /dash/ch10-0.m4v /dash/ch1-4k.mpd /dash/ch1-4k-init.m4v /dash/ch1_hd-0.m4a",
		},
		{
			name: "SRS", layout: "auto", paths: "/live/",
			entry:  "/live/livestream.m3u8",
			belong: "/live/livestream-0.ts /live/livestream-1747.ts",
			apart:  "/live/livestream2.m3u8 /live/livestream2-0.ts",
		},
		{
			name: "ffmpeg with -hls_segment_filename ch1_%05d.ts", layout: "auto", paths: "/live/",
			entry:  "/live/ch1.m3u8",
			belong: "/live/ch1_00000.ts /live/ch1_123456.ts",
			apart:  "/live/ch10.m3u8 /live/ch10_00000.ts /live/ch1_hd_00000.ts",
		},
		{
			name: "Flussonic", layout: "auto", paths: "/",
			entry: "/ort/index.m3u8",
			belong: `/ort/tracks-v1a1/mono.m3u8 /ort/tracks-v1a1/2026/01/31/20/10/01-05000.ts /ort/video.m3u8 /ort/mono.m3u8
				/ort/tracks-v2a1/index.fmp4.m3u8 /ort/index.mpd`,
			apart: "/ort2/index.m3u8 /ort2/tracks-v1a1/mono.m3u8 /ort2/tracks-v1a1/2026/01/31/20/10/01-05000.ts",
		},
		{
			name: "Flussonic, a link to one rung", layout: "auto", paths: "/",
			entry:  "/ort/tracks-v1a1/mono.m3u8",
			belong: "/ort/tracks-v1a1/2026/01/31/20/10/01-05000.ts",
			apart:  "/ort/index.m3u8 /ort/tracks-v2a1/mono.m3u8 /ort2/tracks-v1a1/mono.m3u8",
		},
		{
			// A channel is sold with its archive: live and archive are made of the
			// same segments.
			name: "Flussonic, archive in the path", layout: `/(?P<stream>[^/]+)/.+`, paths: "/",
			entry: "/ort/archive-1508403742-3600.m3u8",
			belong: `/ort/index.m3u8 /ort/tracks-v1a1/mono.m3u8 /ort/tracks-v1a1/2026/01/31/20/10/01-05000.ts /ort/rewind-3600.m3u8
				/ort/archive-1508403742-3600.mpd /ort/timeshift_abs-1508403742.ts`,
			apart: "/ort2/archive-1508403742-3600.m3u8 /ort2/tracks-v1a1/2026/01/31/20/10/01-05000.ts",
		},
		{
			name: "Wowza", layout: "auto", paths: "/live/ /vod/",
			entry:  "/live/ch1.stream/playlist.m3u8",
			belong: "/live/ch1.stream/chunklist_w56824014.m3u8 /live/ch1.stream/media_w56824014_17.ts /live/ch1.stream/manifest.mpd",
			apart:  "/live/ch10.stream/chunklist_w56824014.m3u8 /live/ch10.stream/media_w56824014_17.ts /live/playlist.m3u8",
		},
		{
			name: "Wowza with application instances and SMIL", layout: "auto", paths: "/live/_definst_/",
			entry:  "/live/_definst_/smil:ch1.smil/playlist.m3u8",
			belong: "/live/_definst_/smil:ch1.smil/chunklist_w56824014_b800000.m3u8 /live/_definst_/smil:ch1.smil/media_w56824014_b800000_17.ts",
			apart:  "/live/_definst_/smil:ch10.smil/media_w56824014_b800000_17.ts /live/_definst_/playlist.m3u8",
		},
		{
			name: "Wowza, chunklists and nDVR playlists as entries", layout: `/live/(?P<stream>[^/]+)/.+`, paths: "/live/",
			entry:  "/live/ch1.stream/playlist_DVR.m3u8",
			belong: "/live/ch1.stream/chunklist_w56824014_DVR.m3u8 /live/ch1.stream/media_w56824014_DVR_17.ts /live/ch1.stream/playlist.m3u8",
			apart:  "/live/ch10.stream/playlist_DVR.m3u8 /live/ch10.stream/media_w56824014_DVR_17.ts",
		},
		{
			name: "Unified Streaming", layout: `(?P<stream>/live/(?:[^/]+/)*[^/]+\.isml?)/(?:(?P<entry>[^/]*\.(?:m3u8|mpd)|[Mm]anifest)|.+)`, paths: "/live/",
			entry: "/live/ch1.isml/.m3u8",
			belong: `/live/ch1.isml/ch1.m3u8 /live/ch1.isml/.mpd /live/ch1.isml/Manifest /live/ch1.isml/ch1-audio=128000-video=800000.m3u8
				/live/ch1.isml/ch1-audio=128000-video=800000-17.ts /live/ch1.isml/dash/ch1-video=800000.dash
				/live/ch1.isml/dash/ch1-video=800000-17.m4s /live/ch1.isml/QualityLevels(800000)/Fragments(video=17)`,
			apart: "/live/ch10.isml/.m3u8 /live/ch10.isml/ch10-audio=128000-video=800000-17.ts /live/a/ch1.isml/.m3u8 /live/ch1.isml",
		},
		{
			name: "Unified Streaming, Smooth Streaming", layout: `(?P<stream>/live/(?:[^/]+/)*[^/]+\.isml?)/(?:(?P<entry>[^/]*\.(?:m3u8|mpd)|[Mm]anifest)|.+)`, paths: "/live/",
			entry:  "/live/ch1.isml/Manifest",
			belong: "/live/ch1.isml/QualityLevels(800000)/Fragments(video=17)",
			apart:  "/live/ch10.isml/QualityLevels(800000)/Fragments(video=17)",
		},
		{
			name: "Shaka Packager, flat", layout: `/dash/(?P<stream>[^/]+?)(?:\.mpd|\.m3u8|_(?:audio|\d+p)(?:\.m3u8|_init\.mp4|_\d+\.m4s))`, paths: "/dash/",
			entry: "/dash/ch1.mpd",
			belong: `/dash/ch1_720p_init.mp4 /dash/ch1_720p_17.m4s /dash/ch1_audio_init.mp4 /dash/ch1_audio_17.m4s
				/dash/ch1.m3u8 /dash/ch1_720p.m3u8`,
			apart: `/dash/ch10.mpd /dash/ch10_720p_17.m4s /dash/ch1_hd.mpd /dash/ch1_hd_720p_init.mp4 /dash/ch1_hd_720p_17.m4s
				/dash/ch1-4k_audio_17.m4s /dash/ch1.mp4`,
		},
		{
			name: "Shaka Packager, a directory each", layout: `/dash/(?P<stream>[^/]+)/.+`, paths: "/dash/",
			entry:  "/dash/ch1/h264.mpd",
			belong: "/dash/ch1/h264_720p/init.mp4 /dash/ch1/h264_720p/17.m4s /dash/ch1/audio/17.m4s /dash/ch1/h264_master.m3u8",
			apart:  "/dash/ch10/h264.mpd /dash/ch10/h264_720p/17.m4s",
		},
		{
			name: "MediaMTX", layout: "auto", paths: "/",
			entry:  "/ch1/index.m3u8",
			belong: "/ch1/video1_stream.m3u8 /ch1/audio2_stream.m3u8 /ch1/a52d8c9d1b7e_video1_init.mp4 /ch1/a52d8c9d1b7e_video1_seg17.mp4",
			apart:  "/ch10/video1_stream.m3u8 /ch10/a52d8c9d1b7e_video1_seg17.mp4",
		},
		{
			name: "OvenMediaEngine", layout: "auto", paths: "/app/",
			entry:  "/app/ch1/llhls.m3u8",
			belong: "/app/ch1/chunklist_0_video_k3Yf_llhls.m3u8 /app/ch1/init_0_video_k3Yf_llhls.m4s /app/ch1/part_0_17_3_video_k3Yf_llhls.m4s",
			apart:  "/app/ch10/llhls.m3u8 /app/ch10/seg_0_17_video_k3Yf_llhls.m4s",
		},
		{
			name: "keys and subtitles elsewhere", layout: `/live/(?P<stream>[^/]+)/.+|/keys/(?P<stream>[^/]+)\.key|/subs/(?P<stream>[^/]+)/[^/]+\.vtt`, paths: "/live/ /keys/ /subs/",
			entry:  "/live/ch1/index.m3u8",
			belong: "/live/ch1/17.ts /keys/ch1.key /subs/ch1/17.vtt",
			apart:  "/keys/ch10.key /subs/ch10/17.vtt /live/ch10/17.ts /keys/ch1/x.key",
		},
		{
			name: "MPEG-TS pulls beside playlists, segments by their dash", layout: `(?P<stream>/live/[^/]+?)(?:\.m3u8|-\d+\.ts)`, paths: "/live/",
			entry:  "/live/sport.m3u8",
			belong: "/live/sport-17.ts",
			apart:  "/live/sport_1.ts /live/sport_1.m3u8 /live/sport_1-17.ts /live/sport.ts",
		},
	}
}

func TestThePackagersThatAreCommon(t *testing.T) {
	for _, p := range packagers() {
		t.Run(p.name, func(t *testing.T) {
			l := parse(t, p.layout, strings.Fields(p.paths)...)
			if _, entry := l.Opens(p.entry); !entry {
				t.Errorf("%s is no entry", p.entry)
			}
			for _, path := range append(strings.Fields(p.belong), p.entry) {
				if !admits(l, p.entry, path) {
					t.Errorf("%s is not of the stream of %s: it may belong to %q", path, p.entry, joins(l, path))
				}
			}
			for _, path := range strings.Fields(p.apart) {
				if admits(l, p.entry, path) {
					t.Errorf("%s is of the stream of %s", path, p.entry)
				}
			}
		})
	}
}

// ffmpeg's own name for the segments of ch1.m3u8 is ch1%d.ts. Nothing tells the
// first of ch10 from the eleventh of ch1, so no layout takes them for either's.
func TestSegmentsWithoutADashBelongToNoStem(t *testing.T) {
	l := parse(t, "auto")
	for _, path := range []string{"/live/ch10.ts", "/live/ch100.ts"} {
		if admits(l, "/live/ch1.m3u8", path) || admits(l, "/live/ch10.m3u8", path) {
			t.Errorf("%s is taken for a segment", path)
		}
	}
}

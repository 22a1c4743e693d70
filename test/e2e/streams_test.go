package e2e

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/altagate/altagate/test/rig"
)

// How long the streams are, in segments of a second, and how many pictures a
// second has.
const (
	segments  = 40
	pictures  = 10
	streamKey = "sixteen byte key"
)

// encoded makes the streams once for all tests, beside the altagate under test.
var encoded = sync.OnceValues(func() (dir string, err error) {
	dir = filepath.Join(filepath.Dir(altagateBin), "streams")
	return dir, encode(dir)
})

// encode has ffmpeg make a stream in each form that is common.
func encode(dir string) error {
	for _, folder := range []string{"live/single", "live/fmp4/keys", "hls", "dash/ch1", "keys"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return err
		}
	}
	const hls = "-i film.mp4 -c copy -f hls -hls_time 1 -hls_playlist_type vod "
	for _, command := range []string{
		fmt.Sprintf("-f lavfi -i testsrc=size=160x90:rate=%d -f lavfi -i sine=sample_rate=44100 -t %d", pictures, segments) +
			" -map 0 -map 0 -map 1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 10 -sc_threshold 0 -b:v:0 60k -b:v:1 20k" +
			" -filter:v:1 scale=80:46 -c:a aac -b:a 32k film.mp4",
		hls + "-hls_segment_filename live/single/%05d.ts live/single/index.m3u8",
		hls + "-hls_segment_filename hls/ch1-%d.ts hls/ch1.m3u8",
		hls + "-hls_segment_type fmp4 -hls_segment_filename live/fmp4/%d.m4s live/fmp4/index.m3u8",
		hls + "-map 0 -map 0:a -var_stream_map v:0,a:0,name:high|v:1,a:1,name:low" +
			" -master_pl_name index.m3u8 -hls_base_url ts/ -hls_segment_filename live/ladder/%v/ts/%d.ts live/ladder/%v/media.m3u8",
		"-i film.mp4 -map 0 -c copy -f dash -seg_duration 1 dash/ch1/manifest.mpd",
	} {
		args := append([]string{"-nostdin", "-v", "error"}, strings.Fields(command)...)
		for i, arg := range args {
			args[i] = strings.ReplaceAll(arg, "|", " ")
		}
		cmd := exec.Command("ffmpeg", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("ffmpeg %s: %w\n%s", command, err, out)
		}
	}
	return encrypt(dir)
}

// encrypt does what ffmpeg does not do for fragmented MP4: AES-128 with the key
// below the stream's directory, and for master.m3u8 in a directory of its own.
func encrypt(dir string) error {
	folder := filepath.Join(dir, "live/fmp4")
	block, err := aes.NewCipher([]byte(streamKey))
	if err != nil {
		return err
	}
	for n := range uint64(segments) {
		file := filepath.Join(folder, fmt.Sprintf("%d.m4s", n))
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		over := aes.BlockSize - len(content)%aes.BlockSize
		content = append(content, bytes.Repeat([]byte{byte(over)}, over)...)
		// Without an IV in the playlist it is the segment's number.
		iv := binary.BigEndian.AppendUint64(make([]byte, 8), n)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(content, content)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
	}
	playlist, err := os.ReadFile(filepath.Join(folder, "index.m3u8"))
	if err != nil {
		return err
	}
	for name, key := range map[string]string{"index.m3u8": "keys/1.key", "master.m3u8": "/keys/fmp4.key"} {
		// Behind the init segment, which is left as it is.
		text := strings.Replace(string(playlist), "#EXTINF", `#EXT-X-KEY:METHOD=AES-128,URI="`+key+"\"\n#EXTINF", 1)
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, file := range []string{"live/fmp4/keys/1.key", "keys/fmp4.key"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(streamKey), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// studio is an origin with the streams: films as files, two live channels below
// /hls/ with names as nginx-rtmp gives them, and a live MPEG-TS at /live/pull.ts.
type studio struct {
	address, dir string
	mu           sync.Mutex
	// began is when a live playlist was asked for the first time.
	began map[string]time.Time
	asked []string
	// cut ends the pulls that are under way when it is closed.
	cut  chan struct{}
	page string
}

func startStudio(t *testing.T) *studio {
	t.Helper()
	rig.Program(t, "ffmpeg")
	dir, err := encoded()
	if err != nil {
		t.Fatal(err)
	}
	s := &studio{dir: dir, began: map[string]time.Time{}, cut: make(chan struct{})}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.address = server.Listener.Addr().String()
	return s
}

func (s *studio) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.RequestURI)
	s.mu.Unlock()
	kind := map[string]string{
		".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml", ".ts": "video/mp2t", ".m4s": "video/iso.segment",
		".mp4": "video/mp4", ".key": "application/octet-stream", ".html": "text/html; charset=utf-8",
	}[filepath.Ext(r.URL.Path)]
	w.Header().Set("Content-Type", kind)
	channel, number, isSegment := strings.Cut(strings.TrimSuffix(r.URL.Path, ".ts"), "-")
	switch {
	case r.URL.Path == "/live/pull.ts":
		s.pull(w, r)
	case strings.HasPrefix(r.URL.Path, "/live/ll/"):
		fmt.Fprint(w, "a part")
	case r.URL.Path == "/player/index.html":
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprint(w, s.page)
	case strings.HasPrefix(channel, "/hls/") && isSegment:
		http.ServeFile(w, r, filepath.Join(s.dir, "hls", "ch1-"+number+".ts"))
	case strings.HasPrefix(channel, "/hls/"):
		fmt.Fprint(w, s.live(strings.TrimSuffix(filepath.Base(r.URL.Path), ".m3u8")))
	default:
		http.ServeFile(w, r, filepath.Join(s.dir, filepath.Clean(r.URL.Path)))
	}
}

// offer puts up a page at /player/index.html.
func (s *studio) offer(page string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = page
}

// live is a channel's playlist now: the last four segments, one more each second,
// until they are all out.
func (s *studio) live(channel string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began[channel].IsZero() {
		s.began[channel] = time.Now()
	}
	const window = 4
	first := min(int(time.Since(s.began[channel])/time.Second), segments-window)
	text := fmt.Sprintf("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:%d\n", first)
	for n := range window {
		text += fmt.Sprintf("#EXTINF:1.0,\n%s-%d.ts\n", channel, first+n)
	}
	if first == segments-window {
		text += "#EXT-X-ENDLIST\n"
	}
	return text
}

// pull sends a live MPEG-TS without an end, four times as fast as it is played.
func (s *studio) pull(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	cut := s.cut
	s.mu.Unlock()
	every := time.NewTicker(time.Second / 4)
	defer every.Stop()
	for n := 0; ; n++ {
		content, err := os.ReadFile(filepath.Join(s.dir, "hls", "ch1-"+strconv.Itoa(n%segments)+".ts"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if _, err := w.Write(content); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-every.C:
		case <-cut:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

// drop breaks off the pulls that are under way.
func (s *studio) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cut)
	s.cut = make(chan struct{})
}

// served is how many requests for paths that begin so were let through.
func (s *studio) served(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, target := range s.asked {
		if strings.HasPrefix(target, prefix) {
			n++
		}
	}
	return n
}

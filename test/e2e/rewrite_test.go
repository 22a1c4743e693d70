package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/test/rig"
)

// files is an origin with a few files. It counts what it is asked.
type files struct {
	address string
	mu      sync.Mutex
	content map[string]string
	header  map[string]string
	asked   []string
}

func startFiles(t *testing.T, content map[string]string) *files {
	t.Helper()
	f := &files{content: content, header: map[string]string{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.address = server.Listener.Addr().String()
	return f
}

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.RequestURI)
	content, ok := f.content[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
	}
	w.Header().Set("ETag", `"an-etag"`)
	w.Header().Set("Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT")
	w.Header().Set("Accept-Ranges", "bytes")
	for name, value := range f.header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	_, _ = w.Write([]byte(content)) // A viewer that left is no failure of this test.
}

// as is a request of the viewer to whom altagate hands out an id.
func as(id, target string) request {
	return request{target: target, header: http.Header{"User-Agent": {"id " + id}}}
}

func TestRewriteAddsTheIDToEachURIOfAPlaylist(t *testing.T) {
	g := startFakeGate(t)
	o := startFiles(t, map[string]string{})
	v := viewer{edge: g.edge(t, "nginx/rewrite.conf", o.address)}
	host := "tv.example.com:" + rig.Port(v.edge.address)
	const id = "altagate_id=v1.a-_.b"

	tests := []struct{ name, line, want string }{
		{"a segment", "1.ts", "1.ts?" + id},
		{"a path", "/live/a/1.ts", "/live/a/1.ts?" + id},
		{"above", "../1.ts", "../1.ts?" + id},
		{"with a query", "1.ts?a=1", "1.ts?a=1&" + id},
		{"a query byte for byte", "1.ts?a=%zz&&b=2+3;c", "1.ts?a=%zz&&b=2+3;c&" + id},
		{"an empty query", "1.ts?", "1.ts?" + id},
		{"a fragment", "1.ts#t=1?x", "1.ts?" + id + "#t=1?x"},
		{"a query and a fragment", "1.ts?a=1#t", "1.ts?a=1&" + id + "#t"},
		{"another viewer's id", "1.ts?altagate_id=v1.x&a=1", "1.ts?a=1&" + id},
		{"a query alone", "?a=1", "?a=1&" + id},
		{"CRLF", "1.ts\r", "1.ts?" + id + "\r"},
		{"spaces around", " 1.ts  ", " 1.ts?" + id + "  "},
		{"not ASCII", "тв/é.ts", "тв/é.ts?" + id},
		{"this host", "http://" + host + "/1.ts", "http://" + host + "/1.ts?" + id},
		{"this host in capitals", "HTTP://TV.Example.com:" + rig.Port(v.edge.address) + "/1.ts", "HTTP://TV.Example.com:" + rig.Port(v.edge.address) + "/1.ts?" + id},
		{"this host without a scheme", "//" + host + "/1.ts", "//" + host + "/1.ts?" + id},

		{"another host", "http://cdn.example.com/1.ts", "http://cdn.example.com/1.ts"},
		{"another host without a scheme", "//cdn.example.com/1.ts", "//cdn.example.com/1.ts"},
		{"another port", "http://tv.example.com:1/1.ts", "http://tv.example.com:1/1.ts"},
		{"this host as a user", "http://" + host + "@evil.example.com/1.ts", "http://" + host + "@evil.example.com/1.ts"},
		{"another host to some", `/\evil.example.com/1.ts`, `/\evil.example.com/1.ts`},
		{"another host to others", "/\t/evil.example.com/1.ts", "/\t/evil.example.com/1.ts"},
		{"data", "data:video/mp2t;base64,AAAA", "data:video/mp2t;base64,AAAA"},
		{"a comment", "# 1.ts", "# 1.ts"},
		{"a duration", "#EXTINF:6.0,URI=\"1.ts\"", "#EXTINF:6.0,URI=\"1.ts\""},
		{"a stream", "#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"", "#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\""},
		{"an empty line", "", ""},

		{"an init segment", `#EXT-X-MAP:URI="init.mp4",BYTERANGE="1@0"`, `#EXT-X-MAP:URI="init.mp4?` + id + `",BYTERANGE="1@0"`},
		{"a key", `#EXT-X-KEY:METHOD=AES-128,URI="k.key?n=1",IV=0x1`, `#EXT-X-KEY:METHOD=AES-128,URI="k.key?n=1&` + id + `",IV=0x1`},
		{"no key", `#EXT-X-KEY:METHOD=NONE`, `#EXT-X-KEY:METHOD=NONE`},
		{"a key by another system", `#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x"`, `#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x"`},
		{"a key of another host", `#EXT-X-KEY:METHOD=AES-128,URI="https://drm.example.com/k"`, `#EXT-X-KEY:METHOD=AES-128,URI="https://drm.example.com/k"`},
		{"a session key", `#EXT-X-SESSION-KEY:METHOD=AES-128,URI="/k"`, `#EXT-X-SESSION-KEY:METHOD=AES-128,URI="/k?` + id + `"`},
		{
			"a rendition", `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="de,URI=",URI="de/index.m3u8",DEFAULT=YES`,
			`#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="de,URI=",URI="de/index.m3u8?` + id + `",DEFAULT=YES`,
		},
		{"a rendition within another", `#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,NAME="cc"` + "\r", `#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,NAME="cc"` + "\r"},
		{"trick play", `#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"` + "\r", `#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8?` + id + "\"\r"},
		{"a part", `#EXT-X-PART:DURATION=0.3,URI="p.1.mp4",INDEPENDENT=YES`, `#EXT-X-PART:DURATION=0.3,URI="p.1.mp4?` + id + `",INDEPENDENT=YES`},
		{"a hint", `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p.2.mp4"`, `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p.2.mp4?` + id + `"`},
		{"a report", `#EXT-X-RENDITION-REPORT:URI="../b.m3u8",LAST-MSN=1`, `#EXT-X-RENDITION-REPORT:URI="../b.m3u8?` + id + `",LAST-MSN=1`},
		{"a broken tag", `#EXT-X-MAP:URI="init.mp4`, `#EXT-X-MAP:URI="init.mp4`},
	}
	given, want := "#EXTM3U\n#EXT-X-VERSION:9\n", "#EXTM3U\n#EXT-X-VERSION:9\n"
	for _, tt := range tests {
		given += "# " + tt.name + "\n" + tt.line + "\n"
		want += "# " + tt.name + "\n" + tt.want + "\n"
	}
	o.content["/a/index.m3u8"] = given
	o.content["/a/last.m3u8"] = "#EXTM3U\n1.ts"
	// Longer than any buffer of nginx, so that characters are cut in two.
	o.content["/a/long.m3u8"] = "#EXTM3U\n" + strings.Repeat("длинное имя é.ts\n", 30000)

	for target, want := range map[string]string{
		"/a/index.m3u8": want,
		"/a/last.m3u8":  "#EXTM3U\n1.ts?" + id,
		"/a/long.m3u8":  "#EXTM3U\n" + strings.Repeat("длинное имя é.ts?"+id+"\n", 30000),
	} {
		got := v.send(t, as("v1.a-_.b", target+"?token=1"))
		if got.status != 200 || got.header.Get("Cache-Control") != "private" || got.header.Get("Etag")+got.header.Get("Last-Modified")+got.header.Get("Accept-Ranges") != "" {
			t.Errorf("%s: status %d, headers %v", target, got.status, got.header)
		}
		if got.body != want {
			t.Errorf("%s (-want +got):\n%s", target, cmp.Diff(lines(want), lines(got.body)))
		}
	}
}

// lines are the first lines of a text, quoted.
func lines(text string) (all []string) {
	for line := range strings.Lines(text) {
		if all = append(all, fmt.Sprintf("%q", line)); len(all) == 200 {
			break
		}
	}
	return all
}

func TestRewriteGivesEachViewerTheOwnIDOfOneCopy(t *testing.T) {
	const original = "#EXTM3U\n#EXTINF:6,\n1.ts\n"
	g := startFakeGate(t)
	o := startFiles(t, map[string]string{"/a/index.m3u8": original, "/a/1.ts": "a segment"})
	// A second is short for eight viewers one after the other.
	v := viewer{edge: g.edge(t, "nginx/rewrite.conf", o.address, rig.Swap{"proxy_cache_valid 200 1s", "proxy_cache_valid 200 1h"})}

	for range 2 {
		for _, viewerID := range []string{"v1.alice", "v1.bob", "v1.carol"} {
			got := v.send(t, as(viewerID, "/a/index.m3u8?token="+viewerID))
			if want := strings.Replace(original, "1.ts", "1.ts?altagate_id="+viewerID, 1); got.status != 200 || got.body != want {
				t.Errorf("%s: status %d, %q, want %q", viewerID, got.status, got.body, want)
			}
		}
		// Without an id the answer is the origin's, to the byte.
		got := v.get(t, "/a/index.m3u8?token=1")
		if got.body != original || got.header.Get("Content-Length") != fmt.Sprint(len(original)) || got.header.Get("Set-Cookie") != "" {
			t.Errorf("a viewer without an id got %q with %v", got.body, got.header)
		}
	}
	for _, target := range []string{"/a/1.ts?altagate_id=v1.alice", "/a/1.ts?altagate_id=v1.bob"} {
		if got := v.send(t, as("v1.alice", target)); got.body != "a segment" || got.header.Get("Content-Length") != "9" {
			t.Errorf("%s: %q with %v", target, got.body, got.header)
		}
		if uri := g.lastHeader().Get("X-Original-Uri"); uri != target {
			t.Errorf("altagate was asked about %q, want %q", uri, target)
		}
	}
	if want := []string{"/a/index.m3u8", "/a/1.ts"}; !slices.Equal(o.asked, want) {
		t.Errorf("the origin was asked %q, want %q", o.asked, want)
	}
}

func TestRewriteServesWholeAnswersOnly(t *testing.T) {
	const original = "#EXTM3U\n#EXTINF:6,\n1.ts\n"
	g := startFakeGate(t)
	o := startFiles(t, map[string]string{"/a/index.m3u8": original})
	v := viewer{edge: g.edge(t, "nginx/rewrite.conf", o.address)}
	for _, header := range []http.Header{
		{"Range": {"bytes=0-3"}},
		{"If-None-Match": {`"another"`}},
		{"If-Modified-Since": {"Sat, 01 Jan 2000 00:00:00 GMT"}},
		{"If-Modified-Since": {"Sat, 01 Jan 2050 00:00:00 GMT"}},
		{"Accept-Encoding": {"gzip"}},
	} {
		r := as("v1.a", "/a/index.m3u8")
		for name, values := range header {
			r.header[name] = values
		}
		got := v.send(t, r)
		if got.status != 200 || got.body != strings.Replace(original, "1.ts", "1.ts?altagate_id=v1.a", 1) {
			t.Errorf("%v: status %d, %q", header, got.status, got.body)
		}
	}
	r := as("v1.a", "/a/index.m3u8")
	r.method = "HEAD"
	if got := v.send(t, r); got.status != 200 || got.body != "" || got.header.Get("Content-Length") != "" {
		t.Errorf("HEAD: status %d, %q, Content-Length %q: it is not known", got.status, got.body, got.header["Content-Length"])
	}
	// The last copy is served while a new one is fetched for it, in the background.
	rig.Until(t, "the copy to be renewed", func() bool {
		if got := v.send(t, as("v1.a", "/a/index.m3u8")); !strings.Contains(got.body, "1.ts?altagate_id=v1.a\n") {
			t.Fatalf("got %q", got.body)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.asked) > 1
	})
}

func TestRewriteLeavesOtherAnswersAsTheyAre(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte("#EXTM3U\n1.ts\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	g := startFakeGate(t)
	o := startFiles(t, map[string]string{
		"/a/not.m3u8":    "1.ts\n",
		"/a/empty.m3u8":  "",
		"/a/big.m3u8":    "#EXTM3U\n" + strings.Repeat("a-long-name-of-a-segment.ts\n", 200000),
		"/a/binary.m3u8": "\x00\xff\xfe#EXTM3U\n1.ts\n",
		"/a/latin.m3u8":  "#EXTM3U\n1.ts\ncaf\xe9.ts\n",
		"/a/a.mpd":       "#EXTM3U\n1.ts\n",
		"/a/1.ts":        "#EXTM3U\n1.ts\n",
	})
	v := viewer{edge: g.edge(t, "nginx/rewrite.conf", o.address)}
	for path, want := range o.content {
		if got := v.send(t, as("v1.a", path)); got.status != 200 || got.body != want {
			t.Errorf("%s: status %d and %d bytes that are not the origin's %d", path, got.status, len(got.body), len(want))
		}
	}
	if got := v.send(t, as("v1.a", "/a/missing.m3u8")); got.status != 404 {
		t.Errorf("missing: status %d, want 404", got.status)
	}
	if got := v.send(t, as("v1.a", "/a/not.m3u8?token=deny")); got.status != 403 || got.header.Get("Set-Cookie") != "" {
		t.Errorf("denied: status %d, Set-Cookie %q", got.status, got.header["Set-Cookie"])
	}
	o.mu.Lock()
	o.header["Content-Encoding"] = "gzip"
	o.content["/a/packed.m3u8"] = packed.String()
	o.mu.Unlock()
	if got := v.send(t, as("v1.a", "/a/packed.m3u8")); got.body != packed.String() || got.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("packed: %q with %v", got.body, got.header)
	}
}

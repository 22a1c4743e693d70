package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/altagate/altagate/test/rig"
)

// httpEdges ask over HTTP, so that altagate's own HTTP library reads what they send.
func httpEdges(t *testing.T) (all []edge) {
	for _, file := range []string{"nginx/altagate.conf", "nginx/hls-edge.conf", "nginx/cached.conf", "envoy/http.yaml", "deploy/caddy/Caddyfile",
		"deploy/haproxy/haproxy.cfg", "deploy/traefik/altagate.yaml"} {
		all = append(all, edgeOf(t, file))
	}
	return all
}

// tap passes connections on, and keeps what altagate answers.
type tap struct {
	address string
	mu      sync.Mutex
	answers bytes.Buffer
}

func startTap(t *testing.T, to string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	n := &tap{address: l.Addr().String()}
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go n.pass(from, to)
		}
	}()
	return n
}

func (n *tap) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.answers.Write(p)
}

func (n *tap) pass(from net.Conn, address string) {
	defer from.Close()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		defer from.Close()
		_, _ = io.Copy(io.MultiWriter(from, n), to)
	}()
	_, _ = io.Copy(to, from)
}

// refusals are the status lines of the answers that altagate's handler never gives.
func (n *tap) refusals() (lines []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.Lines(n.answers.String()) {
		if strings.HasPrefix(line, "HTTP/") && !slices.Contains([]string{"200", "403"}, strings.Fields(line)[1]) {
			lines = append(lines, line)
		}
	}
	return lines
}

// hostile are requests that viewers have sent to servers of HTTP, or might.
func hostile() (all []string) {
	request := func(method, target, host string, headers ...string) {
		all = append(all, method+" "+target+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n"+strings.Join(append(headers, "", ""), "\r\n"))
	}
	const host, target = "tv.example.com", "/live/a.m3u8?token=1"
	for b := range 256 {
		c := string([]byte{byte(b)})
		if c == "\n" { // It ends the line, whatever the server.
			continue
		}
		request("GET", target, host, "User-Agent: a"+c+"b")
		request("GET", target, host, "Cookie: altagate_id=a"+c+"b")
		request("GET", target, host, "X-Other: a"+c+"b", "X-Real-IP: a"+c, "X-Forwarded-For: "+c)
		request("GET", "/live/a"+c+"b?token=1", host)
		request("GET", "/live/a.m3u8?token=a"+c+"b", host)
		request("GET", fmt.Sprintf("/live/a%%%02xb?token=1", b), host)
		request("GET", target, "tv.example.com"+c)
		request("GET"+c, target, host)
		request("GET", target, host, "X-O"+c+"er: 1")
	}
	long := strings.Repeat("x", 7000)
	for _, target := range []string{"*", "", "?token=1", "//", "///", "/" + long, "/a?" + long, "http://tv.example.com/x", "http://tv.example.com?token=1",
		"http://other.example.com/x", "/a#b", "/a?b#c", "/%", "/%zz", "/%2", "/a/%2e%2e/b", "/..;/a", "/a\\..\\b", "tv.example.com:443", "x:http://altagate/auth/nginx", "x:/auth/nginx", "x:auth/nginx", "/\xff\xfe", "/a%00",
		"/a;b=c/d;e", "/a?%zz=%&=&&;", "/é/" + long[:2000]} {
		request("GET", target, host)
	}
	for size := 12 << 10; size < 70<<10; size += 997 {
		filler := strings.Repeat("x", size)
		request("GET", "/"+filler, host)
		request("GET", "/a?"+filler[:size/2], host, "User-Agent: "+filler[:size/2])
		request("GET", target, host, "Cookie: altagate_id="+filler)
	}
	for _, method := range []string{"HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "PROPFIND", "get", "X-" + long[:40], "TRACE", "CONNECT"} {
		request(method, target, host)
		request(method, target, host, "Content-Length: 5")
	}
	for _, headers := range [][]string{
		{"User-Agent: a", "User-Agent: b"}, {"User-Agent:"}, {"User-Agent: " + long}, {"Cookie: a=b", "Cookie: altagate_id=c"},
		{"Cookie: " + long, "X-A: " + long, "X-B: " + long}, {"X-Original-URI: /free", "X-Original-URI: /free"}, {"X-Real-IP: 1", "X-Real-IP: 2"},
		{"X_Original_URI: /free", "X.Original.URI: /free"}, {"Connection: X-Original-URI, X-Real-IP, X-Forwarded-Uri"}, {"Connection: close, Host"},
		{"Transfer-Encoding: chunked"}, {"Transfer-Encoding: chunked", "Content-Length: 5"}, {"Expect: 100-continue", "Content-Length: 5"},
		{"Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"}, {"Upgrade: websocket", "Connection: Upgrade"},
		{"Content-Length: 99999999999999999999"}, {"Content-Length: -1"}, {"Range: bytes=0-0"}, {"If-None-Match: *"}, {"X-Envoy-Expected-Rq-Timeout-Ms: 1"},
		{"Host: other.example.com"}, {"X-Forwarded-Proto: ftp"}, {"X-HTTP-Method-Override: PUT"}, {"Keep-Alive: 1"}, {"TE: trailers"},
	} {
		request("GET", target, host, headers...)
	}
	all = append(all, "GET "+target+" HTTP/1.0\r\n\r\n", "GET "+target+" HTTP/1.0\r\nHost: "+host+"\r\n\r\n", "GET "+target+"\r\n\r\n")
	return all
}

// TestNoBytesOfAViewerAreAnAllowOrAnError has a backend that allows nobody: whatever a
// viewer sends is denied, by a decision and never by an error of altagate's own HTTP
// library, which a proxy could be configured to let through.
func TestNoBytesOfAViewerAreAnAllowOrAnError(t *testing.T) {
	for _, e := range append(httpEdges(t), edgeOf(t, "envoy/grpc.yaml")) {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startFake(t, status(403), status(200))
			file := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), configFile(backend.url(), e.config()))
			a := serve(t, false, "--config", file)
			between := startTap(t, a.http)
			tapped := *a
			tapped.http = between.address
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, &tapped, o.address)}
			var all sync.WaitGroup
			queue := make(chan string)
			for range 8 {
				all.Go(func() {
					for request := range queue {
						if status := v.statusOf(request); status != 0 && (status < 400 || status >= 500 && status != http.StatusNotImplemented) {
							t.Errorf("%.200q: status %d, want a refusal", request, status)
						}
					}
				})
			}
			for _, request := range hostile() {
				queue <- request
			}
			close(queue)
			all.Wait()
			if asked := o.take(); len(asked) > 0 {
				t.Errorf("the origin was reached: %+v", asked)
			}
			for _, line := range between.refusals() {
				t.Errorf("altagate answered %q", line)
			}
			if backend.counted() < 50 {
				t.Errorf("the backend was asked %d times only", backend.counted())
			}
		})
	}
}

// statusOf gives the status of the answer to raw bytes; 0 if the connection was closed
// without one.
func (v viewer) statusOf(request string) int {
	c, err := net.Dial("tcp", v.edge.address)
	if err != nil {
		return 0
	}
	defer c.Close()
	// Long enough for an answer, and short enough for a body that never comes.
	if err := c.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		return 0
	}
	if _, err := io.WriteString(c, request); err != nil {
		return 0
	}
	for in := bufio.NewReader(c); ; {
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return 0
		}
		answer.Body.Close()
		if answer.StatusCode >= 200 {
			return answer.StatusCode
		}
	}
}

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/test/rig"
)

// TestNoViewerMakesATunnelOfAConnection has an origin that changes protocols for whoever
// asks, as those do that speak HTTP/2 in clear text or WebSocket. What goes through such
// a connection is never checked, so one allow would be good for everything.
func TestNoViewerMakesATunnelOfAConnection(t *testing.T) {
	for _, e := range edges {
		if e.unix {
			continue
		}
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			backend := startPHP(t)
			a := e.serve(t, backend.url)
			v := viewer{edge: e.start(t, e, a, strings.TrimPrefix(startUpgrading(t), "http://"))}
			if got := raw(t, v, "GET /x?token=123 HTTP/1.1\r\nHost: tv.example.com:"+rig.Port(v.edge.address)+"\r\nUser-Agent: a\r\n\r\n"); got != 200 {
				t.Fatalf("without an upgrade: status %d, want 200", got)
			}
			for _, lines := range []string{
				"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
				"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
				"Connection: upgrade\r\nUPGRADE: other\r\nUpgrade: h2c",
			} {
				if through := tunnel(t, v, lines); through {
					t.Errorf("%q: a request reached the origin without a check", lines)
				}
			}
		})
	}
}

// startUpgrading runs an origin that gives connections away, and says so in them.
func startUpgrading(t *testing.T) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol := r.Header.Get("Upgrade")
		if protocol == "" {
			return
		}
		c, in, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"+
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", protocol)
		if line, err := in.ReadString('\n'); err == nil {
			fmt.Fprintf(c, "reached by %s", line)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// tunnel tells whether bytes that follow an allowed request with these header lines
// reach the origin as they are.
func tunnel(t *testing.T, v viewer, lines string) bool {
	t.Helper()
	c, err := net.Dial("tcp", v.edge.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /x?token=123 HTTP/1.1\r\nHost: tv.example.com:%s\r\nUser-Agent: a\r\n%s\r\n\r\n", rig.Port(v.edge.address), lines)
	in := bufio.NewReader(c)
	status, err := in.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(status, " 101 ") {
		return false
	}
	fmt.Fprint(c, "GET /unchecked HTTP/1.1\r\n\r\n")
	text, err := io.ReadAll(in)
	if err != nil {
		t.Error(err)
	}
	return strings.Contains(string(text), "reached by GET /unchecked")
}

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/altagate/altagate/test/rig"
)

// origin is what an edge protects. It keeps what it was asked.
type origin struct {
	address string
	mu      sync.Mutex
	asked   []served
	last    http.Header
}

// served is one request that reached the origin.
type served struct {
	method, target, body string
	header               http.Header
}

func startOrigin(t *testing.T) *origin {
	t.Helper()
	o := &origin{}
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	o.address = server.Listener.Addr().String()
	return o
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = r.Header
	o.asked = append(o.asked, served{r.Method, r.RequestURI, string(body), r.Header})
	w.Header().Set("Set-Cookie", "origin=1")
	fmt.Fprintf(w, "content %d of %s", len(o.asked), r.RequestURI)
}

// lastHeader is the header of the last request.
func (o *origin) lastHeader() http.Header {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// take gives what the origin was asked since the last time.
func (o *origin) take() []served {
	o.mu.Lock()
	defer o.mu.Unlock()
	asked := o.asked
	o.asked = nil
	return asked
}

// viewer sends requests as a player does, one connection for each.
type viewer struct {
	edge *proxy
	// from is the address the viewer has.
	from string
}

// answer is what a viewer got.
type answer struct {
	status int
	header http.Header
	body   string
}

// request describes one request of a viewer. The zero value of each field but
// target is what a plain GET has.
type request struct {
	method, host, target string
	body                 io.Reader
	header               http.Header
}

func (v viewer) get(t *testing.T, target string) answer {
	t.Helper()
	return v.send(t, request{target: target})
}

func (v viewer) send(t *testing.T, r request) answer {
	t.Helper()
	got, err := v.try(r)
	if err != nil {
		t.Fatalf("a viewer asking for %s: %v", r.target, err)
	}
	return got
}

func (v viewer) try(r request) (answer, error) {
	// The target goes out byte for byte, as players may send it.
	req, err := http.NewRequest(r.method, "http://"+v.edge.address, r.body)
	if err != nil {
		return answer{}, err
	}
	req.URL.Opaque = r.target
	req.Host = r.host
	if r.host == "" {
		req.Host = "tv.example.com:" + rig.Port(v.edge.address)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	from := v.from
	if from == "" {
		from = "127.0.0.1"
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, DisableCompression: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

// raw sends bytes as they are, and gives the status of the answer. It is read while they
// are sent: who denies a request need not read its body, and may close the connection on
// it. Go's own client gives up an answer when it could not send everything.
func raw(t *testing.T, v viewer, bytes string) int {
	t.Helper()
	c, err := net.Dial("tcp", v.edge.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, bytes)
		sent <- err
	}()
	method, _, _ := strings.Cut(bytes, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		c.Close()
		t.Fatal(errors.Join(err, <-sent))
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

package soak

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// patience is how long a viewer waits for an answer. Both proxies are to have given
// one before.
const patience = 12 * time.Second

// answer is what somebody got for one request.
type answer struct {
	// edge is the proxy's name, route that of altagate's route.
	edge, route string
	addr        netip.Addr
	// path is as the proxy logs it.
	path string
	// start and took say when it was, and how long it took.
	start time.Time
	took  time.Duration
	// status is 0 where there was no answer, and err says why.
	status int
	err    error
	// attack is what an attacker did, and sent the beginning of it; empty for a viewer.
	attack, sent string
	// gone is set where the attacker did not wait for the answer.
	gone bool
	// viewing is which of the viewer's it belongs to, and entry is set for the
	// requests that begin it.
	viewing *viewing
	entry   bool
}

// viewing is one paying viewer watching one stream.
type viewing struct {
	ticket *ticket
	// opened is set when an entry was let in.
	opened bool
	// takenBack is when the portal was told to deny from then on.
	takenBack time.Time
}

// get writes a request as players do.
func get(target, agent string, more ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: tv.example.com\r\nUser-Agent: " + agent + "\r\nConnection: close\r\n" +
		strings.Join(more, "") + "\r\n"
}

// exchange sends bytes from an address, and gives the status of the answer.
func exchange(ctx context.Context, own netip.Addr, to, bytes string) (int, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: own.AsSlice()}}
	c, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if _, err := io.WriteString(c, bytes); err != nil {
		return 0, fmt.Errorf("sending: %w", err)
	}
	from := bufio.NewReaderSize(c, 1<<10)
	resp, err := http.ReadResponse(from, nil)
	for err == nil && resp.StatusCode == http.StatusContinue {
		resp, err = http.ReadResponse(from, nil)
	}
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// ask sends the request that a describes, and completes it. It does not end with the
// round: what was begun is answered.
func (a answer) ask(to, bytes string, wait time.Duration) answer {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	a.start = time.Now()
	a.status, a.err = exchange(ctx, a.addr, to, bytes)
	a.took = time.Since(a.start)
	return a
}

// pause waits, and tells whether the round goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

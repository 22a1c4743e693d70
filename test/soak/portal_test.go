package soak

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The beginnings of tokens: those that the portal has made, and those that make it
// fail for this one question.
const (
	paid     = "paid-"
	junk     = "junk-"
	mustHang = "hang-"
	mustEnd  = "end-"
	mustCut  = "cut-"
	mustSwim = "swim-"
	mustBrag = "brag-"
	mustTurn = "turn-"
	mustDrag = "drag-"
)

// portal is the backend: it allows the tokens that it has made, to the address that
// it made them for, until they are taken back.
type portal struct {
	address string
	// weak is what viewers who know the portal's weak spots can make it do, by the
	// beginning of a token.
	weak map[string]http.HandlerFunc

	mu     sync.Mutex
	tokens map[string]*ticket
	order  []*ticket
	asked  int
}

// ticket is a token of a paying viewer.
type ticket struct {
	token  string
	addr   netip.Addr
	agent  string
	folder string
	// valid is the X-AuthDuration; 0 is none.
	valid time.Duration
	// taken is set when the portal no longer allows it, and refused is when it said so.
	taken   bool
	refused []time.Time
}

func startPortal(t *testing.T) *portal {
	t.Helper()
	p := &portal{tokens: map[string]*ticket{}, weak: weakSpots()}
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	p.address = server.Listener.Addr().String()
	return p
}

// sell makes a token.
func (p *portal) sell(addr netip.Addr, agent, folder string, valid time.Duration) *ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := &ticket{token: fmt.Sprintf("%s%x", paid, len(p.order)), addr: addr, agent: agent, folder: folder, valid: valid}
	p.tokens[k.token] = k
	p.order = append(p.order, k)
	return k
}

// takeBack makes the portal deny from now on.
func (p *portal) takeBack(k *ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k.taken = true
}

// victim is a ticket of somebody; nil if nobody has one.
func (p *portal) victim(nth uint64) *ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.order) == 0 {
		return nil
	}
	return p.order[nth%uint64(len(p.order))]
}

// refusals tells of each token that was taken back when the portal denied it.
func (p *portal) refusals() map[string][]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string][]time.Time{}
	for token, k := range p.tokens {
		if len(k.refused) > 0 {
			all[token] = slices.Clone(k.refused)
		}
	}
	return all
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil
	var token string
	// PHP takes the last.
	if all := r.URL.Query()["token"]; len(all) > 0 {
		token = all[len(all)-1]
	}
	kind, _, _ := strings.Cut(token, "-")
	if misbehave, ok := p.weak[kind+"-"]; ok {
		misbehave(w, r)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	k := p.tokens[token]
	if k == nil || r.Header.Get("X-Real-Ip") != k.addr.String() {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if !k.taken {
		if k.valid > 0 {
			w.Header().Set("X-AuthDuration", strconv.Itoa(int(k.valid.Seconds())))
		}
		w.Header().Set("X-UserId", "42")
		return
	}
	w.WriteHeader(http.StatusForbidden)
	k.refused = append(k.refused, time.Now())
}

func weakSpots() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		mustHang: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		mustEnd:  says(""),
		// An allow that breaks off.
		mustCut:  says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it"),
		mustSwim: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nno size\r\n"),
		mustBrag: says("HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", 100<<10) + "\r\n\r\n"),
		mustTurn: says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
		mustDrag: drag,
	}
}

// says answers with these bytes, and closes the connection.
func says(bytes string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, bytes) //nolint:errcheck // Whoever is gone needs none.
	}
}

// drag begins to allow, and goes on with one byte at a time.
func drag(w http.ResponseWriter, r *http.Request) {
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	for r.Context().Err() == nil {
		<-every.C
		if _, err := io.WriteString(w, "."); err != nil {
			return
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
	}
}

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// tokenLife is how long Ministra's tokens live by default (tv_tmp_link_ttl).
const tokenLife = 5 * time.Second

// portal answers as Ministra's chk_flussonic_tmp_link.php does. It reads the token
// and nothing else; the rest it only writes down for the test.
type portal struct {
	url string
	// alta is set where it answers 200 without Ministra's headers.
	alta bool
	mu   sync.Mutex
	// made is when each token was made, tokens are these in their order.
	made   map[string]time.Time
	tokens []string
	asked  map[string]int
	total  int
	agent  string
}

func startPortal(t *testing.T, alta bool) *portal {
	t.Helper()
	p := &portal{alta: alta, made: map[string]time.Time{}, asked: map[string]int{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL + "/stalker_portal/server/api/chk_flussonic_tmp_link.php"
	return p
}

// link makes a token, as the portal does when a viewer chooses a channel.
func (p *portal) link() (token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	token = fmt.Sprintf("%032x", len(p.tokens)+1)
	p.tokens = append(p.tokens, token)
	p.made[token] = time.Now()
	return token
}

func (p *portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	token := ""
	// PHP takes the last.
	if all := r.URL.Query()["token"]; len(all) > 0 {
		token = all[len(all)-1]
	}
	// altagate's own probe has no such header.
	if r.Header.Get("X-Real-Path") != "" {
		p.asked[token]++
		p.total++
		p.agent = r.Header.Get("X-Real-Ua")
	}
	if made, ok := p.made[token]; !ok || time.Since(made) > tokenLife {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if !p.alta {
		w.Header().Set("X-AuthDuration", "36000")
		w.Header().Set("X-Unique", "true")
		w.Header().Set("X-Max-Sessions", "10")
		w.Header().Set("X-UserId", "42")
	}
}

// first is the first token that was made.
func (p *portal) first() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tokens[0]
}

// dead tells whether the time of all tokens is over.
func (p *portal) dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.made[p.tokens[len(p.tokens)-1]]) > tokenLife
}

// lastAgent is the User-Agent that was asked about last.
func (p *portal) lastAgent() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.agent
}

// onceEach fails the test unless there was one question for each token that was
// made, and no other.
func (p *portal) onceEach(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, token := range p.tokens {
		if n := p.asked[token]; n != 1 {
			t.Errorf("the portal was asked %d times about token %d, want once", n, i+1)
		}
	}
	if p.total != len(p.tokens) {
		t.Errorf("the portal was asked %d questions about %d viewings", p.total, len(p.tokens))
	}
}

// questions is how many it was asked in all.
func (p *portal) questions() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

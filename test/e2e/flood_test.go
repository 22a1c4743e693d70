package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// holding counts how many questions of a flood it holds at once, and answers the
// others as the example backend does.
type holding struct {
	mu        sync.Mutex
	now, most int
	release   chan struct{}
}

func (h *holding) answer(c *net.TCPConn, request string) bool {
	if !strings.Contains(request, "token=flood") {
		return byToken(c, request)
	}
	h.mu.Lock()
	h.now++
	h.most = max(h.most, h.now)
	h.mu.Unlock()
	<-h.release
	h.mu.Lock()
	h.now--
	h.mu.Unlock()
	return status(403)(c, request)
}

func (h *holding) held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// TestAFloodOfJunkTokensHoldsUpNobodyElse has an attacker put far more questions than
// the backend may be asked, each of which hangs, while others watch and begin to.
func TestAFloodOfJunkTokensHoldsUpNobodyElse(t *testing.T) {
	for _, e := range tcpEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			h := &holding{release: make(chan struct{})}
			f := startFake(t, h.answer, status(200))
			file := rig.Write(t, filepath.Join(rig.TempDir(t), "altagate.yaml"), `
backends:
  portal: {url: "`+f.url()+`", timeout: 20s, limits: {questions: 8, queue: 4, per_address: 6, rate: 1000}}
routes:
  - {name: all, backends: [portal], on_unavailable: allow}
`)
			a := serve(t, e.unix, "--config", file)
			edge := e.start(t, e, a, startOrigin(t).address)
			paying := viewer{edge: edge, from: "127.0.0.7"}
			if got := paying.get(t, "/live/index.m3u8?token=123"); got.status != 200 {
				t.Fatalf("a viewer who paid: status %d", got.status)
			}

			const questions = 40
			var flood sync.WaitGroup
			denied := make(chan int, questions)
			attacker := viewer{edge: edge, from: "127.0.0.66"}
			for i := range questions {
				flood.Go(func() {
					got, err := attacker.try(request{target: fmt.Sprintf("/live%d/index.m3u8?token=flood%d", i, i)})
					if err != nil {
						t.Errorf("the attacker got no answer: %v", err)
					}
					denied <- got.status
				})
			}
			rig.Until(t, "the flood to be turned away", func() bool {
				return a.decided(t, "deny", "overload") == questions-6 && h.held() == 6
			})

			for _, target := range []string{"/live/index.m3u8?token=123", "/live/1.ts"} {
				if got := paying.get(t, target); got.status != 200 {
					t.Errorf("who watches, %s: status %d", target, got.status)
				}
			}
			newcomer := viewer{edge: edge, from: "127.0.0.8"}
			if got := newcomer.get(t, "/live/index.m3u8?token=123"); got.status != 200 {
				t.Errorf("a newcomer of another address: status %d", got.status)
			}
			close(h.release)
			flood.Wait()
			close(denied)
			for status := range denied {
				if status == 200 {
					t.Error("the attacker was let in")
				}
			}
			if h.most != 6 {
				t.Errorf("the backend held %d of the attacker's questions at once, want 6", h.most)
			}
			if a.metric(t, "altagate_backend_up") != 1 || a.decided(t, "allow", "default") > 0 {
				t.Error("the flood made the backend seem away")
			}
			edge.Stop(t)
			if log := a.Log(t); !strings.Contains(log, "limits.per_address") || strings.Contains(log, "token=flood") {
				t.Errorf("the log does not name the bound, or has a token:\n%s", log)
			}
		})
	}
}

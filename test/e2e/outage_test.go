package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// TestAHungBackendIsAwayOnceItsSilenceHasLasted asks a backend that was there and
// hangs: the policy decides when nothing that viewers asked can be why.
func TestAHungBackendIsAwayOnceItsSilenceHasLasted(t *testing.T) {
	for policy, want := range map[string]struct {
		edge   edge
		status int
	}{"deny": {edges[0], 403}, "allow": {edges[3], 200}} {
		e := want.edge
		t.Run(e.file+" "+policy, func(t *testing.T) {
			t.Parallel()
			f := startFake(t, byToken, status(200))
			a := serve(t, e.unix, "--backend", f.url(), "--on-unavailable", policy)
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}
			rig.Until(t, "the backend to be there", func() bool { return a.metric(t, "altagate_backend_up") == 1 })
			f.set(hung, hung)
			if got := v.get(t, "/live/index.m3u8?token=1"); got.status != 403 || a.decided(t, "deny", "unanswered") != 1 {
				t.Errorf("the first question: status %d, want 403", got.status)
			}
			tries := 0
			rig.Until(t, "the policy to decide", func() bool {
				tries++
				got := v.get(t, fmt.Sprintf("/live/index.m3u8?token=1%d", tries))
				if a.decided(t, policy, "default") == 0 {
					return false
				}
				if got.status != want.status {
					t.Errorf("status %d, want %d", got.status, want.status)
				}
				return true
			})
			if reached := len(o.take()) > 0; reached != (policy == "allow") {
				t.Errorf("the origin was reached: %t", reached)
			}
			_, state := a.ask(t, "/api/v1/backends")
			if !strings.Contains(state, `"up":false`) || !strings.Contains(state, `"state":"away"`) {
				t.Errorf("the API says %s", state)
			}
			f.set(byToken, status(200))
			rig.Until(t, "an answer of the backend that is back", func() bool {
				tries++ // another stream, or the session of a default would be joined
				return v.get(t, fmt.Sprintf("/other%d/index.m3u8?token=123", tries)).status == 200 && a.decided(t, "allow", "backend") > 0
			})
		})
	}
}

// TestASlowPageOfAPortalWithOneWorkerLetsNobodyIn has a viewer hold the only worker
// of "php -S" with a request that takes eight seconds, while others, who have no
// token, wait for the gate to open.
func TestASlowPageOfAPortalWithOneWorkerLetsNobodyIn(t *testing.T) {
	t.Parallel()
	script := rig.Write(t, filepath.Join(rig.TempDir(t), "slow.php"), `<?php
$token = $_GET['token'] ?? '';
if ($token === 'slow') { sleep(8); }
http_response_code($token === '123' ? 200 : 403);
`)
	address := rig.FreeAddress(t)
	p := rig.Start(t, "php -S", rig.Program(t, "php"), "-S", address, script)
	p.Listening(t, "tcp", address)
	a := serve(t, false, "--backend", "http://"+address+"/", "--on-unavailable", "allow")
	o := startOrigin(t)
	v := viewer{edge: edges[0].start(t, edges[0], a, o.address)}
	rig.Until(t, "the backend to be there", func() bool { return a.metric(t, "altagate_backend_up") == 1 })

	var slow sync.WaitGroup
	slow.Go(func() {
		if got := v.get(t, "/live/index.m3u8?token=slow"); got.status != 403 {
			t.Errorf("who holds the worker: status %d, want 403", got.status)
		}
	})
	rig.Until(t, "the worker to be held", func() bool {
		_, state := a.ask(t, "/api/v1/backends/backend")
		return strings.Contains(state, `"questions":1`)
	})
	tries := 0
	rig.Until(t, "the worker to deny again", func() bool {
		tries++
		v.get(t, fmt.Sprintf("/live/index.m3u8?token=1%d", tries))
		return a.decided(t, "deny", "backend") > 0
	})
	slow.Wait()
	if n := a.decided(t, "allow", "default"); n > 0 || len(o.take()) > 0 {
		t.Errorf("%v viewers without a token were let in", n)
	}
	if got := v.get(t, "/live/index.m3u8?token=123"); got.status != 200 {
		t.Errorf("the viewer who paid: status %d, want 200", got.status)
	}
}

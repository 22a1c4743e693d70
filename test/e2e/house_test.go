package e2e

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// house is all that is between a portal and a player: altagate asks the portal,
// an edge asks altagate, and a studio is behind the edge.
type house struct {
	*portal
	*studio
	gate *altagate
	edge *proxy
	// flags start altagate again.
	flags []string
}

// startHouse starts it, with a route that has these lines, each indented by four.
func startHouse(t *testing.T, e edge, preset, route string) *house {
	t.Helper()
	h := &house{portal: startPortal(t, preset == "custom"), studio: startStudio(t)}
	dir := rig.TempDir(t)
	config := rig.Write(t, filepath.Join(dir, "altagate.yaml"), `
backends:
  portal: {preset: `+preset+`, url: "`+h.url+`"}
routes:
  - name: tv
    match: {paths: [/live/, /hls/, /dash/, /player/, /keys/]}
    backends: [portal]
`+route)
	h.flags = []string{"--config", config, "--state", filepath.Join(dir, "state.db")}
	h.gate = serve(t, e.unix, h.flags...)
	h.flags = append(h.flags, "--http", h.gate.http, "--grpc", h.gate.grpc, "--admin", h.gate.admin)
	h.edge = e.start(t, e, h.gate, h.studio.address)
	return h
}

// watch starts an ffmpeg with a new token, which it has for the first URL only.
func (h *house) watch(t *testing.T, path string, flags ...string) film {
	t.Helper()
	return watch(t, h.edge, path+"?token="+h.link(), flags...)
}

// links gives a page such URLs, each with a token that is made when it is used.
func (h *house) links(path string) func() string {
	return func() string {
		return "http://tv.example.com:" + rig.Port(h.edge.address) + path + "?token=" + h.link()
	}
}

// nobodyDenied fails the test if anybody was denied.
func (h *house) nobodyDenied(t *testing.T) {
	t.Helper()
	if n := h.gate.metric(t, "altagate_checks_total", `decision="deny"`); n != 0 {
		t.Errorf("%g checks were denied:\n%s", n, grep(h.gate.Log(t), `"deny"`))
	}
}

// sessions are the ids of those that the API lists as alive.
func (h *house) sessions(t *testing.T) (ids []string) {
	t.Helper()
	_, body := h.gate.ask(t, "/api/v1/sessions?route=tv")
	var list struct {
		Sessions []struct {
			ID    string
			Ended bool
		}
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, s := range list.Sessions {
		if !s.Ended {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

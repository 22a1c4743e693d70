package gate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/gate"
)

func TestBackendsTellWhatIsKnownAndWhichRoutesAskThem(t *testing.T) {
	t.Parallel()
	p, dead := newPortal(t, status(200)), nobody(t)
	e := newEvents()
	config := func(policy string) string {
		return `
backends:
  portal: {url: "` + p.URL + `/secret?key=hunter2", preset: ministra}
  dead: {url: "` + dead + `/secret?key=hunter2"}
  spare: {url: "` + dead + `/other"}
routes:
  - {name: vod, match: {paths: [/vod/]}, backends: [portal, dead], on_unavailable: ` + policy + `, grace: 90m}
  - {name: live, backends: [portal]}
`
	}
	g := open(t, config("allow"), e.notify)
	for range 3 {
		<-e.turned
	}
	live := gate.RouteUse{Name: "live", OnUnavailable: "deny", Grace: "10m0s"}
	vod := gate.RouteUse{Name: "vod", OnUnavailable: "allow", Grace: "1h30m0s"}
	away := []backend.AddressState{{Address: dead, State: "away"}}
	want := []gate.BackendState{
		{State: backend.State{Name: "dead", Preset: "custom", Addresses: away}, Routes: []gate.RouteUse{vod}},
		{
			State: backend.State{
				Name: "portal", Preset: "ministra", Up: true,
				Addresses: []backend.AddressState{{Address: p.URL, State: "there"}},
			},
			Routes: []gate.RouteUse{live, vod},
		},
		{State: backend.State{Name: "spare", Preset: "custom", Addresses: away}, Routes: []gate.RouteUse{}},
	}
	told := cmpopts.IgnoreFields(backend.AddressState{}, "Since", "Why")
	if diff := cmp.Diff(want, g.Backends(), told); diff != "" {
		t.Error(diff)
	}
	if err := g.Reload(parsed(t, config("deny"))); err != nil {
		t.Fatal(err)
	}
	want[0].Routes[0].OnUnavailable, want[1].Routes[1].OnUnavailable = "deny", "deny"
	if diff := cmp.Diff(want, g.Backends(), told); diff != "" {
		t.Errorf("after a reload: %s", diff)
	}
}

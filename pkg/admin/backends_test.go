package admin

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/gate"
)

var _ Backends = (*gate.Gate)(nil)

type fixed []gate.BackendState

func (f fixed) Backends() []gate.BackendState { return f }

// two are a backend that is there and one that is away.
func two() fixed {
	since := time.Date(2026, 3, 1, 20, 15, 0, 123456789, time.FixedZone("", 3600))
	return fixed{
		{
			State: backend.State{Name: "portal", Preset: "custom", Up: true, Addresses: []backend.AddressState{
				{Address: "http://10.0.0.5", State: "there", Since: since, Questions: 3},
			}},
			Routes: []gate.RouteUse{{Name: "live", OnUnavailable: "deny", Grace: "10m0s"}},
		},
		{
			State: backend.State{Name: "vod/1", Preset: "ministra", Addresses: []backend.AddressState{
				{Address: "https://10.0.0.6:8443", State: "away", Since: since, Why: "dial tcp 10.0.0.6:8443: connect: connection refused"},
			}},
			Routes: []gate.RouteUse{},
		},
	}
}

const (
	portal = `{"name":"portal","preset":"custom","up":true,"addresses":[` +
		`{"address":"http://10.0.0.5","state":"there","since":"2026-03-01T19:15:00.123Z","questions":3}],` +
		`"short_deadlines":0,"routes":[{"name":"live","on_unavailable":"deny","grace":"10m0s"}]}`
	vod = `{"name":"vod/1","preset":"ministra","up":false,"addresses":[` +
		`{"address":"https://10.0.0.6:8443","state":"away","since":"2026-03-01T19:15:00.123Z",` +
		`"why":"dial tcp 10.0.0.6:8443: connect: connection refused","questions":0}],"short_deadlines":0,"routes":[]}`
)

func TestBackendsAreListedAndShownByName(t *testing.T) {
	for target, want := range map[string]string{
		"/api/v1/backends":        `{"backends":[` + portal + `,` + vod + `]}`,
		"/api/v1/backends/portal": portal,
		"/api/v1/backends/vod/1":  vod,
	} {
		w := asking{target: target}.does(API(three(), two(), new(Decisions), nil, otherwise()))
		if w.Code != http.StatusOK || w.Body.String() != want+"\n" {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestBackendsAreOnlyLookedAt(t *testing.T) {
	for _, test := range []struct {
		method, target string
		status         int
		says           string
	}{
		{"GET", "/api/v1/backends/none", 404, `there is no backend "none"`},
		{"GET", "/api/v1/backends/", 404, "there is nothing at this path"},
		{"GET", "/api/v1/backendsportal", 404, "there is nothing at this path"},
		{"GET", "/api/v1/backends?up=true", 400, `the parameter "up" is not known here`},
		{"DELETE", "/api/v1/backends/portal", 405, "only GET and HEAD are answered here"},
		{"POST", "/api/v1/backends", 405, "only GET and HEAD are answered here"},
	} {
		w := asking{method: test.method, target: test.target}.does(API(three(), two(), new(Decisions), nil, otherwise()))
		if text := errorOf(t, w); w.Code != test.status || !strings.Contains(text, test.says) {
			t.Errorf("%s %s: %d %s", test.method, test.target, w.Code, text)
		}
		if allow := w.Header().Get("Allow"); (allow == "GET, HEAD") != (test.status == 405) {
			t.Errorf("%s %s: Allow is %q", test.method, test.target, allow)
		}
	}
}

func TestBackendsAreGuardedAsSessionsAre(t *testing.T) {
	for name, a := range map[string]asking{
		"another host":       {target: "/api/v1/backends", host: "evil.example"},
		"a listener for all": {target: "/api/v1/backends", at: &net.TCPAddr{IP: net.IPv4zero, Port: 9182}},
	} {
		if w := a.does(API(three(), two(), new(Decisions), nil, otherwise())); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "10.0.0.5") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

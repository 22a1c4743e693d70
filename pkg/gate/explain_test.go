package gate_test

import (
	"regexp"
	"testing"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/gate"
)

func TestExplainShowsTheQuestionWithItsSession(t *testing.T) {
	p := newPortal(t, status(403))
	cfg := parsed(t, one(p.URL, "", "deny"))
	for session, want := range map[string]string{"mine": "^mine$", "": "^[0-9a-f]{32}$"} {
		before := len(p.asked())
		e, err := gate.Explain(within(t, patience), cfg, viewer("/a"), session)
		if err != nil {
			t.Fatal(err)
		}
		asked := p.asked()
		if len(asked) != before+1 {
			t.Fatalf("asked %d times", len(asked)-before)
		}
		sent := asked[before].Header.Get("X-Session-Id")
		if !regexp.MustCompile(want).MatchString(sent) || e.Decision.Outcome.Session != sent {
			t.Errorf("sent %q and tells %q, want %s", sent, e.Decision.Outcome.Session, want)
		}
		if line := e.Traces[0].RequestLine; line != "GET /?token=123 HTTP/1.1" || e.Traces[0].Status != 403 {
			t.Errorf("shows %q and %d", line, e.Traces[0].Status)
		}
	}
}

func TestExplainAsksNobodyWithoutARoute(t *testing.T) {
	p := newPortal(t, status(200))
	cfg := parsed(t, "backends: {portal: {url: "+p.URL+"}}\nroutes: [{name: live, match: {paths: [/live/]}, backends: [portal]}]")
	e, err := gate.Explain(within(t, patience), cfg, viewer("/vod/a"), "")
	if err != nil || e.Decision.Reason != check.NoRoute || e.Decision.Allow || len(e.Traces) != 0 {
		t.Errorf("got %+v, %v", e, err)
	}
	if opened, _ := p.connections(); opened != 0 {
		t.Errorf("%d connections were opened", opened)
	}
}

package gate

import (
	"context"
	"testing"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/route"
	"github.com/altagate/altagate/pkg/session"
)

// replaced refuses a call because a reload has just put another config in
// force.
type replaced struct{ reload func() }

func (r replaced) begin() bool { r.reload(); return false }

func (replaced) end() {}

func TestACheckThatAReloadOvertakesIsDecidedByTheNewConfig(t *testing.T) {
	g := &Gate{notify: func(check.Event) {}, sessions: noSessions(t)}
	store := func(l *line) {
		g.current.Store(&compiled{routes: route.New([]route.Rule[*line]{{Value: l}})})
	}
	after := &line{name: "new", asking: begun()}
	store(&line{name: "old", asking: newAsking(0, replaced{func() { store(after) }})})
	if d := g.Check(t.Context(), &check.Request{Path: "/a"}); d.Route != "new" {
		t.Errorf("got %+v", d)
	}
}

// noSessions is a store that nothing is in.
func noSessions(t *testing.T) *session.Store {
	t.Helper()
	s, err := session.New(session.Config{Notify: func(check.Event) {}, Ask: func(*session.Question) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestNoCallBeginsWithARetiredBackendAndNoneIsLeftCounted(t *testing.T) {
	kept, gone := &source{}, &source{retired: true}
	l := &line{sources: []*source{kept, gone}}
	if l.begin() || kept.calls != 0 || gone.calls != 0 {
		t.Errorf("began, or counted: %d and %d calls", kept.calls, gone.calls)
	}
	if _, ok := newAsking(0, l).join(question{}, func(context.Context) check.Decision {
		t.Error("asked")
		return check.Decision{}
	}); ok {
		t.Error("the call was begun")
	}
}

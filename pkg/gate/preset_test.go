package gate_test

import (
	"net/http"
	"testing"

	"github.com/altagate/altagate/pkg/check"
)

// TestARepeatedQuestionSaysThatItIsOne is Flussonic's protocol: new_session when a
// viewer comes, and update_session for the questions about the same session after it.
func TestARepeatedQuestionSaysThatItIsOne(t *testing.T) {
	t.Parallel()
	p := newPortal(t, tokens(http.Header{"X-AuthDuration": {"1"}}))
	g := open(t, one(p.URL, ", preset: flussonic", "deny"), ignore)
	g.Check(within(t, patience), viewer("/ch1/index.m3u8"))
	again(t, "the question to be repeated twice", func() bool {
		watching(t, g, check.Session, "/ch1/1.ts")
		return len(p.asked()) > 2
	})
	for i, want := range []struct{ kind, number string }{{"new_session", "0"}, {"update_session", "1"}, {"update_session", "2"}} {
		q := p.asked()[i].URL.Query()
		if q.Get("request_type") != want.kind || q.Get("request_number") != want.number || q.Get("name") != "ch1" || q.Get("token") != "123" {
			t.Errorf("question %d: %v", i, q)
		}
		if q.Get("session_id") != p.asked()[0].URL.Query().Get("session_id") {
			t.Errorf("question %d is about another session", i)
		}
	}
}

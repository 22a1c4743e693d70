package session

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/stream"
)

// Whatever sessions come, go and change, each has its own text, what was read of one
// stays as it was, and what is over takes no more room than what lives.
func TestEachSessionHasItsOwnText(t *testing.T) {
	s, rules := filled(t, 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := rand.New(rand.NewPCG(1, 2))
	type kept struct{ query, user string }
	want := map[*session]kept{}
	read := map[string]string{} // what was read, and a copy of what it was
	for i := range 20_000 {
		var some *session
		for some = range want {
			break
		}
		user := strconv.Itoa(i)
		switch what := r.IntN(10); {
		case len(want) < 300 || what < 5 && len(want) < 3000:
			q := request("/live/ch1/index.m3u8?token=" + user + strings.Repeat("x", r.IntN(100)))
			if r.IntN(500) == 0 {
				q.Query += strings.Repeat("y", 2*blockSize)
			}
			d := check.Decision{Outcome: check.Outcome{User: user}}
			n := s.prepare(rules, &q, opened(rules, q.Path), NewID(), d, s.moment(time.Now()))
			want[n] = kept{strings.Clone(q.Query), user}
		case what < 7:
			s.release(some)
			delete(want, some)
		case what < 8:
			id, query := s.idText(some), s.raw(some)
			s.erase(some)
			s.write(some, id, query, user, "")
			want[some] = kept{want[some].query, user}
		default:
			text := s.text(some)
			read[text] = strings.Clone(text)
		}
	}
	live, room := 0, 0
	for n, k := range want {
		if got := s.user(n).name; got != k.user || s.raw(n) != k.query {
			t.Fatalf("user %q with %.40q, want %q with %.40q", got, s.raw(n), k.user, k.query)
		}
		live += int(n.endOfWhole)
	}
	for _, b := range s.texts.blocks {
		if b != nil {
			room += b.text.Len()
		}
	}
	if room > 2*live+blockSize {
		t.Errorf("%d bytes of texts take %d", live, room)
	}
	for text, copied := range read {
		if text != copied {
			t.Fatalf("what was %.80q is now %.80q", copied, text)
		}
	}
	if wrong := disorderOfTexts(s, allOf(s)); wrong != "" {
		t.Error(wrong)
	}
	for n := range want {
		s.release(n)
	}
	if left := len(allOf(s)); left > 0 || len(s.scenes.known)+len(s.agents.known)+len(s.replies.known)+len(s.ruled.known) > 0 {
		t.Errorf("%d sessions and words are left", left)
	}
}

func opened(rules *Rules, path string) stream.Name {
	name, _ := rules.Layout.Opens(path)
	return name
}

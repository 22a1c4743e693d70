package soak

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// checked is one line of a proxy's access log.
type checked struct {
	status                 int
	decision, reason, line string
}

// request is by what an answer is found in a log. What one viewer asks for twice
// stands there in order.
type request struct {
	edge string
	addr netip.Addr
	path string
}

// logged reads both access logs. Both lines are alike up to the reason.
func (w *world) logged(t *testing.T) map[request][]checked {
	t.Helper()
	form := regexp.MustCompile(`^(\S+) \[[^]]*\] "(?:\S* )?(.*?)" (\d+) .*?check=(\S*) +reason=(\S*)`)
	all := map[request][]checked{}
	for _, e := range w.edges {
		n := 0
		for line := range strings.Lines(e.log(t)) {
			found := form.FindStringSubmatch(line)
			if found == nil {
				continue // Envoy's own words.
			}
			addr, err := netip.ParseAddr(found[1])
			if err != nil {
				t.Fatalf("%s logged %q", e.name, line)
			}
			status, err := strconv.Atoi(found[3])
			if err != nil {
				t.Fatalf("%s logged %q", e.name, line)
			}
			key := request{e.name, addr, found[2]}
			all[key] = append(all[key], checked{status, word(found[4]), word(found[5]), line})
			n++
		}
		if n == 0 {
			t.Errorf("%s logged no request", e.name)
		}
	}
	return all
}

// word is a logged value, empty where there was none.
func word(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// span is a time from one moment to another.
type span struct{ from, to time.Time }

func (s span) overlaps(from, to time.Time) bool { return s.from.Before(to) && from.Before(s.to) }

// aways reads from altagate's log when its own probe had found the backend away.
func aways(t *testing.T, log string) (all []span) {
	t.Helper()
	forever := time.Now().Add(time.Hour)
	for line := range strings.Lines(log) {
		var l struct {
			Time    time.Time
			Message string
		}
		if json.Unmarshal([]byte(line), &l) != nil {
			continue // Not altagate's: the race detector's, which stop finds.
		}
		switch {
		case strings.HasPrefix(l.Message, "backend is away"):
			all = append(all, span{l.Time, forever})
		case l.Message == "backend is there" && len(all) > 0:
			all[len(all)-1].to = l.Time
		}
	}
	return all
}

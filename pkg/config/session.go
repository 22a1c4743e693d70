package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/altagate/altagate/pkg/stream"
)

// Session says which of a route's requests are one viewing, and when it ends.
type Session struct {
	// Layout says which stream a path names, as stream.Parse reads it: "auto",
	// "path" or a regular expression. Default "auto".
	Layout string
	// Join is by what a request joins a session, different ones. Empty means
	// that nothing joins: each request is asked about. Default Token and Client,
	// and before them ID if there are Keys.
	Join []Join
	// Idle ends a session without requests. 10s to 7 days; default 10m.
	Idle time.Duration
	// Max ends any session. 1m to 30 days, at least Idle; default 24h.
	Max time.Duration
}

// Join is one way in which a request joins a session.
type Join string

// The values of join.
const (
	// JoinID takes the session's signed id, in a cookie or in altagate_id.
	JoinID Join = "id"
	// JoinToken takes the same address and User-Agent with the allowed query.
	JoinToken Join = "token"
	// JoinClient takes the same address and User-Agent.
	JoinClient Join = "client"
	// JoinAddress takes the same address with any User-Agent.
	JoinAddress Join = "address"
)

const (
	layoutAuto = "auto"
	layoutPath = "path"
)

func defaultSession(signs bool) Session {
	join := []Join{JoinToken, JoinClient}
	if signs {
		join = []Join{JoinID, JoinToken, JoinClient}
	}
	return Session{Layout: layoutAuto, Join: join, Idle: DefaultIdle, Max: DefaultMax}
}

func readSession(v value, signs bool) Session {
	s := defaultSession(signs)
	keys := v.section("session: {idle: 10m, max: 24h}", "layout", "join", "idle", "max")
	if layout, ok := readLayout(keys["layout"]); ok {
		s.Layout = layout
	}
	if join, ok := readJoin(keys["join"], signs); ok {
		s.Join = join
	}
	readLife(keys["idle"], keys["max"], &s)
	return s
}

func readLayout(v value) (string, bool) {
	text, ok := v.text()
	if !ok {
		return "", false
	}
	wrong, tried := v.r.layouts[text]
	if !tried {
		wrong = checkLayout(text)
		v.r.layouts[text] = wrong
	}
	if wrong != "" {
		v.wrong("%s", wrong)
		return "", false
	}
	return text, true
}

// checkLayout says what is wrong with a layout. It shows nothing of what is not
// even meant as a regular expression: a URL can end up under any key.
func checkLayout(text string) string {
	if text == layoutAuto || text == layoutPath {
		return ""
	}
	if strings.ContainsFunc(text, isControl) {
		return "holds a line break or another control character, which no path does: write it in one line"
	}
	if !strings.Contains(text, "<stream>") {
		return "is neither auto, path nor a regular expression with a group named stream, as in /live/(?P<stream>[^/]+)/.*" +
			near(text, []string{layoutAuto, layoutPath})
	}
	if _, err := stream.Parse(text, nil); err != nil {
		return strings.TrimPrefix(err.Error(), fmt.Sprintf("layout %q: ", text))
	}
	return ""
}

func readJoin(v value, signs bool) ([]Join, bool) {
	items, ok := v.items("join: [token, client]")
	join := make([]Join, 0, len(items))
	for _, item := range items {
		word, known := item.oneOf(string(JoinID), string(JoinToken), string(JoinClient), string(JoinAddress))
		switch {
		case !known:
		case slices.Contains(join, Join(word)):
			item.wrong("%s is in the list twice", word)
		case word == string(JoinID) && !signs:
			item.wrong("id needs secrets to sign the ids with: write %s at the top of the file", exampleKeys)
		default:
			join = append(join, Join(word))
		}
	}
	return join, ok
}

// readLife reads the keys that end a session.
func readLife(idle, longest value, s *Session) {
	fine := idle.duration(span{minIdle, maxIdle, "10m or 90s"}, &s.Idle)
	if !longest.duration(span{minMax, maxMax, "24h or 90m"}, &s.Max) || !fine || s.Idle <= s.Max {
		return
	}
	switch {
	case !longest.present():
		idle.wrong("is more than max, %s by default: write max too", inUnits(s.Max))
	case !idle.present():
		longest.wrong("is less than idle, %s by default: write idle too", inUnits(s.Idle))
	default:
		longest.wrong("is less than idle, so that idle would mean nothing")
	}
}

func readSessionLimit(v value) int {
	limit := v.section("sessions: {limit: 250000}", "limit")["limit"]
	n, ok := limit.number()
	if !ok {
		return DefaultSessionLimit
	}
	if n < minSessionLimit || n > maxSessionLimit {
		limit.wrong("must be from %d to %d", minSessionLimit, maxSessionLimit)
	}
	return n
}

func readState(v value) string {
	path, ok := v.text()
	if !ok {
		return ""
	}
	err := CheckState(path)
	if path == "" {
		err = errors.New("is empty: write the path of a file, or leave the key out")
	}
	if err != nil {
		v.wrong("%v", err)
	}
	return path
}

// CheckState says what is wrong with the path of a state file; "" is none, and
// fine.
func CheckState(path string) error {
	if path == "" {
		return nil
	}
	return checkFile(path)
}

func checkFile(path string) error {
	switch {
	case strings.HasSuffix(path, "/"):
		return errors.New("ends with / and so names a directory: write the path of a file")
	case strings.ContainsFunc(path, isControl):
		return errors.New("has a control character in the path of a file")
	}
	return nil
}

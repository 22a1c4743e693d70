package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/altagate/altagate/pkg/session"
)

const oneSession = `{"id":"0123456789abcdef0123456789abcdef","route":"live","host":"tv.example.com","stream":"/live/ch1/",` +
	`"address":"192.0.2.7","user_agent":"VLC/3.0.20","user":"u77","session_name":"living room","backend":"portal",` +
	`"started":"2026-03-01T19:15:00.123Z","last_request":"2026-03-01T20:15:00.123Z","requests":1803,"active":true,"max_sessions":2}`

func TestOneSessionIsShown(t *testing.T) {
	w := asking{target: "/api/v1/sessions/" + first}.does(API(three(), two(), new(Decisions), nil, otherwise()))
	if w.Code != 200 || w.Body.String() != oneSession+"\n" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	w = asking{target: "/api/v1/sessions/" + third}.does(API(three(), two(), new(Decisions), nil, otherwise()))
	if !strings.Contains(w.Body.String(), `"provisional":true`) || strings.Contains(w.Body.String(), `"user"`) {
		t.Errorf("got %s", w.Body)
	}
}

func TestAListIsReadPageByPage(t *testing.T) {
	h := API(three(), two(), new(Decisions), nil, otherwise())
	var ids []string
	target, pages := "/api/v1/sessions?limit=2", 0
	for next := ""; ; pages++ {
		var body struct {
			Sessions []session.Info
			Next     *string
		}
		w := asking{target: target + next}.does(h)
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || pages > 3 {
			t.Fatalf("%s: %v", w.Body, err)
		}
		for _, s := range body.Sessions {
			ids = append(ids, s.ID)
		}
		if body.Next == nil {
			break
		}
		next = "&after=" + *body.Next
	}
	if diff := gocmp.Diff([]string{first, second, third}, ids); diff != "" || pages != 1 {
		t.Errorf("%d pages more, %s", pages, diff)
	}
}

func TestAnEmptyListIsAList(t *testing.T) {
	w := asking{target: "/api/v1/sessions"}.does(API(&fake{}, two(), new(Decisions), nil, otherwise()))
	if w.Code != 200 || w.Body.String() != `{"sessions":[]}`+"\n" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestAPageHasAHundredUnlessAskedForMore(t *testing.T) {
	store := &fake{}
	for i := range 1200 {
		store.sessions = append(store.sessions, session.Info{ID: strings.Repeat("0", 28) + string([]byte{
			"0123456789abcdef"[i>>12&15], "0123456789abcdef"[i>>8&15], "0123456789abcdef"[i>>4&15], "0123456789abcdef"[i&15],
		})})
	}
	for query, want := range map[string]int{"": 100, "?limit=1": 1, "?limit=1000": 1000} {
		w := asking{target: "/api/v1/sessions" + query}.does(API(store, two(), new(Decisions), nil, otherwise()))
		var body listed
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || len(body.Sessions) != want || body.Next != body.Sessions[want-1].ID {
			t.Errorf("%q: %d sessions, next %q, %v", query, len(body.Sessions), body.Next, err)
		}
	}
}

func TestAListIsOfWhatTheFiltersChoose(t *testing.T) {
	for query, want := range map[string]session.Filter{
		"":                           {},
		"route=live":                 {Route: "live"},
		"host=TV.example.com":        {Host: "tv.example.com"},
		"stream=/live/ch1/":          {Stream: "/live/ch1/"},
		"stream=%3D/p.jpg":           {Stream: "=/p.jpg"},
		"stream=/live/sport.*":       {Stream: "/live/sport.*"},
		"user=u%2677":                {User: "u&77"},
		"address=192.0.2.7":          {Address: netip.MustParseAddr("192.0.2.7")},
		"address=%3A%3Affff:1.2.3.4": {Address: netip.MustParseAddr("1.2.3.4")},
		"address=2001:db8::7":        {Address: netip.MustParseAddr("2001:db8::7")},
		"route=live&user=u&limit=5&after=" + first: {Route: "live", User: "u"},
	} {
		store := three()
		w := asking{target: "/api/v1/sessions?" + query}.does(API(store, two(), new(Decisions), nil, otherwise()))
		if diff := gocmp.Diff([]session.Filter{want}, store.filters, cmpopts.EquateComparable(netip.Addr{})); w.Code != 200 || diff != "" {
			t.Errorf("%s: %d %s", query, w.Code, diff)
		}
	}
}

func TestWhatIsEndedAndForHowLong(t *testing.T) {
	for target, want := range map[string]call{
		"/" + first:                               {Method: "End", ID: first},
		"/" + first + "?for=10m":                  {Method: "End", ID: first, Hold: 10 * time.Minute},
		"/" + first + "?for=0s":                   {Method: "End", ID: first},
		"/" + first + "?for=8784h":                {Method: "End", ID: first, Hold: session.MaxHold},
		"/" + first + "?for=1h30m&user=true":      {Method: "End", ID: first, Hold: 90 * time.Minute, All: true},
		"/" + third + "?user=false":               {Method: "End", ID: third},
		"?user=u77&for=24h":                       {Method: "EndUser", User: "u77", Hold: 24 * time.Hour},
		"?user=true":                              {Method: "EndUser", User: "true"},
		"?route=live&stream=/live/ch1/":           {Method: "EndStream", Route: "live", Stream: "/live/ch1/"},
		"?route=live&stream=~ch1&host=A.B&for=5s": {Method: "EndStream", Route: "live", Host: "a.b", Stream: "~ch1", Hold: 5 * time.Second},
	} {
		store := three()
		w := asking{method: "DELETE", target: "/api/v1/sessions" + target}.does(API(store, two(), new(Decisions), nil, otherwise()))
		if diff := gocmp.Diff([]call{want}, store.calls); w.Code != 200 || diff != "" {
			t.Errorf("%s: %d %s%s", target, w.Code, w.Body, diff)
		}
	}
}

func TestAnEndSaysWhichSessionsItEnded(t *testing.T) {
	for target, want := range map[string]string{
		"/" + second:                    `{"ended":["` + second + `"]}`,
		"?user=u77":                     `{"ended":["` + first + `","` + second + `"]}`,
		"?user=nobody":                  `{"ended":[]}`,
		"?route=live&stream=/live/ch9/": `{"ended":[]}`,
	} {
		w := asking{method: "DELETE", target: "/api/v1/sessions" + target}.does(API(three(), two(), new(Decisions), nil, otherwise()))
		if w.Code != 200 || w.Body.String() != want+"\n" {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestWhatIsRefusedEndsNothingAndSaysWhatToDo(t *testing.T) {
	for _, test := range []struct {
		method, target string
		status         int
		says           string
	}{
		{"DELETE", "", 400, "say whose sessions end"},
		{"DELETE", "?for=10m", 400, "say whose sessions end"},
		{"DELETE", "?route=live", 400, "say whose sessions end"},
		{"DELETE", "?stream=/live/ch1/", 400, "say whose sessions end"},
		{"DELETE", "?host=a", 400, "say whose sessions end"},
		{"DELETE", "?user=u&route=live", 400, "say whose sessions end"},
		{"DELETE", "?user=u&host=a", 400, "say whose sessions end"},
		{"DELETE", "?user=u&route=live&stream=/live/ch1/", 400, "say whose sessions end"},
		{"DELETE", "?user=", 400, "user has no value"},
		{"DELETE", "?route=live&stream=", 400, "stream has no value"},
		{"DELETE", "?user=a&user=b", 400, "user is there 2 times"},
		{"DELETE", "?user=u&hold=1m", 400, `"hold" is not known here: use user, route, stream, host, for`},
		{"DELETE", "?user=u&address=192.0.2.7", 400, `"address" is not known here`},
		{"DELETE", "?User=u", 400, `"User" is not known here`},
		{"DELETE", "?user=u;for=1m", 400, "cannot be read"},
		{"DELETE", "?user=%zz", 400, "cannot be read"},
		{"DELETE", "?user=u&for=10", 400, "write 90s, 10m or 24h"},
		{"DELETE", "?user=u&for=-1m", 400, `for="-1m" is no time up to 8784h`},
		{"DELETE", "?user=u&for=8784h1ns", 400, "no time up to 8784h"},
		{"DELETE", "?user=u&for=NaN", 400, "no time up to 8784h"},
		{"DELETE", "?route=live&stream=/live/ch1/index.m3u8", 400, "is not how a stream is spelled"},
		{"DELETE", "/" + first + "?user=yes", 400, `user="yes" is neither true nor false`},
		{"DELETE", "/" + first + "?route=live", 400, `"route" is not known here: use for, user`},
		{"DELETE", "/" + third + "?user=true&for=1h", 409, "leave user=true out"},
		{"DELETE", "/none", 404, `no session "none"`},
		{"DELETE", "/" + strings.ToUpper(third), 404, "no session"},
		{"DELETE", "/" + first + "/", 404, "no session"},
		{"DELETE", "/", 404, "/api/v1/sessions/ID"},
		{"DELETE", "s", 404, "/api/v1/sessions/ID"},
		{"GET", "/", 404, "/api/v1/sessions/ID"},
		{"GET", "/none", 404, "lists those that live"},
		{"GET", "/" + first + "?x=1", 400, "give none"},
		{"GET", "?limit=0", 400, `limit="0" is no number from 1 to 1000`},
		{"GET", "?limit=1001", 400, "from 1 to 1000"},
		{"GET", "?limit=-1", 400, "from 1 to 1000"},
		{"GET", "?limit=99999999999999999999", 400, "from 1 to 1000"},
		{"GET", "?after=abc", 400, "no id of a session"},
		{"GET", "?after=" + strings.ToUpper(third), 400, "no id of a session"},
		{"GET", "?address=tv", 400, "is no address"},
		{"GET", "?address=fe80::1%25eth0", 400, "is no address"},
		{"GET", "?stream=ch1", 400, "is not how a stream is spelled"},
		{"GET", "?b=1&a=1", 400, `"a" is not known here`},
		{"GET", "?" + strings.Repeat("x", 500) + "=1", 400, `xx…" is not known here`},
		{"POST", "", 405, "only GET, HEAD and DELETE"},
		{"PUT", "/" + first, 405, "only GET, HEAD and DELETE"},
		{"OPTIONS", "", 405, "only GET, HEAD and DELETE"},
	} {
		store := three()
		w := asking{method: test.method, target: "/api/v1/sessions" + test.target}.does(API(store, two(), new(Decisions), nil, otherwise()))
		if text := errorOf(t, w); w.Code != test.status || !strings.Contains(text, test.says) {
			t.Errorf("%s %s: %d %s", test.method, test.target, w.Code, text)
		}
		if len(store.calls)+len(store.filters) > 0 {
			t.Errorf("%s %s: did %v", test.method, test.target, store.calls)
		}
		if allow := w.Header().Get("Allow"); (allow == "GET, HEAD, DELETE") != (test.status == 405) {
			t.Errorf("%s %s: Allow is %q", test.method, test.target, allow)
		}
	}
}

func TestAnEndThatIsNotOnDiskSaysSoAndWhatEnded(t *testing.T) {
	store := three()
	store.err = errors.New("ended, but not on disk, so a restart would undo it: no space left on device")
	for target, ids := range map[string]string{
		"/" + second: `"` + second + `"`,
		"?user=u77":  `"` + first + `","` + second + `"`,
	} {
		w := asking{method: "DELETE", target: "/api/v1/sessions" + target}.does(API(store, two(), new(Decisions), nil, otherwise()))
		want := `{"error":"` + store.err.Error() + `","ended":[` + ids + `]}` + "\n"
		if w.Code != http.StatusInternalServerError || w.Body.String() != want {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func TestASessionThatEndsInTheMeantimeIsUnknown(t *testing.T) {
	store := three()
	store.gone = true
	if w := (asking{method: "DELETE", target: "/api/v1/sessions/" + first}).does(API(store, two(), new(Decisions), nil, otherwise())); w.Code != 404 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestNoTerminalObeysWhatAViewerSent(t *testing.T) {
	evil := "\x1b]0;x\x07\u009b31m\u202e\u2028\x7f\xff</script>\U000e0001é"
	store := &fake{sessions: []session.Info{{ID: first, UserAgent: evil}}}
	w := asking{target: "/api/v1/sessions"}.does(API(store, two(), new(Decisions), nil, otherwise()))
	body := strings.TrimSuffix(w.Body.String(), "\n")
	if i := strings.IndexFunc(body, func(c rune) bool { return !unicode.IsPrint(c) || c == '<' }); i >= 0 {
		t.Errorf("byte %q gets through in %q", body[i], body)
	}
	var read listed
	if err := json.Unmarshal([]byte(body), &read); err != nil || read.Sessions[0].UserAgent != strings.ToValidUTF8(evil, "\ufffd") {
		t.Errorf("%v: %q", err, body)
	}
	w = asking{target: "/api/v1/sessions?stream=" + url.QueryEscape(evil)}.does(API(store, two(), new(Decisions), nil, otherwise()))
	if strings.ContainsAny(w.Body.String(), "\x1b\x07\u009b\u202e") {
		t.Errorf("an error has it: %q", w.Body)
	}
}

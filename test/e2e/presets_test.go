package e2e

import (
	"encoding/pem"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// presetCase is a file of deploy/presets before a portal of its kind.
type presetCase struct {
	name string
	// url is what the file asks.
	url    string
	answer func(http.ResponseWriter, *http.Request, map[string]string)
	secure bool
	// entry is a viewer's path, without its query.
	entry string
	// attacks are queries that would be let in were a viewer's own words believed.
	attacks []string
	// meaning is what check says of queries.
	meaning map[string]string
}

func presetCases() []presetCase {
	const entry = "/live/ch1/index.m3u8"
	return []presetCase{
		{
			name: "custom", url: "http://127.0.0.1:6000/", answer: customAnswer, entry: entry,
			meaning: map[string]string{"token=bad": "the backend answered 403"},
		},
		{
			name: "ministra", url: "http://10.0.0.5/stalker_portal/server/api/chk_flussonic_tmp_link.php", answer: ministraAnswer, entry: entry,
			meaning: map[string]string{
				"token=good": "X-AuthDuration: the session ends after 10h0m0s",
				"token=bad":  "older than the portal's tv_tmp_link_ttl",
			},
		},
		{
			name: "iptvportal", url: "https://go.iptvportal.cloud/auth/arescrypt/", answer: iptvportalAnswer, secure: true, entry: entry,
			meaning: map[string]string{"token=bad": "its key is made anew each hour"},
		},
		{
			name: "smarty", url: "http://10.0.0.5/tvmiddleware/api/streamservice/token/check/", answer: smartyAnswer, entry: entry,
			attacks: []string{"?token=bad&error=0"},
			meaning: map[string]string{"token=good": "error 0: the token is good", "token=bad": "error 1: the token has expired"},
		},
		{
			name: "flussonic", url: "http://10.0.0.5/auth", answer: flussonicAnswer, entry: entry,
			meaning: map[string]string{
				"token=good":   "X-Max-Sessions: viewers at a time as user 42: 2",
				"token=bad":    "does not let this token watch this stream",
				"token=broken": "a 500 counts as no answer",
			},
		},
		{
			name: "astra", url: "https://auth.example.com/check", answer: astraAnswer, entry: "/play/ch1/index.m3u8",
			meaning: map[string]string{"token=good": "knows the viewer as ann", "token=bad": "Astra takes 401 and 403"},
		},
	}
}

// start starts a portal, and gives the shipped file with its address.
func (c presetCase) start(t *testing.T) (m *middleware, file string) {
	t.Helper()
	m = startMiddleware(t, c.secure, c.answer)
	_, path, _ := strings.Cut(strings.Replace(c.url, "://", "", 1), "/")
	address := m.URL + "/" + path
	dir := rig.TempDir(t)
	if c.secure {
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.Certificate().Raw})
		address += "\n    ca_file: " + rig.Write(t, filepath.Join(dir, "ca.pem"), string(ca))
	}
	return m, rig.Shipped(t, "deploy/presets/"+c.name+".yaml", dir, rig.Swap{"url: " + c.url, "url: " + address})
}

// asks makes a check as the shipped nginx configs do.
func asks(t *testing.T, a *altagate, address, agent, target string) (status int, said http.Header) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+a.http+"/auth/nginx", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"X-Original-URI": target, "X-Original-Method": "GET", "X-Forwarded-Proto": "http",
		"X-Forwarded-Host": "tv.example.com:80", "X-Real-IP": address, "User-Agent": agent,
	} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}

func TestEachPresetsFileAsksAPortalOfItsKind(t *testing.T) {
	t.Parallel()
	for _, c := range presetCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, file := c.start(t)
			a := serve(t, false, "--config", file)
			m.questions()
			const viewer = "192.0.2.7"
			if status, said := asks(t, a, viewer, "player", c.entry+"?token=good"); status != 200 {
				t.Fatalf("status %d, %v\n%s", status, said, a.Log(t))
			}
			segment := strings.TrimSuffix(c.entry, "index.m3u8") + "17.ts"
			if status, _ := asks(t, a, viewer, "player", segment); status != 200 || len(m.questions()) != 1 {
				t.Errorf("a segment: status %d, or it was asked about", status)
			}
			for _, query := range append([]string{"?token=bad", ""}, c.attacks...) {
				if status, _ := asks(t, a, "192.0.2.9", "player", c.entry+query); status != 403 {
					t.Errorf("%q: status %d, want 403", query, status)
				}
			}
			for query, want := range c.meaning {
				_, printed := rig.Run(t, altagateBin, "check", "http://tv.example.com"+c.entry+"?"+query, "--config", file, "--ip", viewer, "--ua", "player")
				if !strings.Contains(printed, want) {
					t.Errorf("check %s does not say %q:\n%s", query, want, printed)
				}
			}
		})
	}
}

// TestAViewersOwnWordsAreNotBelieved has a viewer at another address, or on another
// channel than the token was made for, say to the portal that he is not.
func TestAViewersOwnWordsAreNotBelieved(t *testing.T) {
	t.Parallel()
	for _, c := range presetCases() {
		if c.name != "smarty" && c.name != "flussonic" && c.name != "astra" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, file := c.start(t)
			a := serve(t, false, "--config", file)
			other := strings.Replace(c.entry, "ch1", "ch2", 1)
			const here, elsewhere = "192.0.2.7", "192.0.2.9"
			for _, attack := range []string{
				"name=ch1", "ip=192.0.2.7", "name=ch1&ip=192.0.2.7", "NAME=ch1&IP=192.0.2.7", "name[]=ch1&ip[]=192.0.2.7", "name[=ch1&ip[=192.0.2.7",
				"+name=ch1&%20ip=192.0.2.7", "n%61me=ch1&i%70=192.0.2.7", "name%00=ch1&ip%00=192.0.2.7", "ip;name", "x;name=ch1;ip=192.0.2.7",
				"request_type=update_session", "request.number=5", "session_id=1", "X-Channel-ID=ch1&X-Real-IP=192.0.2.7",
			} {
				for _, query := range []string{attack + "&token=good", "token=good&" + attack} {
					for _, from := range []struct{ address, path string }{{elsewhere, c.entry}, {here, other}} {
						if status, said := asks(t, a, from.address, "player", from.path+"?"+query); status != 403 {
							t.Errorf("%s asks for %s?%s: status %d, %v", from.address, from.path, query, status, said)
						}
					}
				}
			}
			if status, _ := asks(t, a, here, "player", c.entry+"?token=good"); status != 200 {
				t.Errorf("the honest viewer: status %d", status)
			}
		})
	}
}

func TestIPTVPORTALIsNotBelievedWithoutACertificate(t *testing.T) {
	t.Parallel()
	m := startMiddleware(t, true, iptvportalAnswer)
	code, printed := rig.Run(t, altagateBin, "check", "http://tv.example.com/live/ch1/index.m3u8?token=good",
		"--preset", "iptvportal", "--backend", m.URL+"/auth/arescrypt/")
	if code != 2 || !strings.Contains(printed, "certificate that is not trusted") || len(m.questions()) != 0 {
		t.Errorf("exit code %d\n%s", code, printed)
	}
}

func TestAPresetNeedsNoFile(t *testing.T) {
	t.Parallel()
	m := startMiddleware(t, false, flussonicAnswer)
	a := serve(t, false, "--preset", "flussonic", "--backend", m.URL)
	if status, _ := asks(t, a, "192.0.2.7", "player", "/ch1/index.m3u8?token=good"); status != 200 {
		t.Errorf("status %d\n%s", status, a.Log(t))
	}
	code, printed := rig.Run(t, altagateBin, "check", "http://tv.example.com/a", "--preset", "flussonic")
	if code != 3 || !strings.Contains(printed, "--preset flussonic has no address of its own: give --backend URL") {
		t.Errorf("exit code %d\n%s", code, printed)
	}
}

// TestSeveralPortalsOnOneEdge runs the file of docs/portals.md.
func TestSeveralPortalsOnOneEdge(t *testing.T) {
	t.Parallel()
	before := startPortal(t, false)
	after := startMiddleware(t, false, smartyAnswer)
	films := startMiddleware(t, false, customAnswer)
	file := rig.Shipped(t, "deploy/presets/portals.yaml", rig.TempDir(t),
		rig.Swap{"http://10.0.0.5/stalker_portal/server/api/chk_flussonic_tmp_link.php", before.url},
		rig.Swap{"http://10.0.0.6", after.URL}, rig.Swap{"http://10.0.0.7/auth", films.URL})
	a := serve(t, false, "--config", file)
	token := before.link()
	for _, test := range []struct {
		target string
		status int
		user   string
	}{
		{"/live/ch1/index.m3u8?token=" + token, 200, "42"},
		{"/live/ch2/index.m3u8?token=good", 200, ""},
		{"/live/ch3/index.m3u8?token=bad", 403, ""},
		{"/vod/film/index.m3u8?token=good", 200, ""},
		{"/vod/other/index.m3u8?token=" + token, 403, ""},
		{"/elsewhere/index.m3u8?token=good", 403, ""},
	} {
		status, said := asks(t, a, "192.0.2.7", "player", test.target)
		if status != test.status || said.Get("X-User-Id") != test.user {
			t.Errorf("%s: status %d of user %q, want %d of %q", test.target, status, said.Get("X-User-Id"), test.status, test.user)
		}
	}
	for _, q := range films.questions() {
		if strings.HasPrefix(q.Header.Get("X-Real-Path"), "/live/") {
			t.Errorf("the portal of films was asked about %s", q.Header.Get("X-Real-Path"))
		}
	}
}

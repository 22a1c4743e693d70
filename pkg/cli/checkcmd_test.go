package cli

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

const watch = "http://tv.example.com/live/index.m3u8?token="

func TestTheExitCodeOfCheckIsItsAnswer(t *testing.T) {
	good := portal(t).URL
	resets := answering(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }).URL
	away := "http://" + nobody(t)
	vod := file(t, strings.Replace(oneRoute(good, ", match: {paths: [/vod/]}"), "name: all", "name: vod", 1))
	for _, test := range []struct {
		name string
		args []string
		code int
		says string // the decision
	}{
		{"allow", []string{watch + "123", "--backend", good}, 0, "allow: the backend answered 200"},
		{"deny", []string{watch + "1", "--backend", good}, 1, "deny: the backend answered 403, and only 200 allows"},
		{
			"away", []string{watch + "123", "--backend", away}, 2,
			"deny: THE BACKEND IS NOT REACHABLE, so on_unavailable decides, for every viewer: deny. Is it running?",
		},
		{
			"away, and the policy allows", []string{watch + "123", "--backend", away, "--on-unavailable", "allow"}, 2,
			"allow: THE BACKEND IS NOT REACHABLE, so on_unavailable decides, for every viewer: allow. Is it running?",
		},
		{
			"unanswered", []string{watch + "123", "--backend", resets, "--on-unavailable", "allow"}, 2,
			"deny: this question got no answer, though not every backend is away (see the probes): denied whatever the policy",
		},
		{"one of two", []string{watch + "123", "--backend", away, "--backend", good}, 0, "allow: the backend answered 200"},
		{"malformed", []string{"http://tv.example.com/a%2fb", "--backend", good}, 1, "deny: malformed: "},
		{"no route", []string{watch + "123", "--config", vod}, 1, "deny: no route matches this host and path"},
		{"a route by name", []string{watch + "123", "--config", vod, "--route", "vod"}, 0, "allow: the backend answered 200"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := ran(t, append([]string{"check"}, test.args...)...)
			if code != test.code || !strings.Contains(stdout, "\ndecision  "+test.says) || stderr != "" {
				t.Errorf("exit code %d, want %d\n%s%s", code, test.code, stdout, stderr)
			}
		})
	}
}

func TestAMistakeInACheckIsExitCode3AndShowsNoTokenOfTheViewer(t *testing.T) {
	good := portal(t).URL
	wrong := file(t, strings.Replace(oneRoute(good, ""), "name: all", "name: All", 1))
	missing := file(t, "backends: {portal: {url: https://127.0.0.1:1, ca_file: "+t.TempDir()+"/none.pem}}\nroutes: [{name: all, backends: [portal]}]\n")
	for _, test := range []struct {
		name string
		args []string
		env  map[string]string
		says string
	}{
		{"no backend", []string{watch + "s3cret"}, nil, "no backend: give --backend URL, or --config FILE"},
		{
			"a backend without a scheme", []string{watch + "s3cret", "--backend", "10.0.0.5/auth"}, nil,
			"--backend: the backend URL has no scheme: write http://10.0.0.5/auth",
		},
		{
			"from the environment", []string{watch + "s3cret"}, map[string]string{"ALTAGATE_BACKEND": "10.0.0.5/auth"},
			"ALTAGATE_BACKEND: the backend URL has no scheme: write http://10.0.0.5/auth",
		},
		{"a viewer's URL without a scheme", []string{"tv.example.com/?token=s3cret", "--backend", good}, nil, "the viewer's URL has no scheme: "},
		{"a viewer's URL without a host", []string{"http://?token=s3cret", "--backend", good}, nil, "the viewer's URL has no host: "},
		{"an address", []string{watch + "s3cret", "--backend", good, "--ip", "192.0.2"}, nil, `--ip: "192.0.2" is no address of a viewer: `},
		{
			"an address from the environment", []string{watch + "s3cret", "--backend", good}, map[string]string{"ALTAGATE_IP": "x"},
			`ALTAGATE_IP: "x" is no address of a viewer: `,
		},
		{"no method", []string{watch + "s3cret", "--backend", good, "--method", ""}, nil, "--method is empty: "},
		{"a session", []string{watch + "s3cret", "--backend", good, "--session", "a\r\nb"}, nil, "--session holds a control character"},
		{"a mistake in the file", []string{watch + "s3cret", "--config", wrong}, nil, wrong + ":4:12: routes[0].name: "},
		{"a file that the config names", []string{watch + "s3cret", "--config", missing}, nil, "backend portal: reading CA file: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			code, stdout, stderr := ran(t, append([]string{"check"}, test.args...)...)
			if code != 3 || stdout != "" || !strings.HasPrefix(stderr, "altagate: "+test.says) {
				t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
			}
			if strings.Contains(stderr, "s3cret") {
				t.Errorf("a token is shown: %s", stderr)
			}
		})
	}
}

// TestCheckShowsTheQuestionAndTheReplyWithoutPasswords reads the whole page.
func TestCheckShowsTheQuestionAndTheReplyWithoutPasswords(t *testing.T) {
	var got *http.Request
	b := answering(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header()["Date"] = nil
		w.Header().Set("X-UserId", "42")
		w.WriteHeader(http.StatusForbidden)
		w.Write([]byte("no\x1b[2J\nwatching\n"))
	})
	host := strings.TrimPrefix(b.URL, "http://")
	path := file(t, "backends:\n  portal: {url: 'http://user:s3cret@"+host+"/auth?key=1', headers: {X-Api-Key: s3cret}}\n"+
		"routes: [{name: all, backends: [portal]}]\n")
	code, page, stderr := ran(t, "check", "https://TV.Example.com:443/live//index.m3u8?b=%2F&a=1", "--config", path,
		"--ip", "2001:db8::7", "--ua", "VLC/3.0", "--session", "mine", "--method", "HEAD")
	if code != 1 || stderr != "" {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if user, password, _ := got.BasicAuth(); user != "user" || password != "s3cret" || got.Header.Get("X-Api-Key") != "s3cret" {
		t.Errorf("the backend got %v", got.Header)
	}
	basic := base64.StdEncoding.EncodeToString([]byte("user:s3cret"))
	if strings.Contains(page, "s3cret") || strings.Contains(page, basic) || strings.Contains(page, "\x1b") {
		t.Errorf("the page shows a password, or drives the terminal:\n%q", page)
	}
	want := []string{
		`viewer    2001:db8::7 asks HEAD https://tv\.example\.com/live/index\.m3u8\?b=%2F&a=1`,
		`route     all`,
		` *`,
		`backend   portal`,
		`address   http://` + regexp.QuoteMeta(host),
		`time      connect \d+\.\d ms, first byte \d+\.\d ms, total \d+\.\d ms`,
		`sent      GET /auth\?key=1&b=%2F&a=1 HTTP/1\.1`,
	}
	for _, header := range []string{
		"Host: " + host, "User-Agent: altagate", "Authorization: Basic ***", "X-Api-Key: ***", "X-Session-Id: mine",
		"X-Real-Ip: 2001:db8::7", "X-Real-Path: /live/index.m3u8", "X-Real-Origin: https://tv.example.com", "X-Real-Ua: VLC/3.0",
	} {
		if !strings.Contains(page, "\n          "+header+"\n") {
			t.Errorf("no %q in\n%s", header, page)
		}
	}
	want = append(want, `(?: {10}[A-Za-z-]+: .*\n)+reply     403 Forbidden`)
	want = append(want, `(?: {10}[A-Za-z-]+: .*\n)+ {10}\| no\.\[2J`, ` {10}\| watching`, `outcome   deny`, ` *`,
		`decision  deny: the backend answered 403, and only 200 allows`)
	if !regexp.MustCompile(`^` + strings.Join(want, `\n`) + `\n$`).MatchString(page) {
		t.Errorf("got\n%s", page)
	}
}

func TestEachCheckHasANewSession(t *testing.T) {
	seen := map[string]bool{}
	b := answering(t, func(_ http.ResponseWriter, r *http.Request) { seen[r.Header.Get("X-Session-Id")] = true })
	for range 2 {
		ran(t, "check", watch+"123", "--backend", b.URL)
	}
	for id := range seen {
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) {
			t.Errorf("session id %q", id)
		}
	}
	if len(seen) != 2 {
		t.Errorf("sessions %v", seen)
	}
}

func TestAViewersURLIsCutByBytes(t *testing.T) {
	for url, want := range map[string][3]string{
		"http://a/b?c":       {"http", "a", "/b?c"},
		"https://a:8443":     {"https", "a:8443", "/"},
		"http://a?b=%2F#c":   {"http", "a", "/?b=%2F#c"},
		"http://a//b/../%2e": {"http", "a", "//b/../%2e"},
		"http://[::1]:80/":   {"http", "[::1]:80", "/"},
	} {
		scheme, host, target, err := splitURL(url)
		if got := [3]string{scheme, host, target}; err != nil || got != want {
			t.Errorf("%s: got %q, %v", url, got, err)
		}
	}
	for _, url := range []string{"", "a/b", "//a/b", "ftp://a/b", "HTTP//a"} {
		if _, _, _, err := splitURL(url); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

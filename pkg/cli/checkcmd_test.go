package cli

import (
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
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
			"deny: THE BACKEND IS AWAY, so on_unavailable decides, for every viewer: deny. " + away + " refuses the connection: is it running?\n",
		},
		{
			"away, and the policy allows", []string{watch + "123", "--backend", away, "--on-unavailable", "allow"}, 2,
			"allow: THE BACKEND IS AWAY, so on_unavailable decides, for every viewer: allow. " + away + " refuses the connection: is it running?\n",
		},
		{
			"unanswered", []string{watch + "123", "--backend", resets, "--on-unavailable", "allow"}, 2,
			"deny: this question got no answer, though not every backend is away (see above): denied whatever the policy",
		},
		{"one of two", []string{watch + "123", "--backend", away, "--backend", good}, 0, "allow: the backend answered 200"},
		{"malformed", []string{"http://tv.example.com/a%2fb", "--backend", good}, 1, "deny: malformed, so the backend is not asked: path has an escaped slash\n"},
		{
			"malformed twice", []string{"http://tv.example.com/a%2fb", "--backend", good, "--ua", " x"}, 1,
			"deny: malformed, so the backend is not asked: path has an escaped slash; User-Agent has a space at its end\n",
		},
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

// TestCheckSaysWhyTheBackendIsAway takes one cause after the other.
func TestCheckSaysWhyTheBackendIsAway(t *testing.T) {
	plain := answering(t, func(http.ResponseWriter, *http.Request) {}).URL
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	silent, greeting := "http://"+taken(t), "https://"+greets(t)
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(busy.Close)
	tls := strings.Replace(plain, "http:", "https:", 1)
	refused := "http://" + nobody(t)
	for _, test := range []struct{ name, backend, says string }{
		{"https to an HTTP port", "url: '" + tls + "'", tls + " does not speak TLS: http:// in place of https://?"},
		{"https to something else", "url: '" + greeting + "'", greeting + " does not speak TLS: http:// in place of https://?"},
		{"a certificate of nobody's", "url: '" + secure.URL + "'", secure.URL + " has a certificate that is not trusted: ca_file and server_name say what is"},
		{
			"no answer", "url: '" + silent + "', timeout: 100ms",
			silent + " gave no answer within the timeout: a wrong address, a firewall, or too slow?",
		},
		{
			"a status that counts as away", "url: '" + busy.URL + "', unavailable_statuses: [502]",
			busy.URL + " answers with status 502, which unavailable_statuses counts as away",
		},
		{
			"two addresses", "urls: ['" + refused + "', '" + silent + "'], timeout: 400ms", refused + " refuses the connection: is it running?; " +
				silent + " gave no answer within the timeout: a wrong address, a firewall, or too slow?",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := file(t, "backends: {portal: {"+test.backend+"}}\nroutes: [{name: all, backends: [portal]}]\n")
			code, page, stderr := ran(t, "check", watch+"123", "--config", path)
			want := "\ndecision  deny: THE BACKEND IS AWAY, so on_unavailable decides, for every viewer: deny. " + test.says + "\n"
			if code != 2 || !strings.HasSuffix(page, want) || stderr != "" {
				t.Errorf("exit code %d, %s; want %s in\n%s", code, stderr, want, page)
			}
		})
	}
}

// TestCheckTellsATypoInANameFromABrokenDNS takes what package net says, for a
// real lookup would ask other machines.
func TestCheckTellsATypoInANameFromABrokenDNS(t *testing.T) {
	for _, test := range []struct {
		dns  net.DNSError
		says string
	}{
		{net.DNSError{Err: "no such host", Name: "portl.example.com", IsNotFound: true}, "has a name that does not resolve: a typo?"},
		{net.DNSError{Err: "i/o timeout", IsTimeout: true}, "has a name that could not be looked up: does this machine's DNS work?"},
	} {
		err := fmt.Errorf("probing: %w", &net.OpError{Op: "dial", Net: "tcp", Err: &test.dns})
		if got := failureInWords(err); got != test.says {
			t.Errorf("%v: %q, want %q", err, got, test.says)
		}
	}
}

// greets is an address where something that speaks neither HTTP nor TLS greets
// whoever connects.
func greets(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("220 mail.example.com\r\n"))
			io.Copy(io.Discard, conn) // a close with bytes unread could take the greeting with it
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}

func TestAMistakeInACheckIsExitCode3AndShowsNoTokenOfTheViewer(t *testing.T) {
	good := portal(t).URL
	wrong := file(t, strings.Replace(oneRoute(good, ""), "name: all", "name: All", 1))
	two := file(t, "backends: {portal: {url: '"+good+"'}}\nroutes:\n- {name: live, match: {paths: [/live/]}, backends: [portal]}\n- {name: vod, backends: [portal]}\n")
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
		{
			"a viewer's URL without a scheme", []string{"tv.example.com/?token=s3cret", "--backend", good}, nil,
			"the viewer's URL begins neither with http:// nor with https://: ",
		},
		{
			"a viewer's URL with another scheme", []string{"rtsp://tv.example.com/?token=s3cret", "--backend", good}, nil,
			"the viewer's URL begins neither with http:// nor with https://: ",
		},
		{"a route that is not there", []string{watch + "s3cret", "--config", two, "--route", "liv"}, nil, `--route: there is no route "liv"; there is: live, vod` + "\n"},
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

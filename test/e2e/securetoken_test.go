package e2e

import (
	"crypto/md5" //nolint:gosec // It is what nginx computes.
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/securetoken"
	"github.com/altagate/altagate/pkg/target"
	"github.com/altagate/altagate/test/rig"
)

// judge is an nginx that verifies links by its own secure_link module: 200 for a good
// one, 410 for one that has expired, else 403. The viewer's address is in X-Viewer.
func judge(t *testing.T, expression string) (url string) {
	t.Helper()
	dir, address := rig.TempDir(t), rig.FreeAddress(t)
	conf := rig.Write(t, filepath.Join(dir, "judge.conf"), `
server {
	listen `+address+`;
	set_real_ip_from 127.0.0.1;
	real_ip_header X-Viewer;
	keepalive_requests 100000;
	secure_link $arg_md5,$arg_expires;
	secure_link_md5 "`+expression+`";
	if ($secure_link = "") { return 403; }
	if ($secure_link = "0") { return 410; }
	location / { return 200; }
}
`)
	rig.Nginx(t, dir, conf, address)
	return "http://" + address
}

// TestLinksAreWhatNginxTakesThemFor puts the same links to nginx's own module, most of
// them changed in one place.
func TestLinksAreWhatNginxTakesThemFor(t *testing.T) {
	t.Parallel()
	const secret = "a s3cret"
	for _, expression := range []string{securetoken.DefaultExpression, "${secret}-$uri-$secure_link_expires-$http_user_agent-$remote_addr"} {
		url := judge(t, strings.NewReplacer("$secret", secret, "${secret}", secret).Replace(expression))
		links, err := securetoken.SecureLink([][]byte{[]byte(secret)}, expression, securetoken.DefaultHash, securetoken.DefaultExpires)
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // The same links each time.
		counts := map[int]int{}
		for range 4000 {
			l := randomLink(random, expression, secret)
			status := l.ask(t, url)
			path, err := target.Parse(l.target())
			if err != nil {
				t.Fatalf("%s: %v", l.target(), err)
			}
			_, got := links.Check(&check.Request{
				Path: path.Path, Query: path.Query, Addr: netip.MustParseAddr(l.addr), UserAgent: l.agent,
			}, time.Now())
			counts[status]++
			if want := map[int]error{200: nil, 410: securetoken.ErrExpired, 403: securetoken.ErrForged}[status]; got != want { //nolint:errorlint // As it is.
				if status == http.StatusForbidden && got == securetoken.ErrNone { //nolint:errorlint // As it is.
					continue // No link: nginx has nobody else to leave it to.
				}
				t.Errorf("%s from %s with %q: nginx says %d, altagate %v", l.target(), l.addr, l.agent, status, got)
			}
		}
		if counts[200] < 500 || counts[410] < 200 || counts[403] < 500 {
			t.Errorf("nginx answered %v: too few of a kind", counts)
		}
	}
}

// link is one viewer's request with a link.
type link struct{ path, query, addr, agent string }

func (l link) target() string { return l.path + "?" + l.query }

func (l link) ask(t *testing.T, url string) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url+l.target(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Viewer", l.addr)
	r.Header.Set("User-Agent", l.agent)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func oneOf(random *rand.Rand, of ...string) string { return of[random.IntN(len(of))] }

// randomLink makes a link, and in two of three changes one thing of it.
func randomLink(random *rand.Rand, expression, secret string) link {
	paths := []string{"/live/ch1/index.m3u8", "/s/link", "/tv/%D0%9A/index.m3u8", "/a%20b/x.mpd", "/live/ch2/index.m3u8", "/a+b;c/i.m3u8"}
	l := link{path: oneOf(random, paths...), addr: oneOf(random, "192.0.2.7", "10.1.2.3", "2001:db8::7", "2001:db8:0:1:0:0:0:1"), agent: oneOf(random, "VLC/3.0", "mpv")}
	end := fmt.Sprint(time.Now().Unix() + int64(random.IntN(20000)) - 5000)
	if near := time.Now().Unix(); end == fmt.Sprint(near) || end == fmt.Sprint(near+1) || end == fmt.Sprint(near-1) {
		end = fmt.Sprint(near + 100) // Not while the clock strikes.
	}
	uri := strings.NewReplacer("%D0%9A", "К", "%20", " ").Replace(l.path)
	sum := md5.Sum([]byte(strings.NewReplacer("$secure_link_expires", end, "$uri", uri, //nolint:gosec // As nginx.
		"$remote_addr", l.addr, "$http_user_agent", l.agent, "${secret}", secret, "$secret", secret).Replace(expression)))
	hash := base64.RawURLEncoding.EncodeToString(sum[:])
	name := "md5"
	switch random.IntN(12) {
	case 0:
		l.path = oneOf(random, paths...)
	case 1:
		l.addr = "198.51.100.9"
	case 2:
		l.agent = "curl"
	case 3:
		end = fmt.Sprint(time.Now().Unix() + 90000)
	case 4:
		i := random.IntN(len(hash))
		hash = hash[:i] + oneOf(random, "A", "_", "-", "z", "%41") + hash[i+1:]
	case 5:
		hash = hash[:random.IntN(len(hash))]
	case 6:
		name = oneOf(random, "MD5", "md", "md5x")
	case 7:
		end = oneOf(random, "", "never", "-1", "0")
	}
	l.query = name + "=" + hash + "&expires=" + end
	if random.IntN(4) == 0 {
		l.query = "a=1&expires=" + end + "&" + name + "=" + hash + oneOf(random, "", "==")
	}
	return l
}

// TestATokenThatPHPMakesOpensOneViewing runs the script of docs/rules.md, and has a
// viewer play with its link through nginx and Envoy.
func TestATokenThatPHPMakesOpensOneViewing(t *testing.T) {
	t.Parallel()
	for _, e := range tcpEdges() {
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			config := rig.Write(t, filepath.Join(t.TempDir(), "altagate.yaml"), `
backends: {portal: {url: "http://`+rig.FreeAddress(t)+`/"}}
routes: [{name: live, match: {paths: [/tv/]}, backends: [portal], secure_token: {kind: alta, secrets: [old-old-old-old-old, change-me]}}]
`)
			a := &altagate{admin: rig.FreeAddress(t), http: rig.FreeAddress(t), grpc: rig.FreeAddress(t)}
			a.restart(t, "--config", config, "--http", a.http, "--grpc", a.grpc, "--admin", a.admin)
			p := e.start(t, e, a, startOrigin(t).address)
			entry, query := tokenOfPHP(t)
			for _, step := range []struct {
				target string
				want   int
			}{
				{entry + "?" + query, 200},
				{"/tv/travel/1.ts", 200}, // A segment carries no token.
				{entry + "?" + query, 200},
				{"/tv/other/index.m3u8?" + query, 403},
				{entry + "?" + strings.Replace(query, "token=", "token=0", 1), 403}, // Not one of Alta's: the portal is away.
			} {
				if got := statusOf(t, p, step.target); got != step.want {
					t.Errorf("%s: %d, want %d", step.target, got, step.want)
				}
			}
			if n := a.decided(t, "allow", "rule"); n != 1 {
				t.Errorf("%v allows by the token, want one", n)
			}
			if n := a.decided(t, "deny", "rule"); n != 1 {
				t.Errorf("%v denials by the token, want one", n)
			}
		})
	}
}

// TestALinkThatTheShellMakesIsGood runs the lines of docs/rules.md.
func TestALinkThatTheShellMakesIsGood(t *testing.T) {
	t.Parallel()
	script := blockOf(t, regexp.MustCompile("(?s)```\n(path=.*?)```"))
	out, err := exec.Command(rig.Program(t, "sh"), "-c", script).Output() //nolint:gosec // The shipped docs.
	if err != nil {
		t.Fatal(err)
	}
	link, found := strings.CutPrefix(strings.TrimSpace(string(out)), "https://tv.example.com")
	parts, err := target.Parse(link)
	if err != nil || !found {
		t.Fatalf("the shell printed %q: %v", out, err)
	}
	links, err := securetoken.SecureLink([][]byte{[]byte("change-me")}, securetoken.DefaultExpression, securetoken.DefaultHash, securetoken.DefaultExpires)
	if err != nil {
		t.Fatal(err)
	}
	r := &check.Request{Path: parts.Path, Query: parts.Query, Addr: netip.MustParseAddr("192.0.2.7")}
	if _, err := links.Check(r, time.Now()); err != nil {
		t.Errorf("%s: %v", link, err)
	}
}

// blockOf gives a block of docs/rules.md.
func blockOf(t *testing.T, what *regexp.Regexp) string {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join(rig.Top, "docs/rules.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := what.FindSubmatch(doc)
	if block == nil {
		t.Fatalf("docs/rules.md has no %s", what)
	}
	return string(block[1])
}

func statusOf(t *testing.T, p *proxy, target string) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+p.address+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "tv.example.com"
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// tokenOfPHP runs the script of docs/rules.md, for this machine, and gives the path and
// the query of its link.
func tokenOfPHP(t *testing.T) (path, query string) {
	t.Helper()
	text := strings.Replace(blockOf(t, regexp.MustCompile("(?s)```php\n(.*?)```")), "192.0.2.7", "127.0.0.1", 1)
	out, err := exec.Command(rig.Program(t, "php"), rig.Write(t, filepath.Join(t.TempDir(), "token.php"), text)).Output() //nolint:gosec // Written above.
	if err != nil {
		t.Fatal(err)
	}
	link, query, ok := strings.Cut(strings.TrimSpace(string(out)), "?")
	if !ok {
		t.Fatalf("PHP printed %q", out)
	}
	return link[strings.Index(link, "/tv/"):], query
}

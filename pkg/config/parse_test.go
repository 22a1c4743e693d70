package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the .want files anew")

// samples gives the files of a directory of testdata, by name without .yaml.
func samples(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples in %s (%v)", dir, err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".yaml")] = data
	}
	return all
}

func TestEachMistakeIsReportedWhereItIs(t *testing.T) {
	for name, data := range samples(t, "bad") {
		t.Run(name, func(t *testing.T) {
			c, err := Parse(data)
			var mistakes Mistakes
			if c != nil || !errors.As(err, &mistakes) {
				t.Fatalf("got %v, %v; want mistakes alone", c, err)
			}
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "cret@") {
				t.Errorf("a secret is shown: %v", err)
			}
			file := filepath.Join("testdata", "bad", name+".want")
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestGoodFilesAreRead(t *testing.T) {
	for name, data := range samples(t, "good") {
		if _, err := Parse(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// show makes the parts of a config comparable that go-cmp cannot look into.
func show(c *Config) map[string]any {
	backends := make([]string, 0, len(c.Backends))
	for _, b := range c.Backends {
		backends = append(backends, fmt.Sprintf("%s %s %v probe=%v %v %v host=%q ca=%q name=%q cert=%q key=%q %v limits=%v users=%v",
			b.Name, b.Preset, b.URLs, b.Probe, b.Timeout, b.Headers, b.Host, b.CAFile, b.ServerName, b.ClientCert, b.ClientKey, b.UnavailableStatuses, b.Limits, b.Users))
	}
	return map[string]any{
		"listen": c.Listen, "tls": c.ListenTLS, "token": c.AdminToken, "callers": fmt.Sprint(c.Callers), "log": c.Log, "keys": c.Keys, "state": c.State, "limit": c.SessionLimit, "countries": c.CountryFile,
		"backends": backends, "routes": c.Routes,
	}
}

func TestWhatIsNotWrittenHasItsDefault(t *testing.T) {
	c, err := Parse(samples(t, "good")["least"])
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"listen":  Listen{HTTP: "127.0.0.1:9180", GRPC: "127.0.0.1:9181", Admin: "127.0.0.1:9182"},
		"tls":     ListenTLS{},
		"token":   Key{},
		"callers": "[]",
		"log":     Log{Level: "info", Format: "json"},
		"keys":    []Key(nil),
		"state":   "", "countries": "",
		"limit":    250_000,
		"backends": []string{`portal custom [http://10.0.0.5] probe=<nil> 2s map[] host="" ca="" name="" cert="" key="" [] limits={256 256 32 20 []} users={0  heed}`},
		"routes": []Route{{
			Name: "all", Backends: []string{"portal"}, OnUnavailable: Deny, Grace: 10 * time.Minute, DenyStatus: 403,
			Session: Session{Layout: "auto", Join: []Join{"token", "client"}, Idle: 10 * time.Minute, Max: 24 * time.Hour}, Mode: Enforce,
		}},
	}
	if diff := cmp.Diff(want, show(c), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	c, err := Parse(samples(t, "good")["everything"])
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"listen": Listen{HTTP: "unix:/run/altagate.sock", GRPC: "unix:@altagate"},
		"tls": ListenTLS{
			Cert: "tls.crt", Key: "/etc/altagate/tls key", ClientCA: "ca.pem",
			ClientNames: []string{"edge_1.Example.com", "spiffe://example.com/edge"},
		},
		"token":   Key{Text: "0123456789abcdef0123456789abcdef"},
		"callers": "[10.0.0.0/8 fd00::/8 192.0.2.7/32 192.0.2.8/32]",
		"log":     Log{Level: "debug", Format: "console"},
		"keys": []Key{
			{Text: "s3cret-0123456789-0123456789-012"}, {File: "/etc/altagate/key"}, {File: "/etc/altagate/old key"},
		},
		"state": "sessions.db", "countries": "countries.mmdb",
		"limit": 1000,
		"backends": []string{
			"portal ministra [https://user:s3cret@portal.example.com/auth?key=1 http://[2001:db8::1]:6000/auth] " +
				"probe=/health%2F?deep=1 1m0s map[X-Api-Key:0123 X-Empty: X-Name:канал] " +
				`host="Portal.example.com:8443" ca="ca.pem" name="portal" cert="client.crt" key="client.key" [502 503] ` +
				"limits={8 0 4 2 [{203.0.113.0/24 20} {2001:db8::/64 2} {192.0.2.1/32 3}]} users={2 end_oldest ignore}",
			`second custom [http://backend_2:6000] probe=https://portal.example.com/health 2s map[] host="" ca="" name="" cert="" key="" [] ` +
				"limits={16 256 16 20 []} users={0 deny_new heed}",
			`third custom [http://10.0.0.9] probe=<nil> 2s map[] host="" ca="" name="" cert="" key="" [] limits={256 256 32 20 []} users={0  heed}`,
		},
		"routes": []Route{
			{
				Name: "live-1_a", Hosts: []string{"tv.example.com", "tv.example.com:8080", "[2001:db8::1]"},
				Paths: []string{"/live/", "/live"}, Backends: []string{"second", "portal"}, OnUnavailable: Allow, DenyStatus: 451,
				Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.8/32"), netip.MustParsePrefix("2001:db8::7/128")},
				Session: Session{
					Layout: "/live/(?<stream>[^/]+)/.*", Join: []Join{"address", "id"}, Idle: 168 * time.Hour, Max: 720 * time.Hour,
				},
				Mode: Enforce, Cache: 10 * time.Second,
			},
			{
				Name: "2", Paths: []string{"/live/"}, Backends: []string{"second"}, OnUnavailable: Deny, Grace: DefaultGrace, DenyStatus: 403,
				Session: Session{Layout: "path", Join: []Join{}, Idle: 90 * time.Second, Max: 90 * time.Second},
				Mode:    Observe, Shadow: []string{"third"}, Redirect: "https://promo.example.com:8443/a%20b/index.m3u8?from=gate&x=$y",
				SecureToken: SecureToken{Kind: TokenAlta, Secrets: []Key{{Text: "s3cret"}, {File: "/etc/altagate/token"}}},
				Rules: []Rule{
					{Action: RuleAllow, Addresses: []netip.Prefix{
						netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::7/128"), netip.MustParsePrefix("192.0.2.8/32"),
					}},
					{Action: RuleDeny, UserAgents: []string{"curl", "", "Mozilla/5.0 (X"}, Countries: []string{"NO", "DE"}},
					{Action: RulePass},
				},
			},
			{
				Name: "rest", Backends: []string{"portal", "second"}, OnUnavailable: Deny, Grace: 168 * time.Hour, DenyStatus: 403,
				Session: Session{Layout: "auto", Join: []Join{"id", "token", "client"}, Idle: DefaultIdle, Max: DefaultMax},
				Mode:    Enforce,
				SecureToken: SecureToken{
					Kind: TokenSecureLink, Secrets: []Key{{Text: "a s3cret of words"}},
					Expression: "${secure_link_expires}|$uri $secret", Hash: "st", Expires: "E",
				},
			},
		},
	}
	if diff := cmp.Diff(want, show(c), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAnAliasIsTheValueOfItsAnchor(t *testing.T) {
	c, err := Parse(samples(t, "good")["anchors"])
	if err != nil {
		t.Fatal(err)
	}
	if b := c.Backends[1]; b.Name != "copy" || b.Timeout != 500*time.Millisecond || b.URLs[0].String() != "http://10.0.0.5/auth" {
		t.Errorf("got %+v", b)
	}
	if diff := cmp.Diff(c.Routes[0].Backends, c.Routes[1].Backends); diff != "" {
		t.Error(diff)
	}
}

func TestAllMistakesAreReportedAtOnceInTheOrderOfTheFile(t *testing.T) {
	_, err := Parse([]byte("routes:\n  - {name: Live, deny_status: 200, backends: [none]}\n" +
		"backends: {portal: {timeout: 2, url: 10.0.0.5}}\nlog: {level: loud}\n"))
	var mistakes Mistakes
	errors.As(err, &mistakes)
	var got []string
	for _, m := range mistakes {
		got = append(got, fmt.Sprintf("%d:%d %s", m.Line, m.Column, m.Key))
	}
	want := []string{
		"2:12 routes[0].name", "2:31 routes[0].deny_status", "2:47 routes[0].backends[0]",
		"3:30 backends.portal.timeout", "3:38 backends.portal.url", "4:14 log.level",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAnAliasBombIsRefusedAndDoesNotGoOff(t *testing.T) {
	bomb := "backends:\n  a: {url: http://b}\nroutes:\n" +
		"  - &r {name: a, match: {hosts: &h [" + strings.Repeat("tv, ", 3000) + "tv], paths: [/]}, backends: [a]}\n" +
		strings.Repeat("  - *r\n", 3000)
	if _, err := Parse([]byte(bomb)); err == nil || !strings.Contains(err.Error(), "too many values") {
		t.Errorf("got %.300v", err)
	}
	headers := "backends:\n  a: &a {url: http://b, headers: {" + strings.Repeat("'?': 1, ", 10_000) + "}}\n"
	for i := range 10_000 {
		headers += fmt.Sprintf("  b%d: *a\n", i)
	}
	if _, err := Parse([]byte(headers)); err == nil || !strings.Contains(err.Error(), "too many values") {
		t.Errorf("got %.300v", err)
	}
	wide := "backends: {a: {url: http://b}}\nroutes:\n  - name: a\n    backends: [a]\n    match:\n      hosts: ["
	paths := "]\n      paths: ["
	for i := range 1000 {
		wide += fmt.Sprintf("h%d, ", i)
		paths += fmt.Sprintf("/p%d, ", i)
	}
	if _, err := Parse([]byte(wide + paths + "]\n")); err == nil || !strings.Contains(err.Error(), "pairs of host and path") {
		t.Errorf("got %.300v", err)
	}
}

func TestAFileThatIsTooLongIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "long.yaml")
	if err := os.WriteFile(file, bytes.Repeat([]byte("# long\n"), MaxSize/7+10), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file)
	if err == nil || err.Error() != "1:1: the file is longer than 1 MiB" {
		t.Errorf("got %v", err)
	}
}

func TestLoadTellsAMissingFileFromAWrongOne(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	var mistakes Mistakes
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, &mistakes) {
		t.Errorf("missing: got %v", err)
	}
	_, err = Load(filepath.Join("testdata", "bad", "timeout-zero.yaml"))
	if !errors.As(err, &mistakes) || len(mistakes) != 1 {
		t.Errorf("wrong: got %v", err)
	}
	c, err := Load(filepath.Join("testdata", "good", "listen-with-callers.yaml"))
	if err != nil || len(c.Callers) != 1 || c.Callers[0] != netip.MustParsePrefix("0.0.0.0/0") {
		t.Errorf("good: got %v, %v", c, err)
	}
}

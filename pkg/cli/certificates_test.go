package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/test/pki"
)

// secured is a running sidecar whose listeners are served over TLS.
type secured struct {
	*sidecarAt
	grpc             string
	dir, path        string
	servers, clients *pki.Authority
}

func (s *secured) config(backend, more string) string {
	return "listen_tls: {cert: " + s.dir + "/tls.crt, key: " + s.dir + "/tls.key" + more + "}\n" + oneRoute(backend, "")
}

// servingSecurely starts serve with a client_ca, and names where one is given.
func servingSecurely(t *testing.T, names string, args ...string) *secured {
	t.Helper()
	s := &secured{dir: t.TempDir(), servers: pki.New(t, "servers"), clients: pki.New(t, "clients")}
	s.issue(t, "altagate.test")
	pki.Put(t, s.dir, "clients.pem", s.clients.PEM)
	more := ", client_ca: " + s.dir + "/clients.pem"
	if names != "" {
		more += ", client_names: [" + names + "]"
	}
	s.path = file(t, s.config(portal(t).URL, more))
	s.sidecarAt = serving(t, append([]string{"--config", s.path}, args...)...)
	s.grpc = s.log.line(t, `"serving; `)["grpc"].(string)
	return s
}

func (s *secured) issue(t *testing.T, name string) {
	t.Helper()
	pair := s.servers.Issue(t, pki.Leaf{Names: []string{name}})
	pki.Put(t, s.dir, "tls.crt", pair.Cert)
	pki.Put(t, s.dir, "tls.key", pair.Key)
}

// tls is a client's config with the certificate that leaf describes; nil shows none.
func (s *secured) tls(t *testing.T, server string, leaf *pki.Leaf) *tls.Config {
	t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: server}
	c.RootCAs.AppendCertsFromPEM(s.servers.PEM)
	if leaf != nil {
		pair := s.clients.Issue(t, *leaf)
		own, err := tls.X509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c
}

// get gives the status for a check or a page of the admin listener; 0 if there is
// no connection.
func (s *secured) get(t *testing.T, c *tls.Config, method, url string) int {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"X-Original-URI": "/live/index.m3u8?token=123", "X-Original-Method": "GET", "X-Forwarded-Proto": "http",
		"X-Forwarded-Host": "tv.example.com", "X-Real-IP": "192.0.2.7",
	} {
		r.Header.Set(name, value)
	}
	transport := &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	reply, err := (&http.Client{Transport: transport, Timeout: patience}).Do(r)
	if err != nil {
		return 0
	}
	reply.Body.Close()
	return reply.StatusCode
}

// health asks over gRPC as Envoy's connection would.
func (s *secured) health(t *testing.T, c *tls.Config) error {
	t.Helper()
	conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(credentials.NewTLS(c)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err
}

func TestOverTLSWhoShowsACertificateMayAskAndNobodyElse(t *testing.T) {
	s := servingSecurely(t, "edge-1")
	good := s.tls(t, "altagate.test", &pki.Leaf{Names: []string{"edge-1"}})
	if got := s.get(t, good, "GET", "https://"+s.http+"/auth/nginx"); got != 200 {
		t.Errorf("with a certificate: %d", got)
	}
	if err := s.health(t, good); err != nil {
		t.Errorf("with a certificate over gRPC: %v", err)
	}
	for name, c := range map[string]*tls.Config{
		"no certificate": s.tls(t, "altagate.test", nil),
		"another name":   s.tls(t, "altagate.test", &pki.Leaf{Names: []string{"edge-2"}}),
		"expired":        s.tls(t, "altagate.test", &pki.Leaf{Names: []string{"edge-1"}, Expired: true}),
	} {
		if got := s.get(t, c, "GET", "https://"+s.http+"/auth/nginx"); got != 0 {
			t.Errorf("%s: %d", name, got)
		}
		if err := s.health(t, c); err == nil {
			t.Errorf("%s may ask over gRPC", name)
		}
		if got := s.get(t, c, "GET", "https://"+s.admin+"/readyz"); name != "expired" && got != 200 {
			t.Errorf("%s: health wants a certificate: %d", name, got)
		}
	}
	if got := s.get(t, good, "GET", "http://"+s.http+"/auth/nginx"); got == 200 {
		t.Error("may ask without TLS")
	}
	s.log.until(t, "a client at 127.0.0.1 may not ask: it", 1)
}

func TestACertificateIsTakenInWhileServingAndABrokenOneIsNot(t *testing.T) {
	s := servingSecurely(t, "")
	client := &pki.Leaf{}
	s.issue(t, "second.test")
	s.log.until(t, `"message":"certificate reloaded"`, 1)
	if got := s.get(t, s.tls(t, "second.test", client), "GET", "https://"+s.http+"/auth/nginx"); got != 200 {
		t.Errorf("by the new name: %d", got)
	}
	pki.Put(t, s.dir, "tls.key", []byte("broken"))
	s.log.until(t, `"message":"certificate not reloaded: the old one stays in force"`, 1)
	if got := s.get(t, s.tls(t, "second.test", client), "GET", "https://"+s.http+"/auth/nginx"); got != 200 {
		t.Errorf("with a broken key in the file: %d", got)
	}
	metrics := s.metrics(t)
	for _, line := range []string{
		`altagate_certificate_reloads_total{result="ok"} 1`, `altagate_certificate_reloads_total{result="error"} 1`,
		`altagate_certificate_stale{certificate="listen_tls"} 1`, `altagate_certificate_not_after_seconds{certificate="listen_tls"} `,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
	if strings.Contains(s.log.String(), "PRIVATE") {
		t.Error("the log shows a key")
	}
}

func (s *secured) metrics(t *testing.T) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "https://"+s.admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: s.tls(t, "second.test", nil)}
	defer transport.CloseIdleConnections()
	reply, err := (&http.Client{Transport: transport, Timeout: patience}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	var b strings.Builder
	if err := reply.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWhoMayAskByNameChangesWithTheConfig(t *testing.T) {
	s := servingSecurely(t, "edge-1")
	second := s.tls(t, "altagate.test", &pki.Leaf{Names: []string{"edge-2"}})
	if got := s.get(t, second, "GET", "https://"+s.http+"/auth/nginx"); got != 0 {
		t.Fatalf("before: %d", got)
	}
	write(t, s.path, s.config(portal(t).URL, ", client_ca: "+s.dir+"/clients.pem, client_names: [edge-2]"))
	s.log.until(t, `"message":"now in force: `, 1)
	if got := s.get(t, second, "GET", "https://"+s.http+"/auth/nginx"); got != 200 {
		t.Errorf("after: %d", got)
	}
}

// A config that asks for certificates is put in force on listeners that do not:
// they need a restart. Until then whoever comes without one must not get in.
func TestAListenerWithoutTLSDoesNotOpenWhenTheConfigTurnsItOn(t *testing.T) {
	backend := portal(t).URL
	dir, servers := t.TempDir(), pki.New(t, "servers")
	pair := servers.Issue(t, pki.Leaf{})
	pki.Put(t, dir, "tls.crt", pair.Cert)
	pki.Put(t, dir, "tls.key", pair.Key)
	pki.Put(t, dir, "clients.pem", servers.PEM)
	path := file(t, "callers: [192.0.2.1]\n"+oneRoute(backend, ""))
	s := serving(t, "--config", path)
	if got := s.check(t, "/a?token=123"); got != 403 {
		t.Fatalf("who is no caller gets %d", got)
	}
	a := &sidecar{}
	write(t, path, (&secured{dir: dir}).config(backend, ", client_ca: "+dir+"/clients.pem"))
	s.log.until(t, "listen_tls was added or removed", 1)
	if a.callersOf(configOf(t, path)).May(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 9)}) {
		t.Error("anybody may ask over a listener without TLS")
	}
}

func TestAConfigWhoseCertificateIsBrokenIsNotReloaded(t *testing.T) {
	s := servingSecurely(t, "")
	write(t, s.path, s.config(portal(t).URL, ", client_ca: /none.pem"))
	s.log.until(t, "config not reloaded", 1)
	if got := s.get(t, s.tls(t, "altagate.test", &pki.Leaf{}), "GET", "https://"+s.http+"/auth/nginx"); got != 200 {
		t.Errorf("the old config is not in force: %d", got)
	}
}

func TestOffLoopbackACertificateStandsInForCallers(t *testing.T) {
	s := servingSecurely(t, "", "--http", "0.0.0.0:0")
	_, port, err := net.SplitHostPort(s.http)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.get(t, s.tls(t, "altagate.test", &pki.Leaf{}), "GET", "https://127.0.0.1:"+port+"/auth/nginx"); got != 200 {
		t.Errorf("got %d", got)
	}
	if got := s.get(t, s.tls(t, "altagate.test", nil), "GET", "https://127.0.0.1:"+port+"/auth/nginx"); got != 0 {
		t.Errorf("without a certificate: %d", got)
	}
}

func TestWithCallersACertificateAloneIsNotEnough(t *testing.T) {
	s := servingSecurely(t, "", "--callers", "192.0.2.1")
	if got := s.get(t, s.tls(t, "altagate.test", &pki.Leaf{}), "GET", "https://"+s.http+"/auth/nginx"); got != 403 {
		t.Errorf("got %d", got)
	}
}

func TestTheAPIWantsTheTokenAndItIsNowhereShown(t *testing.T) {
	const token = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"
	path := file(t, "admin_token: "+token+"\n"+oneRoute(portal(t).URL, ""))
	s := serving(t, "--config", path, "--admin", "0.0.0.0:0", "--log-level", "debug")
	_, port, err := net.SplitHostPort(s.admin)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(bearer string) int {
		r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+"/api/v1/sessions", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+bearer)
		status, body := exchange(t, r)
		if strings.Contains(body, token) {
			t.Error("the answer shows the token")
		}
		return status
	}
	if with, without := ask(token), ask(token+"x"); with != 200 || without != 401 {
		t.Errorf("with the token %d, with another %d", with, without)
	}
	secret := pki.Put(t, t.TempDir(), "token", []byte(strings.Repeat("b", 40)+"\n"))
	write(t, path, "admin_token: file:"+secret+"\n"+oneRoute(portal(t).URL, ""))
	s.log.until(t, `"message":"now in force: `, 1)
	if with, before := ask(strings.Repeat("b", 40)), ask(token); with != 200 || before != 401 {
		t.Errorf("after a reload: with the new token %d, with the old %d", with, before)
	}
	if strings.Contains(s.log.String(), token) {
		t.Error("the log shows the token")
	}
}

func configOf(t *testing.T, path string) *config.Config {
	t.Helper()
	c, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

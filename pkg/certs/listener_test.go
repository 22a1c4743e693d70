package certs

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/test/pki"
)

// served is a door behind which each line comes back.
type served struct {
	door     *Door
	front    Front
	dir      string
	at       string
	server   *pki.Authority
	clients  *pki.Authority
	troubles chan string
}

func serve(t *testing.T, names ...string) *served {
	t.Helper()
	s := &served{dir: t.TempDir(), server: pki.New(t, "servers"), clients: pki.New(t, "clients"), troubles: make(chan string, 16)}
	pair := s.server.Issue(t, pki.Leaf{Names: []string{"altagate.test"}})
	s.front = Front{Files: Files{
		Cert: pki.Put(t, s.dir, "tls.crt", pair.Cert), Key: pki.Put(t, s.dir, "tls.key", pair.Key),
		CA: pki.Put(t, s.dir, "ca.crt", s.clients.PEM),
	}, Names: names}
	s.door = NewDoor(load(t, s.front), func(line string) { s.troubles <- line })
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.at = l.Addr().String()
	go echo(s.door.Listen(l, "http/1.1", true))
	return s
}

func load(t *testing.T, f Front) *Loaded {
	t.Helper()
	l, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			io.Copy(c, c)
		}()
	}
}

// client is a connection with a certificate; nil shows none.
func (s *served) client(t *testing.T, pair *pki.Pair, change ...func(*tls.Config)) *tls.Conn {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "altagate.test", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	config.RootCAs.AppendCertsFromPEM(s.server.PEM)
	if pair != nil {
		own, err := tls.X509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		// Certificates would be left out if the server's hint does not fit.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	}
	for _, f := range change {
		f(config)
	}
	raw, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.at)
	if err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, config)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// asks tells whether a line comes back.
func asks(c *tls.Conn) bool {
	if _, err := io.WriteString(c, "check\n"); err != nil {
		return false
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && line == "check\n"
}

func issue(t *testing.T, a *pki.Authority, l pki.Leaf) *pki.Pair {
	t.Helper()
	p := a.Issue(t, l)
	return &p
}

func (s *served) says(t *testing.T, words string) {
	t.Helper()
	select {
	case line := <-s.troubles:
		if !strings.Contains(line, words) || !strings.Contains(line, "127.0.0.1") {
			t.Errorf("says %q, not %q", line, words)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("says nothing of %q", words)
	}
}

func TestWhoMayAskByCertificate(t *testing.T) {
	s := serve(t, "edge-1.example.com", "spiffe://example.com/edge")
	for name, leaf := range map[string]pki.Leaf{
		"its name":             {Names: []string{"edge-1.example.com"}},
		"in another case":      {Names: []string{"x.example.com", "Edge-1.Example.com"}},
		"its URI":              {URIs: []string{"spiffe://example.com/edge"}},
		"a URI beside another": {URIs: []string{"spiffe://example.com/x", "spiffe://example.com/edge"}},
	} {
		if c := s.client(t, issue(t, s.clients, leaf)); !asks(c) || c.ConnectionState().DidResume {
			t.Errorf("%s: refused", name)
		}
	}
	good := pki.Leaf{Names: []string{"edge-1.example.com"}}
	expired, serverOnly := good, good
	expired.Expired, serverOnly.ServerOnly = true, true
	for _, test := range []struct {
		name string
		pair *pki.Pair
		says string
	}{
		{"no certificate", nil, "showed no certificate"},
		{"of another authority", issue(t, pki.New(t, "clients"), good), "of no authority in listen_tls.client_ca"},
		{"of the server's authority", issue(t, s.server, good), "of no authority in listen_tls.client_ca"},
		{"expired", issue(t, s.clients, expired), "has run out"},
		{"for servers only", issue(t, s.clients, serverOnly), "is not for clients"},
		{"another name", issue(t, s.clients, pki.Leaf{Names: []string{"edge-2.example.com"}}), "none of the names"},
		{"a wildcard", issue(t, s.clients, pki.Leaf{Names: []string{"*.example.com"}}), "none of the names"},
		{"a longer name", issue(t, s.clients, pki.Leaf{Names: []string{"edge-1.example.com.evil.example"}}), "none of the names"},
		{"another URI", issue(t, s.clients, pki.Leaf{URIs: []string{"spiffe://example.com/edge/x"}}), "none of the names"},
		{"no name", issue(t, s.clients, pki.Leaf{}), "none of the names"},
	} {
		if asks(s.client(t, test.pair)) {
			t.Errorf("%s: may ask", test.name)
		}
		s.says(t, test.says)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	s := serve(t)
	pair := issue(t, s.clients, pki.Leaf{})
	if !asks(s.client(t, pair, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })) {
		t.Error("TLS 1.2 is refused")
	}
	if asks(s.client(t, pair, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })) {
		t.Error("TLS 1.1 is taken")
	}
}

func TestWithoutClientsNobodyMustShowACertificate(t *testing.T) {
	s := serve(t)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.at = l.Addr().String()
	go echo(s.door.Listen(l, "http/1.1", false))
	if !asks(s.client(t, nil)) {
		t.Error("refused")
	}
}

func TestAUnixSocketStaysAsItIs(t *testing.T) {
	s := serve(t)
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if s.door.Listen(l, "http/1.1", true) != l {
		t.Error("TLS on a Unix socket")
	}
}

// swap looks until the files are in force.
func (s *served) swap(t *testing.T) {
	t.Helper()
	for range 3 {
		if _, err := s.door.Keeper().Look(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACertificateIsSwappedWhileServing(t *testing.T) {
	s := serve(t)
	pair := issue(t, s.clients, pki.Leaf{})
	before := s.client(t, pair)
	if !asks(before) {
		t.Fatal("refused")
	}
	next := s.server.Issue(t, pki.Leaf{Names: []string{"altagate.test", "second"}})
	pki.Put(t, s.dir, "tls.crt", next.Cert)
	pki.Put(t, s.dir, "tls.key", next.Key)
	s.swap(t)
	after := s.client(t, pair)
	if !asks(after) || !slices.Contains(after.ConnectionState().PeerCertificates[0].DNSNames, "second") {
		t.Error("a new connection gets the old certificate")
	}
	if !asks(before) {
		t.Error("a connection that was there is cut")
	}
}

func TestAClientThatMayNoLongerAskIsCutOff(t *testing.T) {
	leaf := pki.Leaf{Names: []string{"edge-1"}}
	for name, change := range map[string]func(s *served){
		"its name is gone": func(s *served) {
			s.front.Names = []string{"edge-2"}
			s.door.Put(load(t, s.front))
		},
		"its authority is gone": func(s *served) {
			pki.Put(t, s.dir, "ca.crt", pki.New(t, "others").PEM)
			s.swap(t)
		},
	} {
		s := serve(t, "edge-1", "edge-2")
		c := s.client(t, issue(t, s.clients, leaf))
		both := s.client(t, issue(t, s.clients, pki.Leaf{Names: []string{"edge-1", "edge-2"}}))
		if !asks(c) || !asks(both) {
			t.Fatal("refused")
		}
		change(s)
		if asks(c) {
			t.Errorf("%s: may ask on", name)
		}
		if name == "its name is gone" && !asks(both) {
			t.Error("who has another name is cut off too")
		}
	}
}

func TestWhenCertificatesAreAskedForLaterWhoShowedNoneIsCutOff(t *testing.T) {
	s := serve(t)
	with := s.front
	s.front.Files.CA = ""
	s.door.Put(load(t, s.front))
	c := s.client(t, nil)
	if !asks(c) || s.door.AsksClients() {
		t.Fatal("refused")
	}
	s.door.Put(load(t, with))
	if asks(c) || !s.door.AsksClients() {
		t.Error("may ask on")
	}
}

func TestAFrontNeedsACertificate(t *testing.T) {
	if _, err := (Front{}).Load(); err == nil {
		t.Error("a front without a certificate")
	}
}

package backend

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/pki"
)

// mutual is a backend that wants a certificate of an authority, and allows
// whoever's has the name "altagate".
func mutual(t *testing.T, clients *pki.Authority) (address, ca string) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(clients.PEM)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(r.TLS.PeerCertificates[0].DNSNames, "altagate") {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	address, ca = serveTLS(t, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}, handler)
	return address, ca
}

func client(t *testing.T, dir string, a *pki.Authority, name string) (cert, key string) {
	t.Helper()
	pair := a.Issue(t, pki.Leaf{Names: []string{name}})
	return pki.Put(t, dir, "client.crt", pair.Cert), pki.Put(t, dir, "client.key", pair.Key)
}

// look takes in what the files hold.
func look(t *testing.T, b *Backend) {
	t.Helper()
	for range 3 {
		if _, err := b.Certificates().Look(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestABackendIsShownACertificate(t *testing.T) {
	clients, dir := pki.New(t, "clients"), t.TempDir()
	address, ca := mutual(t, clients)
	cert, key := client(t, dir, clients, "altagate")
	b := start(t, Config{CAFile: ca, ClientCert: cert, ClientKey: key}, address)
	if o := b.Ask(t.Context(), viewer(), s1()); word(o) != "allow" {
		t.Errorf("outcome is %+v", o)
	}
	if trace := b.Trace(t.Context(), viewer(), s1()); word(trace.Outcome) != "allow" {
		t.Errorf("traced outcome is %+v", trace.Outcome)
	}
	if o := start(t, Config{CAFile: ca}, address).Ask(t.Context(), viewer(), s1()); word(o) != "absent" {
		t.Errorf("without a certificate the outcome is %+v", o)
	}
	cert, key = client(t, t.TempDir(), pki.New(t, "clients"), "altagate")
	if o := start(t, Config{CAFile: ca, ClientCert: cert, ClientKey: key}, address).Ask(t.Context(), viewer(), s1()); word(o) != "absent" {
		t.Errorf("with the certificate of another authority the outcome is %+v", o)
	}
}

func TestANewCertificateIsShownWithoutARestart(t *testing.T) {
	clients, dir := pki.New(t, "clients"), t.TempDir()
	address, ca := mutual(t, clients)
	cert, key := client(t, dir, clients, "before")
	b := start(t, Config{CAFile: ca, ClientCert: cert, ClientKey: key}, address)
	if o := b.Ask(t.Context(), viewer(), s1()); word(o) != "deny" {
		t.Fatalf("outcome is %+v", o)
	}
	client(t, dir, clients, "altagate")
	look(t, b)
	if o := b.Ask(t.Context(), viewer(), s1()); word(o) != "allow" {
		t.Errorf("outcome is %+v", o)
	}
	pki.Put(t, dir, "client.key", []byte("broken"))
	var failed bool
	for range 3 {
		_, err := b.Certificates().Look()
		failed = failed || err != nil
	}
	if o := b.Ask(t.Context(), viewer(), s1()); !failed || word(o) != "allow" {
		t.Errorf("with a broken key in the file the outcome is %+v", o)
	}
}

func TestAnAuthorityThatIsNoLongerTrustedIsNot(t *testing.T) {
	address, ca := serveTLS(t, nil)
	b := start(t, Config{CAFile: ca}, address)
	if o := b.Ask(t.Context(), viewer(), s1()); word(o) != "allow" {
		t.Fatalf("outcome is %+v", o)
	}
	if err := os.WriteFile(ca, pki.New(t, "other").PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	look(t, b)
	if o := b.Ask(t.Context(), viewer(), s1()); word(o) == "allow" {
		t.Errorf("outcome is %+v", o)
	}
}

func TestACertificateWithoutItsKeyIsRefused(t *testing.T) {
	cert, key := client(t, t.TempDir(), pki.New(t, "clients"), "altagate")
	for _, c := range []Config{{ClientCert: cert}, {ClientKey: key}, {ClientCert: key, ClientKey: cert}, {ClientCert: "/none", ClientKey: key}} {
		c.URLs = append(c.URLs, mustURL(t, "https://127.0.0.1:1/"))
		if b, err := New(c); err == nil {
			b.Close()
			t.Errorf("%+v is taken", c)
		} else if strings.Contains(err.Error(), "PRIVATE") {
			t.Error(err)
		}
	}
}

package backend

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/altagate/altagate/pkg/certs"
)

const (
	// maxHeader bounds the head of a reply, in bytes.
	maxHeader = 64 << 10
	// maxIdle is how many connections to an address are kept for a burst.
	maxIdle = 64
	// maxIdleTime is how long an unused connection is kept, which is also how
	// soon a quiet backend's changed DNS name is looked up again.
	maxIdleTime = 30 * time.Second
	// maxAge is how soon a busy backend's is.
	maxAge = time.Minute
)

// newTransport makes what sends to the backend: HTTP/1.1, no environment
// proxies, no compression. It is used without http.Client, which would follow
// redirects.
func newTransport(c Config, files *certs.Set) (*http.Transport, error) {
	config, err := newTLS(c, files)
	if err != nil {
		return nil, err
	}
	// One address that swallows packets must leave time for the next one.
	connect := c.Timeout
	if n := len(c.URLs); n > 1 {
		connect = c.Timeout / time.Duration(2*n)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: connect}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    connect,
		Protocols:              &protocols,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    maxIdle,
		IdleConnTimeout:        maxIdleTime,
		MaxResponseHeaderBytes: maxHeader,
	}, nil
}

// sending is how questions are sent with what the files hold.
type sending struct {
	transport *http.Transport
	send      sender
}

func (c Config) files() certs.Files {
	return certs.Files{Cert: c.ClientCert, Key: c.ClientKey, CA: c.CAFile}
}

// prepare reads the files, and makes what sends with them.
func (b *Backend) prepare() error {
	files := b.config.files()
	set, err := certs.Read(files)
	if err != nil {
		return err
	}
	if err := b.sendWith(set); err != nil {
		return err
	}
	if files != (certs.Files{}) {
		b.certs = certs.Keep(files, set, func(s *certs.Set) {
			b.sendWith(s) //nolint:errcheck // only the system's authorities can fail, and New has read them
		})
	}
	return nil
}

// sendWith puts a set in force. Questions under way end with the one before.
func (b *Backend) sendWith(set *certs.Set) error {
	transport, err := newTransport(b.config, set)
	if err != nil {
		return err
	}
	before := b.sending.Swap(&sending{transport, renewing(transport, maxAge)})
	if before != nil {
		before.transport.CloseIdleConnections()
	}
	return nil
}

// Certificates sees the changes of the files that the config names; nil if it
// names none.
func (b *Backend) Certificates() *certs.Keeper { return b.certs }

// renewing sends by a transport. Each age the connections that are not in use are
// closed, so that questions go where the backend's name points to by now: net/http
// keeps a busy connection for ever.
func renewing(t *http.Transport, age time.Duration) sender {
	begun := time.Now()
	var renewed atomic.Int64 // since begun
	return func(r *http.Request) (*http.Response, error) {
		now, before := time.Since(begun), renewed.Load()
		if now-time.Duration(before) > age && renewed.CompareAndSwap(before, int64(now)) {
			t.CloseIdleConnections()
		}
		return t.RoundTrip(r)
	}
}

// newTLS makes the TLS settings. The authorities are read here and not by the
// first handshake: crypto/x509 reads the system's once and keeps what it found,
// so that a moment without descriptors would make each certificate unknown for
// as long as altagate runs.
func newTLS(c Config, files *certs.Set) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, RootCAs: files.Authorities}
	if files.Pair != nil {
		// Without a look at the authorities that the backend names: a certificate of
		// another would silently not be shown.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return files.Pair, nil }
	}
	if files.Authorities != nil {
		return config, nil
	}
	if !usesTLS(c) {
		return config, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's authorities: %w", err)
	}
	config.RootCAs = roots
	return config, nil
}

func usesTLS(c Config) bool {
	if c.Probe != nil && c.Probe.Scheme == "https" {
		return true
	}
	for _, u := range c.URLs {
		if u.Scheme == "https" {
			return true
		}
	}
	return false
}

package backend

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
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
func newTransport(c Config, ca []byte) (*http.Transport, error) {
	config, err := newTLS(c, ca)
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
func newTLS(c Config, ca []byte) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("CA file %s has no certificate: give a PEM file with one at least", c.CAFile)
		}
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

// readCA reads a CA file; without a name there is nothing to read.
func readCA(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	ca, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading CA file: %w", err)
	}
	if len(ca) == 0 {
		return nil, errors.New("CA file " + name + " is empty: give a PEM file with one certificate at least")
	}
	return ca, nil
}

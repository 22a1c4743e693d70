package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Front is how listeners are served over TLS: with which certificate, and to whom.
type Front struct {
	// Files names the certificate to show, and with CA the authorities of clients
	// that ask for checks: without one of theirs none gets through the handshake.
	Files Files
	// Names are those that a client's certificate has one of, as a DNS name or a
	// URI; nil means that any certificate of the authorities will do.
	Names []string
}

// Loaded is a Front whose files were read.
type Loaded struct {
	front Front
	set   *Set
}

// Load reads a Front's files.
func (f Front) Load() (*Loaded, error) {
	set, err := Read(f.Files)
	if err != nil {
		return nil, err
	}
	if set.Pair == nil {
		return nil, errors.New("there is no certificate to show: give one and its key")
	}
	return &Loaded{f, set}, nil
}

// Door serves listeners over TLS with what is in force. It is safe for concurrent
// use.
type Door struct {
	trouble func(line string)
	current atomic.Pointer[Loaded]
	keeper  atomic.Pointer[Keeper]
}

// NewDoor makes a door that serves with l. trouble gets a line for each client
// that was refused for its certificate, without anything that it sent; it must not
// wait.
func NewDoor(l *Loaded, trouble func(line string)) *Door {
	d := &Door{trouble: trouble}
	d.Put(l)
	return d
}

// Put puts l in force. Connections that began before go on if their client would
// get in now, and end otherwise when it next sends something.
func (d *Door) Put(l *Loaded) {
	if before := d.current.Load(); before != nil && before.same(l) {
		return
	}
	d.current.Store(l)
	d.keeper.Store(Keep(l.front.Files, l.set, func(s *Set) {
		d.current.Store(&Loaded{l.front, s})
	}))
}

// Keeper sees the changes of the files in force.
func (d *Door) Keeper() *Keeper { return d.keeper.Load() }

// AsksClients tells whether clients that ask for checks must show a certificate.
func (d *Door) AsksClients() bool { return d.current.Load().set.Authorities != nil }

func (l *Loaded) same(other *Loaded) bool {
	return l.set.contents == other.set.contents && l.front.Files == other.front.Files && slices.Equal(l.front.Names, other.front.Names)
}

// sameClients tells whether both let the same clients in.
func (l *Loaded) sameClients(other *Loaded) bool {
	return l == other || l.set.contents[2] == other.set.contents[2] && slices.Equal(l.front.Names, other.front.Names)
}

// Listen serves TCP connections of l over TLS, with protocol as the ALPN name; a
// Unix socket stays as it is. With clients they must show a certificate where the
// Front says so. The handshake is done by the first Read or Write and bounded by
// whatever deadline they have.
func (d *Door) Listen(l net.Listener, protocol string, clients bool) net.Listener {
	if _, tcp := l.Addr().(*net.TCPAddr); !tcp {
		return l
	}
	return &listener{Listener: l, door: d, protocol: protocol, clients: clients}
}

type listener struct {
	net.Listener
	door     *Door
	protocol string
	clients  bool
}

// Accept gives the next connection, whose handshake has not begun.
func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // it is a listener's
	}
	c := &connection{door: l.door, clients: l.clients}
	c.Conn = tls.Server(raw, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := l.door.current.Load()
			c.loaded = now
			return now.config(l.protocol, l.clients), nil
		},
	})
	return c, nil
}

// config is that of one handshake. Sessions are not resumed, so that each client
// is looked at by what is in force.
func (l *Loaded) config(protocol string, clients bool) *tls.Config {
	c := &tls.Config{
		MinVersion:             tls.VersionTLS12,
		Certificates:           []tls.Certificate{*l.set.Pair},
		NextProtos:             []string{protocol},
		SessionTicketsDisabled: true,
	}
	if clients && l.set.Authorities != nil {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = l.set.Authorities
		c.VerifyConnection = func(s tls.ConnectionState) error { return l.named(s.PeerCertificates) }
	}
	return c
}

var errName = errors.New("the client's certificate has none of the names that may ask")

// named tells whether a client's certificate has one of the names.
func (l *Loaded) named(chain []*x509.Certificate) error {
	if len(l.front.Names) == 0 {
		return nil
	}
	if len(chain) > 0 {
		for _, name := range l.front.Names {
			if has(chain[0], name) {
				return nil
			}
		}
	}
	return errName
}

func has(c *x509.Certificate, name string) bool {
	for _, own := range c.DNSNames {
		if strings.EqualFold(own, name) {
			return true
		}
	}
	for _, own := range c.URIs {
		if own.String() == name {
			return true
		}
	}
	return false
}

// admits tells whether a client that got in at a time before would get in now.
func (l *Loaded) admits(chain []*x509.Certificate, since time.Time) error {
	if l.set.Authorities == nil {
		return nil
	}
	if len(chain) == 0 {
		return errNone
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: l.set.Authorities, Intermediates: between, CurrentTime: since, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("verifying the client's certificate again: %w", err)
	}
	return l.named(chain)
}

var errNone = errors.New("the client showed no certificate")

// connection is one that came through a door.
type connection struct {
	*tls.Conn
	door    *Door
	clients bool
	// loaded is what the client was looked at by, and since when that was. They
	// are set by the handshake, and then read and set by Read alone, which has one
	// caller at a time.
	loaded *Loaded
	since  time.Time
}

// Read reads, and ends the connection of a client that may no longer ask.
func (c *connection) Read(p []byte) (int, error) {
	if c.since.IsZero() {
		if err := c.Conn.HandshakeContext(context.Background()); err != nil {
			c.tell(err)
			return 0, err //nolint:wrapcheck // it is a connection's
		}
		c.since = time.Now()
	}
	n, err := c.Conn.Read(p)
	if now := c.door.current.Load(); n > 0 && c.clients && now != c.loaded {
		if !now.sameClients(c.loaded) {
			if gone := now.admits(c.ConnectionState().PeerCertificates, c.since); gone != nil {
				c.tell(gone)
				c.Conn.Close() //nolint:errcheck // the error before it is the one to tell
				return 0, gone
			}
		}
		c.loaded = now
	}
	return n, err //nolint:wrapcheck // it is a connection's
}

// tell tells why a client was refused, if that was for its certificate: what
// knocks at a port beside proxies is no news.
func (c *connection) tell(err error) {
	why := reason(err)
	if why == "" || c.door.trouble == nil {
		return
	}
	host, _, splitErr := net.SplitHostPort(c.RemoteAddr().String())
	if splitErr == nil {
		c.door.trouble("a client at " + host + " may not ask: " + why)
	}
}

func reason(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, errName):
		return "its certificate has none of the names in listen_tls.client_names"
	case errors.Is(err, errNone), strings.Contains(err.Error(), "client didn't provide a certificate"):
		return "it showed no certificate, and listen_tls.client_ca wants one"
	case errors.As(err, &unknown):
		return "its certificate is of no authority in listen_tls.client_ca"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has run out, or is not valid yet"
	case errors.As(err, &invalid):
		return "its certificate is not for clients, or cannot be verified"
	default:
		return ""
	}
}

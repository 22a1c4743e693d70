package config

import (
	"bytes"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// ListenTLS says how the TCP listeners are served over TLS. The zero value is not at
// all. A relative path begins at the working directory.
type ListenTLS struct {
	// Cert and Key are PEM files: the certificate to show, with those that lead to
	// its authority after it, and its private key. Both or none.
	Cert, Key string
	// ClientCA is a PEM file with the authorities of clients that may ask for checks;
	// "" means that none has to show a certificate.
	ClientCA string
	// ClientNames are the DNS names and URIs of which a client's certificate has one.
	// nil means that any certificate of ClientCA will do.
	ClientNames []string
}

// On tells whether TCP listeners are served over TLS.
func (t ListenTLS) On() bool { return t.Cert != "" }

// Equal tells whether both say the same.
func (t ListenTLS) Equal(other ListenTLS) bool {
	return t.Cert == other.Cert && t.Key == other.Key && t.ClientCA == other.ClientCA && slices.Equal(t.ClientNames, other.ClientNames)
}

const exampleTLS = "listen_tls: {cert: /etc/altagate/tls.crt, key: /etc/altagate/tls.key}"

func readListenTLS(v value) ListenTLS {
	keys := v.section(exampleTLS, "cert", "key", "client_ca", "client_names")
	v.need(keys, "cert", "names no certificate: write "+exampleTLS)
	v.need(keys, "key", "names no key: write "+exampleTLS)
	t := ListenTLS{Cert: readPEM(keys["cert"]), Key: readPEM(keys["key"]), ClientCA: readPEM(keys["client_ca"])}
	names := keys["client_names"]
	if names.present() && !keys["client_ca"].present() {
		names.wrong("needs client_ca: a name says nothing without the authority that vouches for it")
	}
	lines := map[string]int{}
	for _, item := range names.list("client_names: [edge-1.example.com]") {
		name, ok := item.text()
		if !ok {
			continue
		}
		if line, twice := lines[name]; twice {
			item.wrong("is in the list twice, first at line %d", line)
			continue
		}
		lines[name] = item.node.Line
		if !isClientName(name) {
			item.wrong("is neither a DNS name nor a URI: write edge-1.example.com or spiffe://example.com/edge, as the certificate has it")
			continue
		}
		t.ClientNames = append(t.ClientNames, name)
	}
	return t
}

// isClientName takes what a certificate can have as a DNS name or a URI. An address
// and a wildcard are none: callers is for addresses.
func isClientName(name string) bool {
	if u, err := url.Parse(name); err == nil && u.Scheme != "" && u.Host != "" {
		return u.String() == name
	}
	_, err := netip.ParseAddr(name)
	return err != nil && isHostName(name)
}

// readPEM reads the path of a PEM file.
func readPEM(v value) string {
	path, ok := v.text()
	if !ok {
		return ""
	}
	err := checkFile(path)
	if path == "" {
		err = errors.New("is empty: write the path of a PEM file")
	}
	if err != nil {
		v.wrong("%v", err)
	}
	return path
}

// readTLS reads the keys of a backend that have a meaning for https only.
func readTLS(keys map[string]value, b *Backend) {
	useless := len(b.URLs) > 0 && !slices.ContainsFunc(b.URLs, isHTTPS) && !isHTTPS(b.Probe)
	for _, name := range []string{"ca_file", "server_name", "client_cert", "client_key"} {
		if keys[name].present() && useless {
			keys[name].wrong("is for https, and no URL of this backend begins with https://")
		}
	}
	ca, ok := keys["ca_file"].text()
	if ok && ca == "" {
		keys["ca_file"].wrong("is empty: write the path of a PEM file, or leave the key out for the system's CAs")
	}
	b.CAFile = ca
	name, ok := keys["server_name"].text()
	if _, err := netip.ParseAddr(name); ok && err != nil && !isHostName(name) {
		keys["server_name"].wrong("%s is not a name that a certificate has: write it without scheme and port", quote(name))
	}
	b.ServerName = name
	b.ClientCert, b.ClientKey = readPEM(keys["client_cert"]), readPEM(keys["client_key"])
	for name, other := range map[string]string{"client_cert": "client_key", "client_key": "client_cert"} {
		if keys[name].present() && !keys[other].present() {
			keys[name].wrong("needs %s too: a certificate is shown with its key", other)
		}
	}
}

// readAdminToken reads the token as a secret. It is sent in a header, so it is made
// of visible ASCII characters.
func readAdminToken(v value) Key {
	text, ok := v.text()
	if !ok {
		return Key{}
	}
	k, err := parseKey(text, MinKeySize)
	if err == nil && k.File == "" {
		err = checkToken([]byte(k.Text))
	}
	if err != nil {
		v.wrong("%v", err)
		return Key{}
	}
	return k
}

func checkToken(token []byte) error {
	if bytes.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return errors.New("has a character that a header cannot carry: make one with openssl rand -base64 32")
	}
	return nil
}

// LoadToken gives the admin token, from its file if it has one; nil if there is
// none. The error shows nothing of it.
func LoadToken(k Key) ([]byte, error) {
	if k == (Key{}) {
		return nil, nil
	}
	secrets, err := LoadKeys([]Key{k})
	if err == nil {
		err = checkToken(secrets[0])
	}
	if err != nil {
		return nil, errors.New("admin_token: " + strings.TrimPrefix(err.Error(), "keys[0]: "))
	}
	return secrets[0], nil
}

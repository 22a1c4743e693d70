// Package certs keeps certificates that are in files: it reads them, sees when
// the files change, and puts what they hold in force when it is whole. What is
// broken leaves the old in force.
package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// maxFile is the most bytes of a file that are read: 1 MiB, as for a Kubernetes
// Secret.
const maxFile = 1 << 20

// Files names PEM files. A relative path begins at the working directory. The zero
// value names none.
type Files struct {
	// Cert is the certificate to show, with those that lead to its authority after
	// it, and Key its private key: both or none.
	Cert, Key string
	// CA holds the only authorities that are trusted; "" means that others are.
	CA string
}

// Set is what the files hold. It is never changed.
type Set struct {
	// Pair is the certificate to show with its key; nil if Files names none.
	Pair *tls.Certificate
	// Authorities are those of CA; nil if Files names none.
	Authorities *x509.CertPool
	contents    contents
}

// contents are the bytes of Cert, Key and CA.
type contents [3]string

// NotAfter is when the certificate to show runs out; the zero Time if there is none.
func (s *Set) NotAfter() time.Time {
	if s.Pair == nil {
		return time.Time{}
	}
	return s.Pair.Leaf.NotAfter
}

// notBefore is when the certificate to show begins to be good; the zero Time if there
// is none.
func (s *Set) notBefore() time.Time {
	if s.Pair == nil {
		return time.Time{}
	}
	return s.Pair.Leaf.NotBefore
}

// Read reads the files. The error says which one is wrong, and nothing of a key.
// A certificate that has run out is no error here.
func Read(f Files) (*Set, error) {
	data, err := f.read()
	if err != nil {
		return nil, err
	}
	return f.parse(data)
}

func (f Files) read() (contents, error) {
	var all contents
	if (f.Cert == "") != (f.Key == "") {
		return all, errors.New("a certificate and its key go together: give both files or none")
	}
	for i, file := range []struct{ what, path string }{{"certificate", f.Cert}, {"key", f.Key}, {"CA file", f.CA}} {
		if file.path == "" {
			continue
		}
		data, err := readFile(file.path)
		if err != nil {
			return all, fmt.Errorf("reading %s: %w", file.what, err)
		}
		if len(data) == 0 {
			return all, fmt.Errorf("%s %s is empty: give a PEM file", file.what, file.path)
		}
		all[i] = string(data)
	}
	return all, nil
}

func readFile(path string) ([]byte, error) {
	// A pipe would hold up whoever opens it.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // read says what it is about
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err //nolint:wrapcheck // as above
	}
	defer func() { _ = file.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is longer than 1 MiB", path)
	}
	return data, err
}

func (f Files) parse(data contents) (*Set, error) {
	s := &Set{contents: data}
	if f.Cert != "" {
		pair, err := tls.X509KeyPair([]byte(data[0]), []byte(data[1]))
		if err != nil {
			return nil, fmt.Errorf("certificate %s and key %s cannot be used: %w", f.Cert, f.Key, err)
		}
		s.Pair = &pair
	}
	if f.CA != "" {
		s.Authorities = x509.NewCertPool()
		if !s.Authorities.AppendCertsFromPEM(bytes.TrimSpace([]byte(data[2]))) {
			return nil, fmt.Errorf("CA file %s has no certificate: give a PEM file with one at least", f.CA)
		}
	}
	return s, nil
}

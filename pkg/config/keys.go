package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The bounds on keys.
const (
	// MaxKeys is how many there can be.
	MaxKeys = 16
	// MinKeySize is how many bytes a secret has at least.
	MinKeySize = 32
	// MaxKeySize is how many it has at most.
	MaxKeySize = 4096
)

const (
	exampleKeys = "keys: [file:/etc/altagate/key]"
	keyFile     = "file:"
)

// Key is one of Config.Keys: a secret, or the file that holds one. One of the
// two fields is set.
type Key struct {
	// Text is the secret and must never be printed.
	Text string
	// File is the absolute path of a file with the secret.
	File string
}

// String shows the file, and nothing of a secret.
func (k Key) String() string {
	if k.File != "" {
		return keyFile + k.File
	}
	return "***"
}

// GoString is String, so that no verb of package fmt shows a secret.
func (k Key) GoString() string { return k.String() }

// readKeys reads the secrets. No mistake shows one, nor what may have been meant
// as one.
func readKeys(v value) []Key { return readSecrets(v, exampleKeys, MinKeySize) }

// readSecrets reads secrets of at least so many bytes.
func readSecrets(v value, example string, least int) []Key {
	items := v.list(example)
	if len(items) > MaxKeys {
		v.wrong("has %d secrets, and %d is the most: remove the oldest", len(items), MaxKeys)
		return nil
	}
	var keys []Key
	lines := map[Key]int{}
	for _, item := range items {
		text, ok := item.text()
		if !ok {
			continue
		}
		k, err := parseKey(text, least)
		if err != nil {
			item.wrong("%v", err)
			continue
		}
		if line, twice := lines[k]; twice {
			item.wrong("is in the list twice, first at line %d", line)
			continue
		}
		lines[k] = item.node.Line
		keys = append(keys, k)
	}
	return keys
}

// parseKey reads one entry. Its errors show nothing of it.
func parseKey(text string, least int) (Key, error) {
	if len(text) >= len(keyFile) && strings.EqualFold(text[:len(keyFile)], keyFile) {
		path := text[len(keyFile):]
		if !strings.HasPrefix(path, "/") {
			return Key{}, errors.New("has no whole path after file: as in file:/etc/altagate/key")
		}
		if err := checkFile(path); err != nil {
			return Key{}, err
		}
		return Key{File: path}, nil
	}
	// A path that was taken for the secret could be guessed.
	if strings.HasPrefix(text, "/") {
		return Key{}, errors.New("begins with /, as a path does: write file:/path for a secret in a file, or another secret")
	}
	secret := withoutNewline([]byte(text))
	if err := checkSecret(secret, least); err != nil {
		return Key{}, err
	}
	return Key{Text: string(secret)}, nil
}

func checkSecret(secret []byte, least int) error {
	switch {
	case len(secret) == 0 && least == 1:
		return errEmptySecret
	case len(secret) < least:
		return fmt.Errorf("has %d bytes, and a secret has at least %d: make one with openssl rand -base64 32, "+
			"and write it here or as file:/path", len(secret), least)
	case len(secret) > MaxKeySize:
		return fmt.Errorf("has more than %d bytes: make a secret with openssl rand -base64 32", MaxKeySize)
	}
	return nil
}

// withoutNewline takes the newline off that editors and most programs end a file
// with.
func withoutNewline(secret []byte) []byte {
	secret, cut := bytes.CutSuffix(secret, []byte("\n"))
	if cut {
		secret = bytes.TrimSuffix(secret, []byte("\r"))
	}
	return secret
}

// LoadKeys gives the secrets of keys in their order, and reads the files among
// them; nil if there are none. The error says which entry is wrong, and shows no
// secret.
func LoadKeys(keys []Key) ([][]byte, error) { return loadSecrets("keys", keys, MinKeySize) }

// loadSecrets gives secrets of at least so many bytes. at is the key that they are under.
func loadSecrets(at string, keys []Key, least int) ([][]byte, error) {
	var secrets [][]byte
	for i, k := range keys {
		secret := []byte(k.Text)
		if k.File != "" {
			var err error
			if secret, err = readSecret(k.File, least); err != nil {
				return nil, fmt.Errorf("%s[%d]: %w", at, i, err)
			}
		}
		for j, before := range secrets {
			if bytes.Equal(before, secret) {
				return nil, fmt.Errorf("%s[%d] is the same secret as %s[%d]: remove one of them", at, i, at, j)
			}
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

func readSecret(path string, least int) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("reading the secret: %w", err)
	}
	defer func() { _ = f.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(f, MaxKeySize+3))
	if err != nil {
		return nil, fmt.Errorf("reading the secret: %w", err)
	}
	secret := withoutNewline(data)
	if err := checkSecret(secret, least); err != nil {
		return nil, fmt.Errorf("the secret in %s %w", path, err)
	}
	return secret, nil
}

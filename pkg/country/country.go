// Package country knows in which country an address is, by an MMDB file that the
// operator gives. It is the only package that knows that format.
package country

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"

	"github.com/oschwald/maxminddb-golang/v2"
)

// MaxSize is the longest file in bytes. It is held in memory.
const MaxSize = 512 << 20

// File is the content of one MMDB file. It is safe for concurrent use.
type File struct {
	reader *maxminddb.Reader
	// path leads to the code in a record.
	path []any
	// texts are *string, since what is decoded into would be allocated otherwise.
	texts sync.Pool
}

// Open reads a file into memory, so that it can be replaced in any way, and verifies
// it. An error says why it is of no use.
func Open(name string) (*File, error) {
	f, err := open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the countries in %s: %w", name, err)
	}
	return f, nil
}

func open(name string) (*File, error) {
	data, err := read(name)
	if err != nil {
		return nil, err
	}
	return parse(data)
}

func parse(data []byte) (*File, error) {
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, err
	}
	if err := reader.Verify(); err != nil {
		return nil, err
	}
	path, err := find(reader)
	if err != nil {
		return nil, err
	}
	return &File{reader: reader, path: path, texts: sync.Pool{New: func() any { return new(string) }}}, nil
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // The operator names the file.
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err == nil && len(data) > MaxSize {
		err = fmt.Errorf("it has more than %d bytes: a file of countries alone is smaller", MaxSize)
	}
	return data, err
}

// find gives the path to the code of a country. GeoLite2, DB-IP and their kin have
// country.iso_code, other publishers a plain country_code or country.
func find(reader *maxminddb.Reader) ([]any, error) {
	for record := range reader.Networks() {
		for _, path := range [][]any{{"country", "iso_code"}, {"country_code"}, {"country"}} {
			var code string
			if record.DecodePath(&code, path...) == nil && isCode(code) {
				return path, nil
			}
		}
	}
	return nil, errors.New("no record has country.iso_code, country_code or a two-letter country: is it a file of countries or cities?")
}

func isCode(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}

// Of gives the ISO 3166-1 alpha-2 code of the country that an address is in, in upper
// case; "" where the file does not say.
func (f *File) Of(addr netip.Addr) string {
	text := f.texts.Get().(*string) //nolint:errcheck,forcetypeassert // The pool holds nothing else.
	defer f.texts.Put(text)
	*text = ""
	if f.reader.Lookup(addr).DecodePath(text, f.path...) != nil || !isCode(*text) {
		return ""
	}
	return *text
}

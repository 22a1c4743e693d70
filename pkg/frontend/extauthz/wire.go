package extauthz

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/altagate/altagate/pkg/frontend"
)

// Envoy's messages are plain: each field once, no oddities. Such a one is read
// here, straight from the bytes, at a tenth of what the generated code costs. Any
// other is left to the generated code, which alone knows what unusual and broken
// messages mean: fields that are there twice, merged or unknown, text that is not
// UTF-8. What is read here must be what the generated code would have given.

// The headers of a check that are read.
const (
	methodHeader    = ":method"
	schemeHeader    = ":scheme"
	authorityHeader = ":authority"
	pathHeader      = ":path"
	agentHeader     = "user-agent"
	cookieHeader    = "cookie"
)

// field is one field of a message. Value is the text, bytes or message; nil for a
// number.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  []byte
}

// walk gives each field of a message to take. It reports false when the message
// is not plain: take did not know a field, one is there twice that is not
// repeated, or the bytes are no message.
func walk(message []byte, repeated protowire.Number, take func(field) bool) bool {
	var seen uint64
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 || number > 63 {
			return false
		}
		if was := seen & (1 << number); was != 0 && number != repeated {
			return false
		}
		seen |= 1 << number
		f := field{number: number, kind: kind}
		message = message[n:]
		switch kind {
		case protowire.BytesType:
			f.value, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			_, n = protowire.ConsumeVarint(message)
		default:
			return false
		}
		if n < 0 || !take(f) {
			return false
		}
		message = message[n:]
	}
	return true
}

// isText tells whether a field is a string that a message may carry.
func (f field) isText() bool { return f.kind == protowire.BytesType && utf8.Valid(f.value) }

// text sets into to a field that is a string.
func (f field) text(into *[]byte) bool {
	*into = f.value
	return f.isText()
}

// plain is what a plain message said.
type plain struct {
	route, address             []byte
	method, scheme, host, path []byte
	headers                    plainHeaders
}

// readPlain reads an envoy.service.auth.v3.CheckRequest into said, and reports
// false if it is not plain; said may have been written to all the same. Nothing
// of said is a part of message.
func readPlain(message []byte, said *frontend.Context) bool {
	p := plain{headers: plainHeaders{said: said}}
	ok := walk(message, 0, func(f field) bool {
		return f.number == 1 && f.kind == protowire.BytesType && p.readAttributes(f.value)
	})
	if !ok {
		return false
	}
	said.Route = string(p.route)
	said.Method = known(orOnly(p.method, p.headers.method))
	said.Scheme = known(orOnly(p.scheme, p.headers.scheme))
	said.Host = string(orOnly(p.host, p.headers.authority))
	said.Address = string(p.address)
	switch p.headers.path.count {
	case 0:
		said.Target = string(p.path)
	case 1:
		said.Target = string(p.headers.path.first)
	}
	return true
}

// readAttributes reads an AttributeContext.
func (p *plain) readAttributes(message []byte) bool {
	const extensions = 10
	named := false
	return walk(message, extensions, func(f field) bool {
		switch {
		case f.kind != protowire.BytesType:
			return false
		case f.number == 1:
			return readPeer(f.value, &p.address)
		case f.number == 2:
			var destination []byte
			return readPeer(f.value, &destination)
		case f.number == 4:
			return p.readRequest(f.value)
		case f.number == extensions:
			key, value, ok := readEntry(f.value)
			if string(key) == routeExtension {
				ok = ok && !named
				named, p.route = true, value
			}
			return ok
		case f.number == 11 || f.number == 13: // the metadata contexts
			return len(f.value) == 0
		case f.number == 12: // the TLS session's server name
			return walk(f.value, 0, func(f field) bool { return f.number == 1 && f.isText() })
		default:
			return false
		}
	})
}

// readPeer reads a Peer, and of it the address of its socket.
func readPeer(message []byte, address *[]byte) bool {
	return walk(message, 0, func(f field) bool {
		switch {
		case f.number == 1 && f.kind == protowire.BytesType:
			return walk(f.value, 0, func(f field) bool {
				return f.number == 1 && f.kind == protowire.BytesType && readSocketAddress(f.value, address)
			})
		case f.number == 2 || f.number == 4 || f.number == 5: // service, principal, certificate
			return f.isText()
		default:
			return false
		}
	})
}

func readSocketAddress(message []byte, address *[]byte) bool {
	return walk(message, 0, func(f field) bool {
		switch {
		case f.number == 2:
			return f.text(address)
		case f.number == 1 || f.number == 3: // protocol, port
			return f.kind == protowire.VarintType
		default:
			return false
		}
	})
}

// readRequest reads an AttributeContext.Request: a time, and the HTTP request.
func (p *plain) readRequest(message []byte) bool {
	return walk(message, 0, func(f field) bool {
		switch {
		case f.kind != protowire.BytesType:
			return false
		case f.number == 1:
			return walk(f.value, 0, func(f field) bool { return f.number <= 2 && f.kind == protowire.VarintType })
		case f.number == 2:
			return p.readHTTP(f.value)
		default:
			return false
		}
	})
}

// readHTTP reads an AttributeContext.HttpRequest.
func (p *plain) readHTTP(message []byte) bool {
	const headers = 3
	mapped, listed := false, false
	ok := walk(message, headers, func(f field) bool {
		switch f.number {
		case 2:
			return f.text(&p.method)
		case headers:
			key, value, ok := readEntry(f.value)
			mapped = true
			// A name that is there twice: the last one has it.
			return ok && f.kind == protowire.BytesType && !p.headers.has(key) && p.headers.take(key, value)
		case 4:
			return f.text(&p.path)
		case 5:
			return f.text(&p.host)
		case 6:
			return f.text(&p.scheme)
		case 1, 7, 8, 10, 11: // id, query, fragment, protocol, body
			return f.isText()
		case 9: // size
			return f.kind == protowire.VarintType
		case 12: // raw_body
			return f.kind == protowire.BytesType
		case 13:
			listed = true
			return f.kind == protowire.BytesType && walk(f.value, 1, p.headers.readListed)
		default:
			return false
		}
	})
	// A list that is empty leaves the map in force, and any other does not.
	return ok && !(mapped && listed)
}

// readEntry reads an entry of a map of strings.
func readEntry(message []byte) (key, value []byte, ok bool) {
	ok = walk(message, 0, func(f field) bool {
		if f.number == 1 {
			return f.text(&key)
		}
		return f.number == 2 && f.text(&value)
	})
	return key, value, ok
}

// plainHeaders are the headers of a request that are read: the pseudo headers
// here, the others in said.
type plainHeaders struct {
	method, scheme, authority, path values
	said                            *frontend.Context
}

// values are those of one header.
type values struct {
	first []byte
	count int
}

func (v *values) add(value []byte) {
	if v.count == 0 {
		v.first = value
	}
	v.count++
}

// readListed reads a HeaderMap's field: one HeaderValue, which has its value as
// text or as bytes.
func (h *plainHeaders) readListed(f field) bool {
	var key, value, raw []byte
	ok := f.number == 1 && f.kind == protowire.BytesType && walk(f.value, 0, func(f field) bool {
		switch f.number {
		case 1:
			return f.text(&key)
		case 2:
			return f.text(&value)
		case 3:
			raw = f.value
			return f.kind == protowire.BytesType
		default:
			return false
		}
	})
	if len(raw) > 0 {
		value = raw
	}
	return ok && h.take(key, value)
}

// take notes a header. It is always true.
func (h *plainHeaders) take(key, value []byte) bool {
	switch string(key) {
	case methodHeader:
		h.method.add(value)
	case schemeHeader:
		h.scheme.add(value)
	case authorityHeader:
		h.authority.add(value)
	case pathHeader:
		h.path.add(value)
	case agentHeader:
		h.said.UserAgents = append(h.said.UserAgents, string(value))
	case cookieHeader:
		h.said.Cookies = append(h.said.Cookies, string(value))
	}
	return true
}

// has tells whether a header was noted.
func (h *plainHeaders) has(key []byte) bool {
	switch string(key) {
	case methodHeader:
		return h.method.count > 0
	case schemeHeader:
		return h.scheme.count > 0
	case authorityHeader:
		return h.authority.count > 0
	case pathHeader:
		return h.path.count > 0
	case agentHeader:
		return len(h.said.UserAgents) > 0
	case cookieHeader:
		return len(h.said.Cookies) > 0
	default:
		return false
	}
}

// orOnly is value, or where it is empty the header that is there once.
func orOnly(value []byte, header values) []byte {
	if len(value) == 0 && header.count == 1 {
		return header.first
	}
	return value
}

// known is a text, without a copy of it if it is one of the usual.
func known(text []byte) string {
	switch string(text) {
	case "GET":
		return "GET"
	case "HEAD":
		return "HEAD"
	case "http":
		return "http"
	case "https":
		return "https"
	default:
		return string(text)
	}
}

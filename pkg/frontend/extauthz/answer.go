package extauthz

import (
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
)

// reply is the bytes of an envoy.service.auth.v3.CheckResponse. They are written
// here because the generated code costs eight times as much.
type reply []byte

// replyRoom is room for a reply with a session and a user of usual length.
const replyRoom = 512

// answer tells Envoy the decision. Envoy decides by status.code alone and takes
// a missing one for OK, so a denial always has one. The dynamic metadata is for Envoy's
// access log; a denial has nothing else that a viewer could see.
func answer(d check.Decision) *reply {
	fields := frontend.Fields(&d)
	b := make(reply, 0, replyRoom)
	if d.Allow {
		b = b.status(codes.OK)
		b = b.upstreamHeaders(&fields)
	} else {
		b = b.status(codes.PermissionDenied)
		b = b.denied(denialStatus(&d), frontend.Redirect(&d))
	}
	b = b.dynamicMetadata(d.Route, &fields)
	return &b
}

// denialStatus is what the viewer gets. Envoy would show a 2xx as a success.
func denialStatus(d *check.Decision) uint64 {
	if frontend.Redirect(d) != "" {
		return http.StatusFound
	}
	if d.Status < 400 || d.Status > 599 {
		return http.StatusForbidden
	}
	return uint64(d.Status)
}

// status is a google.rpc.Status. It is there for OK too, whose code is no byte.
func (b reply) status(code codes.Code) reply {
	b, at := b.begin(1)
	if code != codes.OK {
		b = b.number(1, uint64(code))
	}
	return b.end(at)
}

// denied is a DeniedHttpResponse with the viewer's status and, if there is one, the
// location that he is sent to.
func (b reply) denied(status uint64, location string) reply {
	b, response := b.begin(2)
	b, at := b.begin(1)
	b = b.number(1, status).end(at)
	if location != "" {
		var option int
		b, option = b.begin(2)
		b, at = b.begin(1)
		b = b.text(1, "location").text(2, location).end(at).end(option)
	}
	return b.end(response)
}

// upstreamHeaders is an OkHttpResponse that sets the headers which the upstream
// gets, in place of a viewer's own, and removes a viewer's own of those that are
// not set.
func (b reply) upstreamHeaders(fields *[frontend.FieldCount]frontend.Field) reply {
	b, response := b.begin(3)
	for i := range fields {
		f := &fields[i]
		if f.Value == "" {
			b = b.text(5, f.Lower)
			continue
		}
		var option, at int
		b, option = b.begin(2)
		b, at = b.begin(1)
		b = b.text(1, f.Lower).text(2, f.Value).end(at)
		// An append that is false, as a message of its own: Envoy ignores
		// append_action and raw_value here, and drops a header with append: true
		// that the viewer did not send.
		b, at = b.begin(2)
		b = b.end(at).end(option)
	}
	return b.end(response)
}

// dynamicMetadata is a Struct: what Envoy keeps about the request under "altagate".
func (b reply) dynamicMetadata(route string, fields *[frontend.FieldCount]frontend.Field) reply {
	b, metadata := b.begin(4)
	b, entry := b.begin(1)
	b, value := b.text(1, "altagate").begin(2)
	b, inner := b.begin(5)
	if route != "" {
		b = b.entry("route", strings.ToValidUTF8(route, "?"))
	}
	for i := range fields {
		if f := &fields[i]; f.Key != "" && f.Value != "" {
			b = b.entry(f.Key, f.Value)
		}
	}
	return b.end(inner).end(value).end(entry).end(metadata)
}

// entry is a string in a Struct.
func (b reply) entry(key, text string) reply {
	b, entry := b.begin(1)
	b, value := b.text(1, key).begin(2)
	return b.text(3, text).end(value).end(entry)
}

func (b reply) number(field protowire.Number, v uint64) reply {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func (b reply) text(field protowire.Number, s string) reply {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

// begin begins a message in a field, with one byte for its length. What is
// appended until end is the message.
func (b reply) begin(field protowire.Number) (more reply, at int) {
	b = append(protowire.AppendTag(b, field, protowire.BytesType), 0)
	return b, len(b)
}

// end writes the length of the message that began at a place, and makes room for
// it if it has more than one byte.
func (b reply) end(at int) reply {
	length := len(b) - at
	if length < 0x80 {
		b[at-1] = byte(length) //nolint:gosec // below 128
		return b
	}
	var room [9]byte
	more := protowire.SizeVarint(uint64(length)) - 1
	b = append(b, room[:more]...)
	copy(b[at+more:], b[at:at+length])
	protowire.AppendVarint(b[:at-1], uint64(length))
	return b
}

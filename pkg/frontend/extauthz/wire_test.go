package extauthz

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/altagate/altagate/pkg/frontend"
)

// sent is the bytes of what Envoy's filter sends by default, or with
// encode_raw_headers.
func sent(t testing.TB, raw bool) []byte {
	t.Helper()
	peer := func(port uint32) *authv3.AttributeContext_Peer {
		return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
			SocketAddress: &corev3.SocketAddress{Address: "192.0.2.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}},
		}}}
	}
	http := &authv3.AttributeContext_HttpRequest{
		Id: "1234", Method: "GET", Scheme: "https", Host: "tv.example.com", Path: "/live/a.m3u8?token=1", Protocol: "HTTP/1.1",
	}
	in := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: peer(4711), Destination: peer(8082),
		Request:         &authv3.AttributeContext_Request{Time: timestamppb.Now(), Http: http},
		MetadataContext: &corev3.Metadata{}, RouteMetadataContext: &corev3.Metadata{},
		ContextExtensions: map[string]string{"altagate.route": "vod"},
	}}
	headers := map[string]string{
		":authority": "tv.example.com", ":method": "GET", ":path": "/live/a.m3u8?token=1", ":scheme": "https", "accept": "*/*",
		"cookie": "a=b", "user-agent": "player/1.0", "x-forwarded-proto": "https", "x-request-id": "f00",
	}
	if raw {
		http.HeaderMap = &corev3.HeaderMap{}
		for key, value := range headers {
			http.HeaderMap.Headers = append(http.HeaderMap.Headers, &corev3.HeaderValue{Key: key, RawValue: []byte(value)})
		}
	} else {
		http.Headers = headers
	}
	b, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatEnvoySendsIsReadWithoutTheGeneratedCode(t *testing.T) {
	for _, raw := range []bool{false, true} {
		b := sent(t, raw)
		var m message
		m.said = frontend.Context{UserAgents: m.agents[:0], Cookies: m.cookies[:0]}
		if !readPlain(b, &m.said) {
			t.Fatalf("raw headers %v: it is not plain", raw)
		}
		mustReadAlike(t, b)
		// The route, host, target, address, User-Agent and cookie are copied.
		if n := testing.AllocsPerRun(100, func() { m.read(b) }); n > 6 {
			t.Errorf("raw headers %v: %v allocations", raw, n)
		}
	}
}

// mustReadAlike fails if a message is read otherwise than the generated code does.
func mustReadAlike(t testing.TB, b []byte) {
	t.Helper()
	var fast frontend.Context
	if !readPlain(b, &fast) {
		return
	}
	in := &authv3.CheckRequest{}
	if err := proto.Unmarshal(b, in); err != nil {
		t.Fatalf("read %+v of what cannot be read: %v\n%x", fast, err, b)
	}
	slow := read(in)
	slow.Proxy = ""
	if diff := cmp.Diff(slow, fast, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("(-generated code +altagate) of %x\n%s", b, diff)
	}
}

// TestNoMessageIsReadOtherwiseThanByTheGeneratedCode makes messages of the fields
// that Envoy's API has, in any order and number, with now and then a wrong kind,
// and joins some: so parts of them are doubled, merged, unknown or broken.
func TestNoMessageIsReadOtherwiseThanByTheGeneratedCode(t *testing.T) {
	plain := 0
	m := maker{rand.New(rand.NewPCG(1, 1)), shapes()}
	for range 20_000 {
		b := m.message("attributes")
		if readPlain(b, new(frontend.Context)) {
			plain++
		}
		mustReadAlike(t, b)
	}
	if plain < 2000 {
		t.Errorf("only %d messages were plain", plain)
	}
}

// shapes says which fields a message has: a message by its name, or "text", "name"
// or "number". A negative number is that of a field which Envoy does not send.
func shapes() map[string]map[protowire.Number]string {
	return map[string]map[protowire.Number]string{
		"attributes": {1: "context"},
		"context":    {1: "peer", 2: "peer", 4: "request", 10: "entry", 11: "nothing", 12: "tls", 13: "nothing"},
		"peer":       {1: "address", 2: "text", -3: "entry", 4: "text", 5: "text"},
		"address":    {1: "socket", -2: "tls"},
		"socket":     {1: "number", 2: "text", 3: "number", -4: "text", -6: "number"},
		"request":    {1: "time", 2: "http"},
		"time":       {1: "number", 2: "number"},
		"http": {
			1: "text", 2: "text", 3: "entry", 4: "text", 5: "text", 6: "text", 7: "text", 8: "text", 9: "number", 10: "text",
			11: "text", 12: "text", 13: "headers", -14: "text", -70: "text",
		},
		"headers": {1: "header"},
		"header":  {1: "name", 2: "text", 3: "text"},
		"entry":   {1: "name", 2: "text"},
		"nothing": {-1: "entry"},
		"tls":     {1: "text"},
	}
}

// maker makes messages. With one seed they are always the same.
type maker struct {
	dice   *rand.Rand
	shapes map[string]map[protowire.Number]string
}

// message makes the bytes of a message of a shape.
func (m maker) message(shape string) (b []byte) {
	fields := m.shapes[shape]
	for _, n := range m.fields(shape) {
		kind := fields[n]
		n = max(n, -n)
		switch m.dice.IntN(300) {
		case 1:
			kind = "number"
		case 2:
			kind = "text"
		case 3:
			b = append(protowire.AppendTag(b, n, protowire.Fixed64Type), "12345678"...)
			continue
		}
		if kind == "number" {
			b = protowire.AppendTag(b, n, protowire.VarintType)
			b = protowire.AppendVarint(b, m.dice.Uint64())
			continue
		}
		b = protowire.AppendTag(b, n, protowire.BytesType)
		b = protowire.AppendBytes(b, m.value(kind))
	}
	return b
}

// fields chooses fields of a message: usual ones, with headers as a rule, in any
// order, and now and then others, or one twice.
func (m maker) fields(shape string) (chosen []protowire.Number) {
	fields := m.shapes[shape]
	for _, n := range slices.Sorted(maps.Keys(fields)) {
		often := 2
		switch kind := fields[n]; {
		case n < 0:
			often = 40
		case kind == "context" || kind == "request" || kind == "http" || kind == "name":
			often = 1
		}
		if m.dice.IntN(often) == 0 {
			chosen = append(chosen, n)
		}
	}
	again := 40
	switch shape {
	case "http":
		chosen = append(chosen, [][]protowire.Number{{3, 3}, {13}}[m.dice.IntN(2)]...)
	case "headers":
		again = 1
	}
	if len(chosen) > 0 && m.dice.IntN(again) == 0 {
		chosen = append(chosen, chosen[m.dice.IntN(len(chosen))])
	}
	m.dice.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen
}

func (m maker) value(kind string) []byte {
	texts := []string{"", "a", "/a?b", "GET", "https"}
	switch kind {
	case "name":
		texts = []string{"", "a", ":path", ":method", ":scheme", ":authority", "user-agent", "cookie", "altagate.route"}
	case "text":
		if m.dice.IntN(100) == 0 {
			return []byte("\xff")
		}
	default:
		return m.message(kind)
	}
	return []byte(texts[m.dice.IntN(len(texts))])
}

// FuzzReadPlain reads any bytes by both readers.
func FuzzReadPlain(f *testing.F) {
	mapped, listed := sent(f, false), sent(f, true)
	f.Add(mapped)
	f.Add(listed)
	f.Add(append(mapped[:len(mapped):len(mapped)], listed...))
	f.Add(mapped[:len(mapped)-1])
	f.Fuzz(func(t *testing.T, b []byte) { mustReadAlike(t, b) })
}

func BenchmarkRead(b *testing.B) {
	for _, raw := range []bool{false, true} {
		in := sent(b, raw)
		b.Run(fmt.Sprintf("raw=%v", raw), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				new(message).read(in)
			}
		})
		b.Run(fmt.Sprintf("raw=%v,generated", raw), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request := new(authv3.CheckRequest)
				if err := proto.Unmarshal(in, request); err != nil {
					b.Fatal(err)
				}
				read(request)
			}
		})
	}
}

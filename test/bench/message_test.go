package bench

import (
	"encoding/binary"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// framed is a check by one viewer, with the five bytes before it that gRPC has.
func framed(t *testing.T) []byte {
	t.Helper()
	message := checkMessage(t, "viewers-1")
	before := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) //nolint:gosec // some hundred bytes
	return append(before, message...)
}

// checkMessage is a check as Envoy sends it with encode_raw_headers.
func checkMessage(t *testing.T, viewer string) []byte {
	t.Helper()
	peer := func(port uint32) *authv3.AttributeContext_Peer {
		return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
			SocketAddress: &corev3.SocketAddress{Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}},
		}}}
	}
	target := "/live/index.m3u8?token=" + viewer
	headers := &corev3.HeaderMap{}
	for _, h := range [][2]string{
		{":authority", "tv.example.com"}, {":path", target}, {":method", "GET"}, {":scheme", "http"}, {"user-agent", "VLC/3.0.20 LibVLC/3.0.20 " + viewer},
		{"x-forwarded-for", "127.0.0.1"}, {"x-forwarded-proto", "http"}, {"x-request-id", "2f1c5f6c-8d8e-4d6e-9d1e-6f1c5f6c8d8e"},
	} {
		headers.Headers = append(headers.Headers, &corev3.HeaderValue{Key: h[0], RawValue: []byte(h[1])})
	}
	message, err := proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: peer(50000), Destination: peer(8082),
		Request: &authv3.AttributeContext_Request{Time: timestamppb.Now(), Http: &authv3.AttributeContext_HttpRequest{
			Id: "1234567890", Method: "GET", Path: target, Host: "tv.example.com", Scheme: "http", Protocol: "HTTP/1.1", HeaderMap: headers,
		}},
		MetadataContext: &corev3.Metadata{}, RouteMetadataContext: &corev3.Metadata{},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return message
}

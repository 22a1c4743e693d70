package extauthz

import (
	"context"
	"net"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
)

// generated is answer by the generated code, which knows Envoy's API.
func generated(d check.Decision) *authv3.CheckResponse {
	out := &authv3.CheckResponse{DynamicMetadata: dynamicMetadata(d)}
	if !d.Allow {
		out.Status = &status.Status{Code: int32(codes.PermissionDenied)}
		out.HttpResponse = &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode(denialStatus(&d))},
		}}
		if to := frontend.Redirect(&d); to != "" {
			out.GetDeniedResponse().Headers = []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "location", Value: to}}}
		}
		return out
	}
	out.Status = &status.Status{Code: int32(codes.OK)}
	out.HttpResponse = &authv3.CheckResponse_OkResponse{OkResponse: upstreamHeaders(d)}
	return out
}

// upstreamHeaders sets the headers that the upstream gets, in place of a
// viewer's own, and removes a viewer's own of those that are not set.
func upstreamHeaders(d check.Decision) *authv3.OkHttpResponse {
	ok := &authv3.OkHttpResponse{}
	for _, f := range frontend.Fields(&d) {
		if f.Value == "" {
			ok.HeadersToRemove = append(ok.HeadersToRemove, f.Lower)
			continue
		}
		// Envoy ignores append_action and raw_value here, and drops a header with
		// append: true that the viewer did not send.
		ok.Headers = append(ok.Headers, &corev3.HeaderValueOption{
			Header: &corev3.HeaderValue{Key: f.Lower, Value: f.Value},
			Append: wrapperspb.Bool(false), //nolint:staticcheck // Its successor is the one that Envoy ignores.
		})
	}
	return ok
}

// dynamicMetadata is what Envoy keeps about the request under "altagate".
func dynamicMetadata(d check.Decision) *structpb.Struct {
	fields := map[string]*structpb.Value{}
	if d.Route != "" {
		fields["route"] = structpb.NewStringValue(strings.ToValidUTF8(d.Route, "?"))
	}
	for _, f := range frontend.Fields(&d) {
		if f.Key != "" && f.Value != "" {
			fields[f.Key] = structpb.NewStringValue(f.Value)
		}
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{
		"altagate": structpb.NewStructValue(&structpb.Struct{Fields: fields}),
	}}
}

// TestAnAnswerIsWhatTheGeneratedCodeWouldHaveSent compares the two for decisions of
// any kind, with texts that no message carries and lengths of one to three bytes.
func TestAnAnswerIsWhatTheGeneratedCodeWouldHaveSent(t *testing.T) {
	lengths := []int{0, 1, 20, 90, 127, 128, 200, 1024, 1025, 17_000}
	text := rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 9).Draw(t, "broken") == 9 {
			return rapid.SampledFrom([]string{"\xff", "a\n", "\x7f"}).Draw(t, "text")
		}
		return strings.Repeat(rapid.SampledFrom([]string{"a", "é"}).Draw(t, "letter"), rapid.SampledFrom(lengths).Draw(t, "length"))
	})
	rapid.Check(t, func(t *rapid.T) {
		d := check.Decision{
			Allow: rapid.Bool().Draw(t, "allow"), Reason: check.Reason(text.Draw(t, "reason")), Route: text.Draw(t, "route"),
			Status:  rapid.SampledFrom([]int{-1, 0, 200, 302, 399, 400, 403, 503, 599, 600, 1 << 40}).Draw(t, "status"),
			Session: text.Draw(t, "session"), ID: text.Draw(t, "id"),
			Outcome: check.Outcome{User: text.Draw(t, "user"), SessionName: text.Draw(t, "name")},
		}
		want, got, bytes := generated(d), &authv3.CheckResponse{}, *answer(d)
		if err := proto.Unmarshal(bytes, got); err != nil {
			t.Fatalf("%+v: %v", d, err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Fatalf("%+v (-generated code +altagate)\n%s", d, diff)
		}
		if len(bytes) != proto.Size(want) {
			t.Fatalf("%+v: %d bytes, not %d", d, len(bytes), proto.Size(want))
		}
	})
}

// usual is the decision of most checks.
func usual() check.Decision {
	return check.Decision{
		Allow: true, Reason: check.Session, Route: "live", Session: "b2f7c9d0a1e34f5896a7b8c9d0e1f2a3",
		Outcome: check.Outcome{User: "42", SessionName: "Living room"},
	}
}

func TestAnAnswerAllocatesItsBytesAlone(t *testing.T) {
	d := usual()
	// The bytes, and the slice that gRPC gets to see.
	if n := testing.AllocsPerRun(100, func() { answer(d) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAnswer(b *testing.B) {
	d := usual()
	b.Run("altagate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			answer(d)
		}
	})
	b.Run("generated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := proto.Marshal(generated(d)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// joining decides as for most checks.
type joining struct{}

func (joining) Check(context.Context, *check.Request) check.Decision { return usual() }

// TestACheckOverGRPCAllocatesLittle is about all that altagate does between gRPC's
// reading of the bytes and its sending of them.
func TestACheckOverGRPCAllocatesLittle(t *testing.T) {
	a := &answerer{config: frontend.Config{Checker: joining{}, May: func(net.Addr) bool { return true }}}
	wire := codec{encoding.GetCodecV2("proto")}
	ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.UnixAddr{}})
	data := mem.BufferSlice{mem.SliceBuffer(sent(t, true))}
	decode := func(v any) error { return wire.Unmarshal(data, v) }
	n := testing.AllocsPerRun(100, func() {
		out, err := a.handle(nil, ctx, decode, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wire.Marshal(out); err != nil {
			t.Fatal(err)
		}
	})
	// The message and what it says, the check and its context, the answer's bytes.
	if n > 14 {
		t.Errorf("%v allocations", n)
	}
}

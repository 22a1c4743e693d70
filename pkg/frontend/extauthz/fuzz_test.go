package extauthz

import (
	"context"
	"net"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // The codec that is asked for by name.
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
)

// allowing is a checker that allows all it is asked about.
type allowing struct{ asked int }

func (a *allowing) Check(context.Context, *check.Request) check.Decision {
	a.asked++
	return check.Decision{Allow: true, Reason: check.Backend}
}

// FuzzCheckRequest reads any bytes as a message, below the network: there is an
// answer that can be sent, it is an allow only when the checker was asked, and
// the check is recorded once.
func FuzzCheckRequest(f *testing.F) {
	for _, text := range []string{"", `attributes {
		source { address { socket_address { address: "192.0.2.1" } } }
		request { http { method: "GET" scheme: "http" host: "h" path: "/a?b" headers { key: "user-agent" value: "x" } } }
		context_extensions { key: "altagate.route" value: "vod" }
	}`, `attributes { request { http { header_map { headers { key: ":path" raw_value: "/\377" } headers { key: ":path" } } } } }`} {
		in := &authv3.CheckRequest{}
		if err := prototext.Unmarshal([]byte(text), in); err != nil {
			f.Fatal(err)
		}
		b, err := proto.Marshal(in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("\xff"))
	wire := codec{encoding.GetCodecV2("proto")}
	ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: &net.UnixAddr{}})
	f.Fuzz(func(t *testing.T, sent []byte) {
		checker, recorded := &allowing{}, 0
		a := &answerer{config: frontend.Config{
			Checker: checker,
			May:     func(net.Addr) bool { return true },
			Record:  func(*check.Request, check.Decision, time.Duration) { recorded++ },
		}}
		decode := func(v any) error { return wire.Unmarshal(mem.BufferSlice{mem.SliceBuffer(sent)}, v) }
		reply, err := a.handle(nil, ctx, decode, nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := wire.Marshal(reply)
		if err != nil {
			t.Fatalf("the answer cannot be sent: %v", err)
		}
		out := &authv3.CheckResponse{}
		if err := proto.Unmarshal(data.Materialize(), out); err != nil {
			t.Fatalf("the answer cannot be read: %v", err)
		}
		want := codes.PermissionDenied
		if checker.asked == 1 {
			want = codes.OK
		}
		if got := out.GetStatus(); got == nil || codes.Code(got.GetCode()) != want || recorded != 1 {
			t.Errorf("asked %d times, recorded %d times, answer %v", checker.asked, recorded, out)
		}
	})
}

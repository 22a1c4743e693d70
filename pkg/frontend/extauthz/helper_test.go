package extauthz_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
	"github.com/altagate/altagate/pkg/frontend/extauthz"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// checker makes a function a check.Checker.
type checker func(context.Context, *check.Request) check.Decision

func (f checker) Check(ctx context.Context, r *check.Request) check.Decision { return f(ctx, r) }

// recorded is what one call of Record got.
type recorded struct {
	Request  check.Request
	Decision check.Decision
}

// desk is a frontend.Config that remembers: it gives one decision to every
// check that reaches it.
type desk struct {
	decision check.Decision
	refuse   bool

	mu       sync.Mutex
	asked    []check.Request
	recorded []recorded
}

func (d *desk) config() frontend.Config {
	return frontend.Config{
		Checker: checker(func(_ context.Context, r *check.Request) check.Decision {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.asked = append(d.asked, *r)
			return d.decision
		}),
		May: func(net.Addr) bool { return !d.refuse },
		Record: func(r *check.Request, got check.Decision, _ time.Duration) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.recorded = append(d.recorded, recorded{*r, got})
		},
	}
}

// start serves until the test ends, and gives the server and a connection to it.
func start(t testing.TB, c frontend.Config) (*extauthz.Server, *grpc.ClientConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, l, "passthrough:///"+l.Addr().String(), c)
}

func startOn(t testing.TB, l net.Listener, dial string, c frontend.Config) (*extauthz.Server, *grpc.ClientConn) {
	t.Helper()
	s := extauthz.New(c, func(line string) { t.Log(line) })
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	conn, err := grpc.NewClient(dial, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = s.Shutdown(context.Background())
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, conn
}

// ask asks one check, which must never be a gRPC error.
func ask(ctx context.Context, t testing.TB, conn *grpc.ClientConn, in *authv3.CheckRequest) *authv3.CheckResponse {
	t.Helper()
	// The bound only turns a hang into a failure.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := authv3.NewAuthorizationClient(conn).Check(ctx, in)
	if err != nil {
		t.Fatalf("a check gave a gRPC error: %v", err)
	}
	return out
}

// envoyCheck is what Envoy's HTTP filter sends.
func envoyCheck() *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: source("::ffff:192.0.2.1"),
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "1234", Method: "GET", Scheme: "https", Host: "TV.example.com:443", Protocol: "HTTP/1.1",
			Path: "/live/a.m3u8?token=1&token=2",
			Headers: map[string]string{
				":authority": "TV.example.com:443", ":method": "GET", ":path": "/live/a.m3u8?token=1&token=2", ":scheme": "https",
				"user-agent": "player/1.0", "x-forwarded-proto": "https", "x-request-id": "f00",
			},
		}},
	}}
}

// raw turns a check into the form of encode_raw_headers.
func raw(in *authv3.CheckRequest, more ...*corev3.HeaderValue) *authv3.CheckRequest {
	http := in.GetAttributes().GetRequest().GetHttp()
	list := &corev3.HeaderMap{}
	for key, value := range http.GetHeaders() {
		list.Headers = append(list.Headers, &corev3.HeaderValue{Key: key, RawValue: []byte(value)})
	}
	list.Headers = append(list.Headers, more...)
	http.Headers, http.HeaderMap = nil, list
	return in
}

func source(address string) *authv3.AttributeContext_Peer {
	return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
		SocketAddress: &corev3.SocketAddress{Address: address, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 4711}},
	}}}
}

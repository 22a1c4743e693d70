// Command nowork answers checks, and backend questions, at once and without any
// work: what altagate is measured against. On SIGTERM it prints how many it has
// answered, and ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	httpAddress := flag.String("http", "", "answer 200 over HTTP at this `address`, host:port or unix:/path")
	grpcAddress := flag.String("grpc", "", "answer OK over gRPC, as Envoy asks, at this `address`")
	delay := flag.Duration("delay", 0, "answer over HTTP after this `time`")
	flag.Parse()
	var answered atomic.Int64
	if err := serve(*httpAddress, *grpcAddress, *delay, &answered); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("answered %d\n", answered.Load())
}

// serve answers until SIGTERM, at each address that is not empty.
func serve(httpAddress, grpcAddress string, delay time.Duration, answered *atomic.Int64) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	failed := make(chan error, 2)
	if httpAddress != "" {
		go func() { failed <- serveHTTP(ctx, httpAddress, delay, answered) }()
	}
	if grpcAddress != "" {
		go func() { failed <- serveGRPC(ctx, grpcAddress, answered) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	network, path := "tcp", address
	if after, ok := strings.CutPrefix(address, "unix:"); ok {
		network, path = "unix", after
	}
	return (&net.ListenConfig{}).Listen(ctx, network, path)
}

func serveHTTP(ctx context.Context, address string, delay time.Duration, answered *atomic.Int64) error {
	l, err := listen(ctx, address)
	if err != nil {
		return err
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		// The 200 and "Content-Length: 0" are what net/http makes of silence.
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			if delay > 0 {
				time.Sleep(delay)
			}
			answered.Add(1)
		}),
	}
	return server.Serve(l)
}

func serveGRPC(ctx context.Context, address string, answered *atomic.Int64) error {
	l, err := listen(ctx, address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, &authorization{
		answered: answered,
		ok: &authv3.CheckResponse{
			Status:       &status.Status{Code: int32(codes.OK)},
			HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}},
		},
	})
	// The shipped configs of Envoy ask for health too.
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	return server.Serve(l)
}

// authorization gives everybody the same answer.
type authorization struct {
	authv3.UnimplementedAuthorizationServer
	answered *atomic.Int64
	ok       *authv3.CheckResponse
}

// Check allows.
func (a *authorization) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	a.answered.Add(1)
	return a.ok, nil
}

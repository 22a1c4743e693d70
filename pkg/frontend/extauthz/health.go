package extauthz

import (
	"context"
	"sync"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// healthServer is grpc-go's health service, except that a shutdown ends its
// watches: they last as long as the watcher likes, and a graceful stop waits
// for them.
type healthServer struct {
	*health.Server
	stopping chan struct{}
	stopOnce sync.Once
}

func newHealthServer() *healthServer {
	h := &healthServer{Server: health.NewServer(), stopping: make(chan struct{})}
	h.setReady(false)
	return h
}

// setReady sets the health of the whole server and of the authorization service.
func (h *healthServer) setReady(ready bool) {
	state := grpc_health_v1.HealthCheckResponse_NOT_SERVING
	if ready {
		state = grpc_health_v1.HealthCheckResponse_SERVING
	}
	h.SetServingStatus("", state)
	h.SetServingStatus(authv3.Authorization_ServiceDesc.ServiceName, state)
}

// shutDown makes every service NOT_SERVING for good, and ends the watches.
func (h *healthServer) shutDown() {
	h.Server.Shutdown()
	h.stopOnce.Do(func() { close(h.stopping) })
}

// Watch sends each change of a service's health. On a shutdown the last word is
// NOT_SERVING.
func (h *healthServer) Watch(in *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	go func() {
		select {
		case <-h.stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := h.Server.Watch(in, watch{stream, ctx})
	select {
	case <-h.stopping:
	default:
		return err
	}
	last := &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING}
	if err := stream.Send(last); err != nil {
		return err
	}
	return status.Error(codes.Unavailable, "altagate is shutting down")
}

// watch is a stream whose context ends earlier.
type watch struct {
	grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]
	ctx context.Context //nolint:containedctx // A stream is known by its context.
}

func (w watch) Context() context.Context { return w.ctx }

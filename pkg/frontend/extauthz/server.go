// Package extauthz serves checks to Envoy's ext_authz filter over gRPC
// (envoy.service.auth.v3.Authorization), with gRPC health and reflection. It is
// the only package that knows Envoy's types.
package extauthz

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/altagate/altagate/pkg/frontend"
)

// Name is what check.Request.Proxy, metrics and the log call Envoy over gRPC.
const Name = "envoy-grpc"

// minPing is how often a proxy may send HTTP/2 pings. grpc-go's own bound of
// five minutes would cut off an Envoy with an ordinary connection_keepalive.
const minPing = time.Second

const (
	// maxMessage is the most bytes of one check. Envoy can be told to take 8 MiB
	// of headers, and repeats some of them in fields of their own; a check that is
	// too big is a gRPC error, so no viewer's headers may make one.
	maxMessage = 32 << 20
	// maxStreams is how many checks one connection may have under way: as many as
	// the shipped configs let Envoy ask at once.
	maxStreams = 16384
	// streamWorkers is how many goroutines answer checks one after the other. A
	// goroutine that grpc-go starts for one check alone has its stack copied twice
	// as it grows, at a sixth of all that a check costs. Where all wait for a
	// backend, more checks get goroutines of their own.
	streamWorkers = 32
	// handshake is how long a connection may take to begin with HTTP/2.
	handshake = 5 * time.Second
)

// Server answers checks over gRPC. Make it with New; all methods are safe for
// concurrent use.
type Server struct {
	grpc   *grpc.Server
	health *healthServer
}

// New makes a server that is not ready yet: its health is NOT_SERVING, though
// it answers checks. trouble gets one line, without anything that a viewer sent,
// about each panic; it is called from many goroutines at once and must not wait.
func New(c frontend.Config, trouble func(line string)) *Server {
	s := &Server{
		grpc: grpc.NewServer(
			grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(proto.Name)}),
			grpc.MaxRecvMsgSize(maxMessage),
			grpc.MaxConcurrentStreams(maxStreams),
			grpc.NumStreamWorkers(streamWorkers),
			grpc.ConnectionTimeout(handshake),
			grpc.InTapHandle(turnAway(c)),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
				MinTime:             minPing,
				PermitWithoutStream: true,
			}),
		),
		health: newHealthServer(),
	}
	a := &answerer{config: c, trouble: trouble}
	s.grpc.RegisterService(a.service(), a)
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	return s
}

// turnAway refuses the checks of a peer that may not ask before a byte of them is
// read, so that it cannot fill the memory. It is no proxy of the operator's, so
// an error is answer enough; the check is recorded as any bad-check.
func turnAway(c frontend.Config) tap.ServerInHandle {
	return func(ctx context.Context, info *tap.Info) (context.Context, error) {
		if info.FullMethodName != authv3.Authorization_Check_FullMethodName {
			return ctx, nil
		}
		var caller net.Addr
		if p, ok := peer.FromContext(ctx); ok {
			caller = p.Addr
		}
		if c.Admits(caller) {
			return ctx, nil
		}
		c.Check(ctx, caller, frontend.Context{Proxy: Name})
		return ctx, status.Error(codes.PermissionDenied, "this address may not ask: list it in altagate's callers")
	}
}

// Serve answers checks on l, and closes it at the end. It returns nil after
// Shutdown. Several listeners may be served at once.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serving checks over gRPC: %w", err)
	}
	return nil
}

// SetReady says whether health is SERVING. After Shutdown it has no effect.
func (s *Server) SetReady(ready bool) { s.health.setReady(ready) }

// Shutdown makes health NOT_SERVING, stops accepting, and waits for the checks
// under way. When ctx ends first it breaks them off and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.health.shutDown()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.grpc.GracefulStop()
	}()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		s.grpc.Stop()
		<-drained
		return fmt.Errorf("waiting for checks over gRPC: %w", ctx.Err())
	}
}

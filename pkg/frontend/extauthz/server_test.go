package extauthz_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend/extauthz"
	"github.com/altagate/altagate/pkg/viewer"
)

const (
	service    = "envoy.service.auth.v3.Authorization"
	serving    = grpc_health_v1.HealthCheckResponse_SERVING
	notServing = grpc_health_v1.HealthCheckResponse_NOT_SERVING
)

func TestACallerThatMayNotAskIsRefusedUnread(t *testing.T) {
	d := &desk{decision: check.Decision{Allow: true}, refuse: true}
	_, conn := start(t, d.config())
	in := envoyCheck()
	in.Attributes.Request.Http.Headers["cookie"] = strings.Repeat("x", 8<<20)
	_, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), in)
	if status.Code(err) != codes.PermissionDenied || len(d.asked) > 0 || len(d.recorded) != 1 {
		t.Fatalf("error %v, asked %v, recorded %v; want one bad-check", err, d.asked, d.recorded)
	}
	if got := d.recorded[0]; got.Request != (check.Request{Proxy: "envoy-grpc"}) || got.Decision.Reason != check.BadCheck {
		t.Errorf("recorded %+v", got)
	}
	health, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || health.GetStatus() != notServing {
		t.Errorf("health: %v, %v; whoever probes may see it", health, err)
	}
}

func TestAUnixSocketIsServed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{decision: check.Decision{Allow: true}}
	config := d.config()
	config.May = viewer.NewCallers(nil).May
	_, conn := startOn(t, l, "unix:"+path, config)
	if out := ask(t.Context(), t, conn, envoyCheck()); out.GetOkResponse() == nil {
		t.Errorf("answer %v", out)
	}
}

// bytesCodec sends messages that no protobuf library would write.
type bytesCodec struct{ encoding.CodecV2 }

func (c bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// askBytes asks with a message given as bytes.
func askBytes(t testing.TB, conn *grpc.ClientConn, message []byte) *authv3.CheckResponse {
	t.Helper()
	out := &authv3.CheckResponse{}
	codec := bytesCodec{encoding.GetCodecV2("proto")}
	err := conn.Invoke(context.Background(), authv3.Authorization_Check_FullMethodName, message, out, grpc.ForceCodecV2(codec))
	if err != nil {
		t.Fatalf("a check gave a gRPC error: %v", err)
	}
	return out
}

// A gRPC error would be Envoy's own failure mode, and that may be to allow.
func TestAMessageThatCannotBeReadIsDenied(t *testing.T) {
	in := envoyCheck()
	in.Attributes.Request.Http.Path = "/live/PATH"
	good, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][]byte{
		"no protobuf":          []byte("GET / HTTP/1.1\r\n"),
		"cut off":              good[:len(good)-1],
		"a string not UTF-8":   []byte(strings.Replace(string(good), "PATH", "\xff\xfe\xfd\xfc", 1)),
		"megabytes of nothing": make([]byte, 5<<20),
	}
	for name, message := range tests {
		t.Run(name, func(t *testing.T) {
			d := &desk{decision: check.Decision{Allow: true}}
			_, conn := start(t, d.config())
			mustBeRefused(t, d, askBytes(t, conn, message), check.BadCheck)
		})
	}
}

func TestMoreHeadersThanEnvoyTakesAreRead(t *testing.T) {
	d := &desk{decision: check.Decision{Allow: true, Reason: check.Backend}}
	_, conn := start(t, d.config())
	in := envoyCheck()
	in.Attributes.Request.Http.Headers["cookie"] = strings.Repeat("x", 8<<20)
	if out := ask(t.Context(), t, conn, in); out.GetOkResponse() == nil || len(d.asked) != 1 {
		t.Errorf("asked %d times, answer %v", len(d.asked), out)
	}
}

func TestHealthFollowsReadiness(t *testing.T) {
	s, conn := start(t, (&desk{}).config())
	health := grpc_health_v1.NewHealthClient(conn)
	mustBe := func(want grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for _, name := range []string{"", service} {
			got, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: name})
			if err != nil || got.GetStatus() != want {
				t.Errorf("health of %q is %v, %v; want %v", name, got.GetStatus(), err, want)
			}
		}
	}
	mustBe(notServing)
	s.SetReady(true)
	mustBe(serving)
	s.SetReady(false)
	mustBe(notServing)
	_, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "other"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("an unknown service: %v", err)
	}
}

func TestWatchersHearOfEachChangeAndOfTheEnd(t *testing.T) {
	for _, name := range []string{"", service} {
		s, conn := start(t, (&desk{}).config())
		watch, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: name})
		if err != nil {
			t.Fatal(err)
		}
		mustHear := func(want grpc_health_v1.HealthCheckResponse_ServingStatus) {
			t.Helper()
			if got, err := watch.Recv(); err != nil || got.GetStatus() != want {
				t.Fatalf("heard %v, %v; want %v", got.GetStatus(), err, want)
			}
		}
		mustHear(notServing)
		s.SetReady(true)
		mustHear(serving)
		// Were it not for the end of the watch, this would wait for ever.
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.SetReady(true)
		mustHear(notServing)
		for err == nil {
			_, err = watch.Recv()
		}
		if status.Code(err) != codes.Unavailable {
			t.Errorf("the watch ended with %v", err)
		}
	}
}

func TestReflectionNamesTheServices(t *testing.T) {
	_, conn := start(t, (&desk{}).config())
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.CloseSend()
	ask := func(in *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(in); err != nil {
			t.Fatal(err)
		}
		out, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	list := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	var names []string
	for _, s := range list.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	for _, want := range []string{service, "grpc.health.v1.Health"} {
		if !strings.Contains(strings.Join(names, " "), want) {
			t.Errorf("services %v, want %s among them", names, want)
		}
	}
	file := ask(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service + ".Check"},
	})
	if len(file.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("no description of %s: %v", service, file)
	}
}

func TestAnUnknownMethodIsUnimplemented(t *testing.T) {
	_, conn := start(t, (&desk{}).config())
	for _, method := range []string{"/" + service + "/Other", "/envoy.service.auth.v2.Authorization/Check"} {
		err := conn.Invoke(t.Context(), method, &authv3.CheckRequest{}, &authv3.CheckResponse{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// held is a desk whose checks wait until the test lets them go.
func held(t *testing.T) (s *extauthz.Server, asked, release chan struct{}, answered chan *authv3.CheckResponse) {
	asked, release = make(chan struct{}), make(chan struct{})
	answered = make(chan *authv3.CheckResponse, 1)
	config := (&desk{}).config()
	config.Checker = checker(func(ctx context.Context, _ *check.Request) check.Decision {
		close(asked)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return check.Decision{Allow: true, Reason: check.Backend}
	})
	s, conn := start(t, config)
	go func() {
		out, _ := authv3.NewAuthorizationClient(conn).Check(context.Background(), envoyCheck())
		answered <- out
	}()
	return s, asked, release, answered
}

func TestShutdownWaitsForChecksUnderWay(t *testing.T) {
	s, asked, release, answered := held(t)
	<-asked
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	select {
	case err := <-down:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if out := <-answered; out.GetOkResponse() == nil {
		t.Errorf("the check got %v", out)
	}
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownBreaksOffWhenItsTimeIsOver(t *testing.T) {
	s, asked, _, answered := held(t)
	<-asked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	<-answered
}

func TestServeAfterShutdownIsNoError(t *testing.T) {
	s := extauthz.New((&desk{}).config(), func(string) {})
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// A panic that ended the process would deny every viewer, and a gRPC error might
// let this one in.
func TestAPanicIsADenial(t *testing.T) {
	d := &desk{}
	c := d.config()
	c.Checker = panicking{}
	_, conn := start(t, c)
	for range 2 {
		out := ask(t.Context(), t, conn, envoyCheck())
		if out.GetStatus().GetCode() != int32(codes.PermissionDenied) || out.GetDeniedResponse().GetStatus().GetCode() != 403 {
			t.Errorf("answer %v", out)
		}
	}
}

type panicking struct{}

func (panicking) Check(context.Context, *check.Request) check.Decision { panic("token=s3cret") }

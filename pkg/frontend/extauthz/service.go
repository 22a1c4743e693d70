package extauthz

import (
	"context"
	"fmt"
	"net"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
	"github.com/altagate/altagate/pkg/panics"
)

// answerer answers checks.
type answerer struct {
	config  frontend.Config
	trouble func(line string)
}

// service describes envoy.service.auth.v3.Authorization as the generated
// code does, with one difference: a message that cannot be read, because a
// string in it is not UTF-8 or it is no protobuf, gets an answer too. The
// generated code makes that a gRPC error, which Envoy treats as its failure
// mode says: a viewer who provoked it could be let in.
func (a *answerer) service() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: authv3.Authorization_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Check", Handler: a.handle}},
		Metadata:    authv3.Authorization_ServiceDesc.Metadata,
	}
}

// message is one check as it arrived.
type message struct {
	// said is what Envoy said, the call's metadata apart. It is a check without
	// anything if the message could not be read.
	said frontend.Context
	// agents and cookies are room for what is there once as a rule.
	agents, cookies [1]string
}

// read reads the bytes of a message.
func (m *message) read(sent []byte) {
	m.said = frontend.Context{Proxy: Name, UserAgents: m.agents[:0], Cookies: m.cookies[:0]}
	if readPlain(sent, &m.said) {
		return
	}
	request := new(authv3.CheckRequest)
	if proto.Unmarshal(sent, request) != nil {
		request = nil
	}
	m.said = read(request)
}

// handle answers one check. Its only error is that of a call that broke
// off before there was a message: nobody waits for an answer to it.
//
//nolint:revive // gRPC puts the context second.
func (a *answerer) handle(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (out any, err error) {
	// gRPC would let a panic end the process, and with it every other check.
	defer func() {
		if value := recover(); value != nil {
			a.trouble(fmt.Sprintf("an answer is a denial: %v", panics.Error(value)))
			out, err = answer(check.Deny("")), nil
		}
	}()
	var m message
	if err := decode(&m); err != nil {
		return nil, err
	}
	var caller net.Addr
	if p, ok := peer.FromContext(ctx); ok {
		caller = p.Addr
	}
	m.said.Address = address(ctx, m.said.Address)
	return answer(a.config.Check(ctx, caller, m.said)), nil
}

// codec is gRPC's protobuf codec, except that it never fails to read a check, and
// has the bytes of a reply already.
type codec struct{ encoding.CodecV2 }

// Marshal gives the bytes of a message.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.(*reply); ok {
		return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal reads a message into v.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	m.read(buffer.ReadOnlyData())
	return nil
}

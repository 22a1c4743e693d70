package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

// perConnection is how many checkers share one connection, as Envoy's requests do.
const perConnection = 4

// checker asks over gRPC, as Envoy does.
type checker struct {
	client authv3.AuthorizationClient
	check  *authv3.CheckRequest
}

func checkers(n int, address string, message []byte) ([]asker, error) {
	var check authv3.CheckRequest
	if err := proto.Unmarshal(message, &check); err != nil {
		return nil, fmt.Errorf("reading what to ask: %w", err)
	}
	if !strings.HasPrefix(address, "unix:") {
		address = "passthrough:///" + address
	}
	var all []asker
	var client authv3.AuthorizationClient
	for i := range n {
		if i%perConnection == 0 {
			conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				return nil, fmt.Errorf("connecting: %w", err)
			}
			client = authv3.NewAuthorizationClient(conn)
		}
		all = append(all, &checker{client, &check})
	}
	return all, nil
}

func (c *checker) ask(name string) (allowed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	answer, err := c.client.Check(ctx, named(c.check, name))
	if err != nil {
		return false, fmt.Errorf("asking: %w", err)
	}
	return answer.GetStatus().GetCode() == int32(codes.OK), nil
}

// named is a check by the viewer of a name.
func named(check *authv3.CheckRequest, name string) *authv3.CheckRequest {
	one := proto.Clone(check).(*authv3.CheckRequest) //nolint:errcheck,forcetypeassert // It is what it was.
	http := one.GetAttributes().GetRequest().GetHttp()
	http.Path = strings.ReplaceAll(http.GetPath(), "VIEWER", name)
	for _, h := range http.GetHeaderMap().GetHeaders() {
		h.RawValue = []byte(strings.ReplaceAll(string(h.GetRawValue()), "VIEWER", name))
	}
	return one
}

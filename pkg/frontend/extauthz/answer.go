package extauthz

import (
	"net/http"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
)

// answer tells Envoy the decision. Envoy decides by status.code alone and takes
// a missing one for OK, so it is always set. The dynamic metadata is for Envoy's
// access log; a denial has nothing else that a viewer could see.
func answer(d check.Decision) *authv3.CheckResponse {
	out := &authv3.CheckResponse{DynamicMetadata: dynamicMetadata(d)}
	if !d.Allow {
		out.Status = &status.Status{Code: int32(codes.PermissionDenied)}
		out.HttpResponse = &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: denialStatus(d)},
		}}
		return out
	}
	out.Status = &status.Status{Code: int32(codes.OK)}
	out.HttpResponse = &authv3.CheckResponse_OkResponse{OkResponse: upstreamHeaders(d)}
	return out
}

// denialStatus is what the viewer gets. Envoy would show a 2xx as a success.
func denialStatus(d check.Decision) typev3.StatusCode {
	if d.Status < 400 || d.Status > 599 {
		return http.StatusForbidden
	}
	return typev3.StatusCode(d.Status) //nolint:gosec // 400 to 599 here.
}

// upstreamHeaders sets the headers that the upstream gets, in place of a
// viewer's own, and removes a viewer's own of those that are not set.
func upstreamHeaders(d check.Decision) *authv3.OkHttpResponse {
	ok := &authv3.OkHttpResponse{}
	for _, f := range frontend.Fields(d) {
		if f.Value == "" {
			ok.HeadersToRemove = append(ok.HeadersToRemove, strings.ToLower(f.Header))
			continue
		}
		// Envoy ignores append_action and raw_value here, and drops a header with
		// append: true that the viewer did not send.
		ok.Headers = append(ok.Headers, &corev3.HeaderValueOption{
			Header: &corev3.HeaderValue{Key: strings.ToLower(f.Header), Value: f.Value},
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
	for _, f := range frontend.Fields(d) {
		if f.Key != "" && f.Value != "" {
			fields[f.Key] = structpb.NewStringValue(f.Value)
		}
	}
	return &structpb.Struct{Fields: map[string]*structpb.Value{
		"altagate": structpb.NewStructValue(&structpb.Struct{Fields: fields}),
	}}
}

package extauthz

import (
	"context"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/metadata"

	"github.com/altagate/altagate/pkg/frontend"
)

const (
	// routeExtension is the context extension in which a route can be named.
	routeExtension = "altagate.route"
	// addressMetadata is the key of the call's own metadata in which the shipped
	// config sends the viewer's address. Envoy's own x-forwarded-for beside it is
	// Envoy's address, and never read.
	addressMetadata = "x-real-ip"
)

// read reads what Envoy says about a viewer's request, in any message that the
// generated code can read. Any part of in may be missing, and in may be nil: the
// TCP filter sends no HTTP part, and other callers of this API no source.
func read(in *authv3.CheckRequest) frontend.Context {
	attributes := in.GetAttributes()
	http := attributes.GetRequest().GetHttp()
	return frontend.Context{
		Proxy:      Name,
		Route:      attributes.GetContextExtensions()[routeExtension],
		Method:     orHeader(http.GetMethod(), http, methodHeader),
		Scheme:     orHeader(http.GetScheme(), http, schemeHeader),
		Host:       orHeader(http.GetHost(), http, authorityHeader),
		Target:     path(http),
		Address:    attributes.GetSource().GetAddress().GetSocketAddress().GetAddress(),
		UserAgents: headers(http, agentHeader),
		Cookies:    headers(http, cookieHeader),
	}
}

// path is the viewer's target. In the field for it Envoy has replaced each byte
// that is not UTF-8 by "!", so the header goes first: with encode_raw_headers it
// has the bytes as they came, and the query must reach the backend as it was.
func path(http *authv3.AttributeContext_HttpRequest) string {
	switch values := headers(http, pathHeader); len(values) {
	case 0:
		return http.GetPath()
	case 1:
		return values[0]
	default:
		return ""
	}
}

// address is the viewer's address as Envoy vouches for it: what the operator's
// config put into the call's metadata, else source, the other end of the viewer's
// connection. A header of the viewer's is never asked. Metadata that is there
// twice or cannot be read is no reason to fall back: the operator meant it.
func address(ctx context.Context, source string) string {
	switch values := metadata.ValueFromIncomingContext(ctx, addressMetadata); len(values) {
	case 0:
		return source
	case 1:
		return values[0]
	default:
		return ""
	}
}

// orHeader is value, or where it is empty the header that is there once.
func orHeader(value string, http *authv3.AttributeContext_HttpRequest, name string) string {
	if value != "" {
		return value
	}
	if values := headers(http, name); len(values) == 1 {
		return values[0]
	}
	return ""
}

// headers gives every value of a header, by its lower-case name. Envoy fills
// one of two forms: a map, where it has joined headers of one name, or with
// encode_raw_headers a list of them as they came.
func headers(http *authv3.AttributeContext_HttpRequest, name string) []string {
	list := http.GetHeaderMap().GetHeaders()
	if len(list) == 0 {
		if value, ok := http.GetHeaders()[name]; ok {
			return []string{value}
		}
		return nil
	}
	var values []string
	for _, h := range list {
		if h.GetKey() != name {
			continue
		}
		if raw := h.GetRawValue(); len(raw) > 0 {
			values = append(values, string(raw))
		} else {
			values = append(values, h.GetValue())
		}
	}
	return values
}

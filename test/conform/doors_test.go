package conform_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/altagate/altagate/pkg/frontend"
	"github.com/altagate/altagate/pkg/frontend/extauthz"
)

// doors serves every frontend until the test ends.
func doors(t *testing.T, c frontend.Config) []door {
	t.Helper()
	overHTTP := serveHTTP(t, c)
	overGRPC := serveGRPC(t, c)
	anything := func(said) bool { return false }
	return []door{
		{"nginx", "nginx", anything, func(t *testing.T, s said) answer { return askHTTP(t, overHTTP, namedHead(s, "/auth/nginx")) }},
		{"traefik", "traefik", listed, func(t *testing.T, s said) answer { return askHTTP(t, overHTTP, forwardedHead(s, "/auth/traefik")) }},
		{"caddy", "caddy", listed, func(t *testing.T, s said) answer { return askHTTP(t, overHTTP, forwardedHead(s, "/auth/caddy")) }},
		{"caddy, with the viewer's query after its own path", "caddy", func(s said) bool { return listed(s) || strings.ContainsAny(s.target, "é\"#") }, func(t *testing.T, s said) answer {
			_, query, _ := strings.Cut(s.target, "?")
			return askHTTP(t, overHTTP, forwardedHead(s, "/auth/caddy?"+query))
		}},
		{"haproxy", "haproxy", anything, func(t *testing.T, s said) answer { return askHTTP(t, overHTTP, namedHead(s, "/auth/haproxy")) }},
		{"ingress-nginx", "ingress-nginx", unsayable, func(t *testing.T, s said) answer { return askHTTP(t, overHTTP, ingressHead(s)) }},
		{"envoy", "envoy", refusedByHTTP, func(t *testing.T, s said) answer { return askHTTP(t, overHTTP, envoyHead(s)) }},
		{"envoy-grpc, headers", "envoy-grpc", joined, func(t *testing.T, s said) answer { return askGRPC(t.Context(), t, overGRPC, mapped(s)) }},
		{"envoy-grpc, header_map", "envoy-grpc", anything, func(t *testing.T, s said) answer { return askGRPC(t.Context(), t, overGRPC, raw(s)) }},
		{"envoy-grpc, metadata", "envoy-grpc", func(s said) bool { return s.address == "" || joined(s) }, func(t *testing.T, s said) answer {
			in := mapped(s)
			in.Attributes.Source = nil
			return askGRPC(metadata.AppendToOutgoingContext(t.Context(), "x-real-ip", s.address), t, overGRPC, in)
		}},
	}
}

// refusedByHTTP tells whether net/http itself refuses, with 400, what Envoy
// would send: that is a denial to Envoy, but no check.
func refusedByHTTP(s said) bool {
	return strings.Contains(s.target, "%zz") && !strings.Contains(s.target, "?")
}

// joined tells whether Envoy's map of headers makes another request of s: it
// joins headers of one name.
func joined(s said) bool { return len(s.agents) > 1 }

// listed tells whether Traefik and Caddy say something else with the same words: a
// list of addresses is what they are expected to give.
func listed(s said) bool { return strings.Contains(s.address, ",") }

// unsayable tells whether ingress-nginx cannot say it: nginx refuses "*", and the
// scheme is its own.
func unsayable(s said) bool { return s.target == "*" }

// namedHead is what the shipped config of nginx and the shipped action of HAProxy
// send.
func namedHead(s said, path string) []string {
	return headOf(s, path, map[string]string{
		"X-Original-URI": s.target, "X-Original-Method": s.method, "X-Forwarded-Proto": s.scheme,
		"X-Forwarded-Host": s.host, "X-Real-IP": s.address,
	})
}

// forwardedHead is what Traefik and Caddy send.
func forwardedHead(s said, path string) []string {
	return headOf(s, path, map[string]string{
		"X-Forwarded-Uri": s.target, "X-Forwarded-Method": s.method, "X-Forwarded-Proto": s.scheme,
		"X-Forwarded-Host": s.host, "X-Forwarded-For": s.address,
	})
}

// ingressHead is what the template of ingress-nginx sends.
func ingressHead(s said) []string {
	return headOf(s, "/auth/ingress-nginx", map[string]string{
		"X-Original-URL": s.scheme + "://" + s.host + s.target, "X-Original-Method": s.method, "X-Real-IP": s.address,
		"X-Forwarded-For": s.address, "X-Sent-From": "nginx-ingress-controller",
	})
}

// headOf is a check by headers. nginx sends no header whose value is empty.
func headOf(s said, path string, headers map[string]string) []string {
	head := []string{"GET " + path + " HTTP/1.1", "Host: altagate"}
	for name, value := range headers {
		if value != "" {
			head = append(head, name+": "+value)
		}
	}
	return withViewers(head, s)
}

func envoyHead(s said) []string {
	return withViewers([]string{
		s.method + " /auth/envoy" + s.target + " HTTP/1.1",
		"Host: " + s.host, "X-Forwarded-Proto: " + s.scheme, "X-Real-IP: " + s.address, "Content-Length: 0",
	}, s)
}

func withViewers(head []string, s said) []string {
	for _, agent := range s.agents {
		head = append(head, "User-Agent: "+agent)
	}
	for _, cookie := range s.cookies {
		head = append(head, "Cookie: "+cookie)
	}
	return head
}

func serveHTTP(t *testing.T, c frontend.Config) net.Addr {
	t.Helper()
	l := listen(t)
	s := &http.Server{Handler: frontend.Handler(c)}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return l.Addr()
}

// askHTTP sends one head byte for byte, since Go's own client would clean it.
func askHTTP(t *testing.T, addr net.Addr, head []string) answer {
	t.Helper()
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// The bound only turns a hang into a failure.
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.Join(head, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		return answer{allow: true}
	}
	return answer{status: resp.StatusCode}
}

func serveGRPC(t *testing.T, c frontend.Config) *grpc.ClientConn {
	t.Helper()
	l := listen(t)
	s := extauthz.New(c, func(line string) { t.Error(line) })
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = s.Shutdown(context.Background()); <-done })
	return conn
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// askGRPC asks, and reads the answer as Envoy does.
func askGRPC(ctx context.Context, t *testing.T, conn *grpc.ClientConn, in *authv3.CheckRequest) answer {
	t.Helper()
	out, err := authv3.NewAuthorizationClient(conn).Check(ctx, in)
	if err != nil {
		t.Fatalf("a check gave a gRPC error: %v", err)
	}
	if codes.Code(out.GetStatus().GetCode()) == codes.OK {
		return answer{allow: true}
	}
	return answer{status: int(out.GetDeniedResponse().GetStatus().GetCode())}
}

// mapped is how Envoy sends s by default.
func mapped(s said) *authv3.CheckRequest {
	headers := map[string]string{":method": s.method, ":scheme": s.scheme, ":authority": s.host, ":path": s.target}
	for _, agent := range s.agents {
		headers["user-agent"] = agent
	}
	if len(s.cookies) > 0 {
		headers["cookie"] = strings.Join(s.cookies, ",")
	}
	return message(s, &authv3.AttributeContext_HttpRequest{Headers: headers})
}

// raw is how Envoy sends s with encode_raw_headers.
func raw(s said) *authv3.CheckRequest {
	list := &corev3.HeaderMap{}
	for key, value := range map[string]string{
		":method": s.method, ":scheme": s.scheme, ":authority": s.host, ":path": s.target,
	} {
		list.Headers = append(list.Headers, &corev3.HeaderValue{Key: key, RawValue: []byte(value)})
	}
	for _, agent := range s.agents {
		list.Headers = append(list.Headers, &corev3.HeaderValue{Key: "user-agent", RawValue: []byte(agent)})
	}
	for _, cookie := range s.cookies {
		list.Headers = append(list.Headers, &corev3.HeaderValue{Key: "cookie", RawValue: []byte(cookie)})
	}
	return message(s, &authv3.AttributeContext_HttpRequest{HeaderMap: list})
}

func message(s said, http *authv3.AttributeContext_HttpRequest) *authv3.CheckRequest {
	http.Method, http.Scheme, http.Host, http.Path = s.method, s.scheme, s.host, s.target
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
			SocketAddress: &corev3.SocketAddress{Address: s.address},
		}}},
		Request: &authv3.AttributeContext_Request{Http: http},
	}}
}

package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// askTimeout is longer than altagate lets a check wait.
const askTimeout = 10 * time.Second

// Edge serves origin to the viewers whom altagate allows, and 403 to the
// others. It asks about every request as nginx does with the shipped config.
// altagate is where that listens for checks, written as in --http: "host:port"
// or "unix:/path". While nobody listens there, nobody is served.
func Edge(origin http.Handler, altagate string) http.Handler {
	asks := asker(altagate)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A request line may also hold "*" or a whole URL; nginx would cut
		// that down to the path.
		if !strings.HasPrefix(r.RequestURI, "/") {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		if !allowed(asks, r) {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			http.Error(w, "403: you may not watch this", http.StatusForbidden)
			return
		}
		origin.ServeHTTP(w, r)
	})
}

// asker keeps connections to altagate, as an nginx upstream with keepalive.
func asker(altagate string) *http.Transport {
	network, address := "tcp", altagate
	if path, ok := strings.CutPrefix(altagate, "unix:"); ok {
		network, address = "unix", path
	}
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // or it would add Accept-Encoding
	}
}

// allowed is true only if altagate said so: to auth_request too, everything but
// 200 is no allow.
func allowed(asks *http.Transport, viewer *http.Request) bool {
	ctx, cancel := context.WithTimeout(viewer.Context(), askTimeout)
	defer cancel()
	q, err := question(ctx, viewer)
	if err != nil {
		return false
	}
	reply, err := asks.RoundTrip(q)
	if err != nil {
		return false
	}
	defer reply.Body.Close() //nolint:errcheck // it is empty
	return reply.StatusCode == http.StatusOK
}

// question says about a viewer's request what the shipped nginx config says.
func question(ctx context.Context, viewer *http.Request) (*http.Request, error) {
	addr, _, err := net.SplitHostPort(viewer.RemoteAddr)
	if err != nil {
		return nil, fmt.Errorf("reading the viewer's address: %w", err)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://altagate/auth/nginx", nil)
	if err != nil {
		return nil, fmt.Errorf("asking altagate: %w", err)
	}
	scheme := "http"
	if viewer.TLS != nil {
		scheme = "https"
	}
	q.Header.Set("X-Original-URI", viewer.RequestURI)
	q.Header.Set("X-Original-Method", viewer.Method)
	q.Header.Set("X-Forwarded-Proto", scheme)
	q.Header.Set("X-Forwarded-Host", viewer.Host)
	q.Header.Set("X-Real-IP", addr)
	// An empty one keeps net/http from adding its own.
	q.Header.Set("User-Agent", viewer.UserAgent())
	return q, nil
}

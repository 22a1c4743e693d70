package server

import (
	"context"
	"net"
	"net/http"
	"testing"
)

// TestHTTP2IsDrainedToo stops while a check over HTTP/2 is under way: it is answered,
// and the connection, idle from then on, holds nothing up.
func TestHTTP2IsDrainedToo(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	s := serveHere(t, open(t, "127.0.0.1:0"), func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(asked)
			<-release
		}
	})
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	}}}
	defer client.CloseIdleConnections()
	get := func(path string) error {
		reply, err := client.Get("http://a" + path)
		if err != nil {
			return err
		}
		if reply.ProtoMajor != 2 || reply.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", path, reply.Proto, reply.Status)
		}
		return reply.Body.Close()
	}
	if err := get("/"); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error)
	go func() { answered <- get("/slow") }()
	<-asked
	s.stop()
	s.refuse(t)
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("the check is lost: %v", err)
	}
	if err := <-s.ended; err != nil { // What is cut is told.
		t.Errorf("it ended with %v", err)
	}
}

package edge

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// patience is how long one request may take.
const patience = 10 * time.Second

// place is where an edge is, and what a viewer asks it for.
type place struct {
	scheme, host string
	// path and query are as the operator wrote them, byte for byte.
	path, query string
	// address is where it is connected to.
	address string
}

// parse reads the URL of a viewer. Its errors do not show the URL: it holds a token.
func parse(text, address string) (place, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return place{}, errors.New("the edge's URL begins neither with http:// nor with https://: write that of a viewer, such as http://tv.example.com/live/index.m3u8?token=123")
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	p := place{scheme: scheme, host: rest[:end], address: address}
	u, err := url.Parse(scheme + "://" + p.host + "/")
	if err != nil || u.Hostname() == "" || u.User != nil {
		return place{}, errors.New("the edge's URL has no host, or one that cannot be read")
	}
	target, _, _ := strings.Cut(rest[end:], "#")
	p.path, p.query, _ = strings.Cut(target, "?")
	if p.path == "" {
		p.path = "/"
	}
	if strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return place{}, errors.New("the edge's URL has a space or a control character in it: escape it")
	}
	if p.address == "" {
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[scheme]
		}
		p.address = net.JoinHostPort(u.Hostname(), port)
	}
	return p, nil
}

// request is one request, written to the edge byte for byte.
type request struct {
	// method is GET if it is empty, host the edge's own, and version HTTP/1.1.
	method, target, host, version string
	// agent is the User-Agent; with noAgent there is none.
	agent   string
	noAgent bool
	// lines are further header lines, and body is sent after them.
	lines []string
	body  string
}

// reply is what came back. With an err there was no complete head.
type reply struct {
	status int
	header http.Header
	err    error
	// local and remote are the ends of the connection.
	local, remote netip.Addr
}

// served says whether the viewer got what he asked for.
func (r reply) served() bool { return r.err == nil && r.status/100 == 2 }

func (r reply) String() string {
	if r.err != nil {
		return "no answer"
	}
	return fmt.Sprint(r.status)
}

// dial connects to the edge.
func (p place) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", p.address)
	if err != nil || p.scheme == "http" {
		return conn, err
	}
	name := (&url.URL{Host: p.host}).Hostname()
	secure := tls.Client(conn, &tls.Config{ServerName: name, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close() //nolint:errcheck // the error that led here is the one to tell
		return nil, err
	}
	return secure, nil
}

// send sends a request on a connection of its own.
func (p place) send(ctx context.Context, r request) reply {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := p.dial(ctx)
	if err != nil {
		return reply{err: err}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	got := reply{local: ip(conn.LocalAddr()), remote: ip(conn.RemoteAddr())}
	if _, err := io.WriteString(conn, p.bytes(r)); err != nil {
		got.err = err
		return got
	}
	method := r.method
	if method == "" {
		method = http.MethodGet
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		got.err = err
		return got
	}
	defer answer.Body.Close()
	got.status, got.header = answer.StatusCode, answer.Header
	return got
}

// bytes are the request as it goes over the wire.
func (p place) bytes(r request) string {
	var b strings.Builder
	or := func(text, otherwise string) string {
		if text == "" {
			return otherwise
		}
		return text
	}
	fmt.Fprintf(&b, "%s %s %s\r\n", or(r.method, http.MethodGet), r.target, or(r.version, "HTTP/1.1"))
	if r.host != noHost {
		fmt.Fprintf(&b, "Host: %s\r\n", or(r.host, p.host))
	}
	if !r.noAgent {
		fmt.Fprintf(&b, "User-Agent: %s\r\n", r.agent)
	}
	closes := true
	for _, line := range r.lines {
		b.WriteString(line + "\r\n")
		closes = closes && !strings.HasPrefix(line, "Connection:")
	}
	if closes {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n" + r.body)
	return b.String()
}

// noHost stands for a request without a Host header.
const noHost = "\x00"

func ip(at net.Addr) netip.Addr {
	tcp, ok := at.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

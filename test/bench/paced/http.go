package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// viewer asks over one HTTP connection.
type viewer struct {
	conn   net.Conn
	reader *bufio.Reader
	head   []byte
}

func viewers(n int, address string, head []byte) ([]asker, error) {
	network, path := "tcp", address
	if after, ok := strings.CutPrefix(address, "unix:"); ok {
		network, path = "unix", after
	}
	head = bytes.ReplaceAll(head, []byte("\n"), []byte("\r\n"))
	var all []asker
	for range n {
		conn, err := new(net.Dialer).DialContext(context.Background(), network, path)
		if err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
		all = append(all, &viewer{conn, bufio.NewReader(conn), head})
	}
	return all, nil
}

func (v *viewer) ask(name string) (allowed bool, err error) {
	if _, err := v.conn.Write(bytes.ReplaceAll(v.head, []byte("VIEWER"), []byte(name))); err != nil {
		return false, fmt.Errorf("asking: %w", err)
	}
	resp, err := http.ReadResponse(v.reader, nil)
	if err != nil {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	return resp.StatusCode == http.StatusOK, nil
}

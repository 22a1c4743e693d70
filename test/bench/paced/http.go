package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// viewer asks over one HTTP connection, and over another where the server says that it
// closes the one: nginx does after a thousand requests.
type viewer struct {
	address string
	conn    blocking
	reader  *bufio.Reader
	head    []byte
}

// blocking is a connection whose asker's thread waits in the kernel: it is its own, and
// woken by the answer itself. Go's poller would have another thread wake it.
type blocking struct{ file *os.File }

// Read waits until there are bytes. The kernel tells the end of a connection by none at
// all, which a reader knows as io.EOF.
func (b blocking) Read(p []byte) (int, error) {
	n, err := unix.Read(int(b.file.Fd()), p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err //nolint:wrapcheck // it is a connection's
}

func (b blocking) send(p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(int(b.file.Fd()), p)
		if err != nil {
			return err //nolint:wrapcheck // it is a connection's
		}
		p = p[n:]
	}
	return nil
}

// connect connects to host:port, or unix:/path.
func connect(address string) (blocking, error) {
	network, path := "tcp", address
	if after, ok := strings.CutPrefix(address, "unix:"); ok {
		network, path = "unix", after
	}
	conn, err := new(net.Dialer).DialContext(context.Background(), network, path)
	if err != nil {
		return blocking{}, fmt.Errorf("connecting: %w", err)
	}
	file, err := conn.(interface{ File() (*os.File, error) }).File() //nolint:errcheck,forcetypeassert // TCP and Unix have it
	if err != nil {
		return blocking{}, fmt.Errorf("connecting: %w", err)
	}
	if err := conn.Close(); err != nil {
		return blocking{}, fmt.Errorf("connecting: %w", err)
	}
	return blocking{file}, nil
}

func viewers(n int, address string, head []byte) ([]asker, error) {
	head = bytes.ReplaceAll(head, []byte("\n"), []byte("\r\n"))
	var all []asker
	for range n {
		v := &viewer{address: address, head: head}
		if err := v.connect(); err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func (v *viewer) connect() (err error) {
	if v.conn, err = connect(v.address); err == nil {
		v.reader = bufio.NewReader(v.conn)
	}
	return err
}

func (v *viewer) ask(name string) (allowed bool, err error) {
	if err := v.conn.send(bytes.ReplaceAll(v.head, []byte("VIEWER"), []byte(name))); err != nil {
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
	if resp.Close {
		if err := errors.Join(v.conn.file.Close(), v.connect()); err != nil {
			return false, fmt.Errorf("connecting again: %w", err)
		}
	}
	return resp.StatusCode == http.StatusOK, nil
}

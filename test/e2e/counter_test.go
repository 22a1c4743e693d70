package e2e

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// counter passes connections on, and counts them.
type counter struct {
	address string
	count   atomic.Int64
}

func startCounter(t *testing.T, to string) *counter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	n := &counter{address: l.Addr().String()}
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			n.count.Add(1)
			go pass(from, to)
		}
	}()
	return n
}

func (n *counter) opened() int64 { return n.count.Load() }

func pass(from net.Conn, address string) {
	defer from.Close()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		defer from.Close()
		_, _ = io.Copy(from, to)
	}()
	_, _ = io.Copy(to, from)
}

package server

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// silence is how long a connection that was just accepted may say nothing when
// altagate stops. Proxies ask at once.
const silence = time.Second

// doorway is a service's listener. It can stop accepting while its server takes
// it for open, and knows the connections on which nothing has begun yet. That is
// what net/http and gRPC want: told to shut down, they drop a connection that was
// accepted a moment ago with the check that it brings, and a proxy does not ask
// again where its connection was new.
type doorway struct {
	net.Listener
	closed    chan struct{}
	closeOnce sync.Once
	stopped   atomic.Bool

	mu        sync.Mutex
	accepting int
	fresh     map[*connection]struct{}
	changed   chan struct{} // closed at each change, and replaced
}

func newDoorway(l net.Listener) *doorway {
	return &doorway{
		Listener: l, closed: make(chan struct{}), changed: make(chan struct{}), fresh: map[*connection]struct{}{},
	}
}

// Accept gives the next connection. After finish there is none, and it waits for
// Close: its server must not think that the listener failed.
func (d *doorway) Accept() (net.Conn, error) {
	d.change(func() { d.accepting++ })
	conn, err := d.Listener.Accept()
	c := &connection{Conn: conn, doorway: d}
	d.change(func() {
		d.accepting--
		if err == nil {
			d.fresh[c] = struct{}{}
		}
	})
	if err == nil {
		return c, nil
	}
	if d.stopped.Load() {
		<-d.closed
		return nil, net.ErrClosed
	}
	return nil, err
}

// Close lets Accept end. The listener itself is closed only once.
func (d *doorway) Close() (err error) {
	d.closeOnce.Do(func() { err = d.stop() })
	return err
}

// stop closes the listener if finish has not, and wakes Accept.
func (d *doorway) stop() error {
	close(d.closed)
	if d.stopped.Swap(true) {
		return nil
	}
	return d.Listener.Close()
}

// finish stops accepting. It returns when something has begun on each connection
// that was accepted, or ctx ended; connections that stay silent are closed.
func (d *doorway) finish(ctx context.Context) {
	if !d.stopped.Swap(true) {
		d.Listener.Close() //nolint:errcheck // there is nothing to do about it
	}
	patience := time.NewTimer(silence)
	defer patience.Stop()
	for {
		changed, left := d.left()
		if !left {
			return
		}
		select {
		case <-changed:
		case <-patience.C:
			d.closeSilent()
		case <-ctx.Done():
			return
		}
	}
}

func (d *doorway) left() (changed <-chan struct{}, left bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed, d.accepting > 0 || len(d.fresh) > 0
}

func (d *doorway) closeSilent() {
	d.mu.Lock()
	var silent []*connection
	for c := range d.fresh {
		if !c.spoke.Load() {
			silent = append(silent, c)
		}
	}
	d.mu.Unlock()
	for _, c := range silent {
		c.Close() //nolint:errcheck // it brought nothing
	}
}

func (d *doorway) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
	close(d.changed)
	d.changed = make(chan struct{})
}

// connection is one that came through a doorway. It is fresh until a handler
// runs, something is written, or it is closed.
type connection struct {
	net.Conn
	doorway *doorway
	// spoke is set when a byte came.
	spoke atomic.Bool
	begun atomic.Bool
}

func (c *connection) begin() {
	if !c.begun.Swap(true) {
		c.doorway.change(func() { delete(c.doorway.fresh, c) })
	}
}

func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.spoke.Load() {
		c.spoke.Store(true)
	}
	return n, err //nolint:wrapcheck // it is a connection's
}

func (c *connection) Write(p []byte) (int, error) {
	c.begin()
	return c.Conn.Write(p) //nolint:wrapcheck // it is a connection's
}

func (c *connection) Close() error {
	c.begin()
	return c.Conn.Close() //nolint:wrapcheck // it is a connection's
}

// CloseWrite is what net/http does after an answer to a request that it did not
// read to its end, so that the answer is not lost.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// connectionKey is where a request's context has its connection.
type connectionKey struct{}

func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// beginning says that something has begun on the request's connection: from here
// on net/http waits for the answer. Before it shuts down itself it does not know
// that the connection is not to be kept. (Its SetKeepAlivesEnabled would close idle
// connections without a look at the request that may have come: the backend would
// be asked, and nobody get the answer.)
func beginning(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			c.begin()
			if c.doorway.stopped.Load() {
				w.Header().Set("Connection", "close")
			}
		}
		handler.ServeHTTP(w, r)
	})
}

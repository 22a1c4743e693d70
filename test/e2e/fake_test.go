package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a backend that does what a test says, down to the bytes.
type fake struct {
	listener net.Listener
	mu       sync.Mutex
	// question and probe say what is done with each kind of request.
	question, probe act
	accepted        int
	questions       int
}

// act answers one request on a connection; the connection is closed after it
// unless it says to keep it.
type act func(c *net.TCPConn, request string) (keep bool)

func startFake(t *testing.T, question, probe act) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{listener: l, question: question, probe: probe}
	var all sync.WaitGroup
	t.Cleanup(func() {
		f.listener.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.accepted++
			f.mu.Unlock()
			all.Go(func() {
				// A connection that hangs ends with the test.
				defer context.AfterFunc(t.Context(), func() { c.Close() })()
				f.serve(c.(*net.TCPConn))
			})
		}
	})
	return f
}

func (f *fake) url() string { return "http://" + f.listener.Addr().String() + "/" }

// set changes what is done from now on.
func (f *fake) set(question, probe act) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.question, f.probe = question, probe
}

func (f *fake) serve(c *net.TCPConn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		request := ""
		for !strings.HasSuffix(request, "\r\n\r\n") {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			request += line
		}
		// altagate's own probe has nothing of a viewer in it.
		asks := strings.Contains(strings.ToLower(request), "\r\nx-real-path:")
		f.mu.Lock()
		do := f.probe
		if asks {
			do = f.question
			f.questions++
		}
		f.mu.Unlock()
		if !do(c, request) {
			return
		}
	}
}

// says answers with bytes as they are.
func says(reply string) act {
	return func(c *net.TCPConn, _ string) bool {
		_, err := io.WriteString(c, reply)
		return err == nil
	}
}

func status(code int) act {
	return says(fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: 0\r\nLocation: /other\r\n\r\n", code))
}

// reset breaks the connection off in the middle of a reply.
func reset(c *net.TCPConn, _ string) bool {
	if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le"); err != nil {
		return false
	}
	if err := c.SetLinger(0); err != nil {
		return false
	}
	return false
}

// hung never answers.
func hung(c *net.TCPConn, _ string) bool {
	_, err := io.Copy(io.Discard, c)
	return err == nil
}

// slowly answers after a while, if the other end is still there.
func slowly(after time.Duration, then act) act {
	return func(c *net.TCPConn, request string) bool {
		if err := c.SetReadDeadline(time.Now().Add(after)); err != nil {
			return false
		}
		var one [1]byte
		var timeout net.Error
		if _, err := c.Read(one[:]); !errors.As(err, &timeout) || !timeout.Timeout() {
			return false
		}
		return c.SetReadDeadline(time.Time{}) == nil && then(c, request)
	}
}

func big(code int) act {
	const size = 10 << 20
	return says(fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s", code, size, strings.Repeat("x", size)))
}

// byToken does what the example backend does.
func byToken(c *net.TCPConn, request string) bool {
	target, _, _ := strings.Cut(request, "\r\n")
	if strings.Contains(target, "token=123 ") {
		return status(200)(c, request)
	}
	return status(403)(c, request)
}

// counted is how many questions there were.
func (f *fake) counted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.questions
}

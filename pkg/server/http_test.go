package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// asked gives the reply to raw bytes from a server whose handler allows.
func asked(t *testing.T, network, raw string) *http.Response {
	t.Helper()
	spec := "127.0.0.1:0"
	if network == "unix" {
		spec = "unix:" + t.TempDir() + "/s"
	}
	l := open(t, spec)
	s := HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Network", r.Context().Value(http.LocalAddrContextKey).(net.Addr).Network())
		w.Header().Set("X-Path", r.RequestURI)
	}), func(line string) { t.Error(line) })
	ended := make(chan error)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go io.WriteString(conn, raw)
	reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reply.Body.Close() })
	return reply
}

func TestTheHandlerLearnsHowItIsAsked(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		reply := asked(t, network, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if got := reply.Header.Get("X-Network"); got != network {
			t.Errorf("%s: got %q", network, got)
		}
	}
}

func TestHeadersThatAProxyMayPassOnFit(t *testing.T) {
	reply := asked(t, "tcp", "GET / HTTP/1.1\r\nHost: a\r\nCookie: "+strings.Repeat("c", 100<<10)+"\r\n\r\n")
	if reply.StatusCode != http.StatusOK {
		t.Errorf("100 KiB: %d", reply.StatusCode)
	}
	reply = asked(t, "tcp", "GET / HTTP/1.1\r\nHost: a\r\nCookie: "+strings.Repeat("c", 200<<10)+"\r\n\r\n")
	if reply.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("200 KiB: %d", reply.StatusCode)
	}
}

func TestTheLibraryAllowsNothingByItself(t *testing.T) {
	reply := asked(t, "tcp", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := reply.Header.Get("X-Path"); got != "*" {
		t.Errorf("OPTIONS * did not reach the handler: %v", reply)
	}
}

// panicking answers a request with a token with a handler that does what is
// given, and gives the reply and what was told of it.
func panicking(t *testing.T, does func(http.ResponseWriter, *http.Request)) (*http.Response, string, error) {
	t.Helper()
	told := make(chan string, 10)
	s := httptest.NewUnstartedServer(nil)
	s.Config = HTTP(http.HandlerFunc(does), func(line string) { told <- line })
	s.Start()
	reply, err := s.Client().Get(s.URL + "/auth?token=s3cret")
	if err == nil {
		reply.Body.Close()
	}
	s.Close()
	close(told)
	var lines []string
	for line := range told {
		lines = append(lines, line)
	}
	return reply, strings.Join(lines, "\n"), err
}

func TestAPanicIsADenialAndIsToldInOneLineWithoutAToken(t *testing.T) {
	const prefix = `^an answer is a denial: panic in github\.com/altagate/altagate/pkg/server\.TestAPanic[A-Za-z.0-9]+ \(http_test\.go:\d+\)`
	for name, test := range map[string]struct {
		does func(http.ResponseWriter, *http.Request)
		told string
	}{
		"an index": {
			func(_ http.ResponseWriter, r *http.Request) { _ = []byte(r.RequestURI)[1000] },
			`: runtime error: index out of range \[1000\] with length 18`,
		},
		"a type": {
			func(_ http.ResponseWriter, r *http.Request) { _ = r.Context().Value(http.ServerContextKey).(string) },
			`: interface conversion: interface \{\} is \*http\.Server, not string`,
		},
		"a text with the token": {func(_ http.ResponseWriter, r *http.Request) { panic(r.RequestURI) }, ` with a string`},
		"an error with the token": {
			func(_ http.ResponseWriter, r *http.Request) { panic(errors.New(r.RequestURI)) },
			` with a \*errors\.errorString`,
		},
		"with an allow half made": {
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Altagate-Decision", "allow")
				w.Header().Set("Content-Length", "7")
				panic(1)
			},
			` with a int`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			reply, told, err := panicking(t, test.does)
			if err != nil {
				t.Fatal(err)
			}
			if reply.StatusCode != http.StatusForbidden || reply.ContentLength != 0 || reply.Header.Get("X-Altagate-Decision") != "" {
				t.Errorf("got %d with %v", reply.StatusCode, reply.Header)
			}
			if !regexp.MustCompile(prefix + test.told + `$`).MatchString(told) {
				t.Errorf("told %q", told)
			}
		})
	}
}

func TestAHandlerMayBreakOffItsAnswer(t *testing.T) {
	_, told, err := panicking(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if err == nil || told != "" {
		t.Errorf("got %v, told %q", err, told)
	}
}

// full is a listener on a machine without descriptors, for a while.
type full struct {
	net.Listener
	failures int
}

func (f *full) Accept() (net.Conn, error) {
	if f.failures--; f.failures >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: f.Addr(), Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestAListenerThatCannotAcceptIsTold(t *testing.T) {
	told := make(chan string, 10)
	l := &full{open(t, "127.0.0.1:0"), 1}
	s := HTTP(http.NotFoundHandler(), func(line string) { told <- line })
	ended := make(chan error)
	go func() { ended <- s.Serve(l) }()
	if line := <-told; !strings.HasPrefix(line, "http: Accept error: ") || !strings.Contains(line, "too many open files") {
		t.Errorf("told %q", line)
	}
	s.Close()
	<-ended
}

func TestWhatTheLibraryQuotesIsNotTold(t *testing.T) {
	var told string
	s := HTTP(http.NotFoundHandler(), func(line string) { told = line })
	s.ErrorLog.Printf("http: invalid Content-Length of %q", "s3cret\nmore")
	if told != "http: invalid Content-Length of" {
		t.Errorf("told %q", told)
	}
}

package backend

import (
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

func TestStatus200AllowsAndEveryOtherReplyDenies(t *testing.T) {
	for code, want := range map[int]check.Verdict{
		200: check.Allowed,
		201: check.Denied, 204: check.Denied, 206: check.Denied, 301: check.Denied, 304: check.Denied,
		400: check.Denied, 401: check.Denied, 403: check.Denied, 404: check.Denied,
		500: check.Denied, 502: check.Denied, 503: check.Denied, 599: check.Denied,
	} {
		address, _ := serve(t, status(code))
		o := start(t, Config{Name: "portal"}, address).Ask(t.Context(), viewer(), s1())
		if o.Verdict != want || o.Status != code || o.Backend != "portal" || o.Session != "s1" || o.Err != nil {
			t.Errorf("status %d: outcome is %+v", code, o)
		}
	}
}

func TestARedirectIsADenialAndNeverFollowed(t *testing.T) {
	elsewhere, followed := serve(t, status(200))
	address, asked := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere+"/welcome", http.StatusFound)
	})
	o := start(t, Config{}, address).Ask(t.Context(), viewer(), s1())
	if o.Verdict != check.Denied || o.Status != 302 || asked.get() != 1 || followed.get() != 0 {
		t.Errorf("outcome is %+v, asked %d times, followed %d times", o, asked.get(), followed.get())
	}
}

func TestALongBodyIsReadUpToABoundAndTheStatusCounts(t *testing.T) {
	written := make(chan int64, 1)
	address, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n, _ := io.Copy(w, io.LimitReader(zeros{}, 10<<20))
		written <- n
	})
	o := start(t, Config{}, address).Ask(t.Context(), viewer(), s1())
	if o.Verdict != check.Allowed {
		t.Errorf("outcome is %+v", o)
	}
	if n := <-written; n == 10<<20 {
		t.Error("the whole body was taken")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestWithoutACompleteReplyTheOutcomeIsUnavailableButNotAbsent(t *testing.T) {
	for name, answer := range map[string]func(net.Conn, string){
		"closed without a byte": func(net.Conn, string) {},
		"garbage":               write("SSH-2.0-OpenSSH_9.2\r\n"),
		"an echo":               func(c net.Conn, head string) { io.WriteString(c, head+"\r\n") },
		"half a head":           write("HTTP/1.1 200 OK\r\nX-A: b\r\n"),
		"bad length":            write("HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n"),
		"header flood":          write("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: b\r\n", 20000) + "\r\n"),
		"one long header":       write("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("b", 100<<10) + "\r\n\r\n"),
		"flood of 103":          write(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", 10000) + rawOK),
		"status 101":            write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
		"only status 100":       write("HTTP/1.1 100 Continue\r\n\r\n"),
		"status 999":            write("HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n"),
		"status 000":            write("HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n"),
		"truncated body":        write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"),
		"truncated chunks":      write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123"),
		"reset in the body": func(c net.Conn, _ string) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
			c.(*net.TCPConn).SetLinger(0)
		},
		"reset before the reply": func(c net.Conn, _ string) { c.(*net.TCPConn).SetLinger(0) },
	} {
		t.Run(name, func(t *testing.T) {
			e := &events{}
			b := start(t, Config{Notify: e.notify}, raw(t, answer))
			o := b.Ask(t.Context(), viewer(), s1())
			if word(o) != "unanswered" || o.Status != 0 || o.Err == nil {
				t.Errorf("outcome is %+v", o)
			}
			if strings.Contains(o.Err.Error(), "token") {
				t.Errorf("the error has the token: %v", o.Err)
			}
			if asked := e.asked(); len(asked) != 1 || asked[0] != check.Unavailable {
				t.Errorf("reported: %v", asked)
			}
		})
	}
}

// write writes the same bytes to each question.
func write(reply string) func(net.Conn, string) {
	return func(c net.Conn, _ string) { io.WriteString(c, reply) }
}

func TestAReplyThatHangsIsUnavailableAfterTheTimeout(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"before its head": hang,
		"in its body": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "ok")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"byte after byte": func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for r.Context().Err() == nil {
				io.WriteString(w, ".")
				w.(http.Flusher).Flush()
				<-tick.C
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, questions := serve(t, answer)
			begun := time.Now()
			o := start(t, Config{Timeout: time.Second}, address).Ask(t.Context(), viewer(), s1())
			if word(o) != "unanswered" || questions.get() != 1 {
				t.Errorf("outcome is %+v after %d questions", o, questions.get())
			}
			if took := time.Since(begun); took < time.Second {
				t.Errorf("gave up after %s", took)
			}
		})
	}
}

func TestAKeptConnectionThatClosesWithoutAByteCostsNothing(t *testing.T) {
	var conns counter
	address := raw(t, func(c net.Conn, _ string) {
		conns.add(1)
		// The second question on this connection is read and never answered.
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		c.Read(make([]byte, 1))
	})
	b := start(t, Config{}, address)
	for i := range 5 {
		if o := b.Ask(t.Context(), viewer(), s1()); o.Verdict != check.Allowed {
			t.Fatalf("question %d: %+v", i, o)
		}
	}
	if conns.get() != 5 {
		t.Errorf("%d connections were asked on, want 5", conns.get())
	}
}

func TestConnectionsAreKept(t *testing.T) {
	remotes := map[string]bool{}
	address, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { remotes[r.RemoteAddr] = true })
	found := make(chan struct{})
	b := start(t, Config{Notify: func(e check.Event) {
		if _, ok := e.(check.Turned); ok {
			close(found)
		}
	}}, address)
	<-found // or the probe may need a connection beside the first question's
	for range 5 {
		b.Ask(t.Context(), viewer(), s1())
	}
	if len(remotes) > 1 {
		t.Errorf("%d connections for 5 questions, one after the other", len(remotes))
	}
}

func TestUserAndSessionNameAreTakenIfTheyArePlainText(t *testing.T) {
	long := strings.Repeat("a", 257)
	for _, test := range []struct{ sent, want string }{
		{"user 42", "user 42"}, {"", ""}, {long, ""}, {long[1:], long[1:]}, {"J\xf6rg", ""}, {"a\tb", ""},
	} {
		for _, code := range []int{200, 403} {
			address, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["X-UserId"] = []string{test.sent}
				w.Header()["X-Session-Name"] = []string{test.sent}
				w.WriteHeader(code)
			})
			o := start(t, Config{}, address).Ask(t.Context(), viewer(), s1())
			if o.User != test.want || o.SessionName != test.want {
				t.Errorf("%q: user %q, name %q", test.sent, o.User, o.SessionName)
			}
		}
	}
}

func TestAStatusThatTheOperatorListsIsAFailure(t *testing.T) {
	address, _ := serve(t, status(502))
	b := start(t, Config{UnavailableStatuses: []int{502, 504}}, address)
	o := b.Ask(t.Context(), viewer(), s1())
	if word(o) != "unanswered" || o.Status != 502 || o.Err == nil {
		t.Errorf("outcome is %+v", o)
	}
}

func TestAnAuthDurationIsAnIntegerOfOneOrMore(t *testing.T) {
	tests := []struct {
		values []string
		want   time.Duration
	}{
		{nil, 0},
		{[]string{"36000"}, 10 * time.Hour}, // Ministra's
		{[]string{"1"}, time.Second},
		{[]string{"0"}, 0},
		{[]string{"-1"}, 0},
		{[]string{"+5"}, 0},
		{[]string{"1.5"}, 0},
		{[]string{"1e3"}, 0},
		{[]string{"10s"}, 0},
		{[]string{""}, 0},
		{[]string{" 5"}, 0},
		{[]string{"5", "5"}, 0},
		{[]string{"99999999999999999999"}, maxAuthDuration},
		{[]string{"9223372036854775807"}, maxAuthDuration},
	}
	for _, tt := range tests {
		if got := authDuration(tt.values); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestALimitOfSessionsIsAnIntegerOfOneOrMore(t *testing.T) {
	for _, test := range []struct {
		values []string
		want   int
	}{
		{nil, 0},
		{[]string{"10"}, 10}, // Ministra's
		{[]string{"1"}, 1},
		{[]string{"0"}, 0},
		{[]string{"-1"}, 0},
		{[]string{"+5"}, 0},
		{[]string{"1.5"}, 0},
		{[]string{"two"}, 0},
		{[]string{""}, 0},
		{[]string{"1", "10"}, 0},
		{[]string{"99999999999999999999"}, math.MaxInt32},
	} {
		o := reply{status: 200, header: http.Header{"X-Max-Sessions": test.values}}.outcome(nil, nil)
		if o.MaxSessions != test.want {
			t.Errorf("%q: %d, want %d", test.values, o.MaxSessions, test.want)
		}
	}
}

func TestAUserIsUniqueWhereTheReplySaysTrueOnce(t *testing.T) {
	for _, test := range []struct {
		values []string
		want   bool
	}{
		{nil, false},
		{[]string{"true"}, true}, // Ministra's
		{[]string{"True"}, true},
		{[]string{"false"}, false},
		{[]string{"1"}, false},
		{[]string{""}, false},
		{[]string{"true", "false"}, false},
	} {
		o := reply{status: 200, header: http.Header{"X-Unique": test.values}}.outcome(nil, nil)
		if o.Unique != test.want {
			t.Errorf("%q: %v, want %v", test.values, o.Unique, test.want)
		}
	}
}

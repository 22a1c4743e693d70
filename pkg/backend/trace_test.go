package backend

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/check"
)

func TestATraceShowsTheQuestionTheReplyAndThePhases(t *testing.T) {
	var arrived string
	address := raw(t, func(c net.Conn, head string) {
		arrived = head
		io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nX-B: 2\r\nX-A: 1\r\nContent-Length: 600\r\n\r\n"+strings.Repeat("n", 600))
	})
	dead := refusing(t)
	host := strings.TrimPrefix(address, "http://")
	c := Config{Name: "portal", Header: http.Header{"x-api-key": {"k1"}}}
	b := start(t, c, dead+"/auth", "http://user:pw@"+host+"/auth?key=s")
	trace := b.Trace(t.Context(), viewer(), s1())

	if trace.RequestLine != "GET /auth?key=s&token=123 HTTP/1.1" {
		t.Errorf("request line is %q", trace.RequestLine)
	}
	want := []Field{
		{"Host", host},
		{"User-Agent", "altagate"},
		{"Authorization", "Basic ***"},
		{"X-Api-Key", "***"},
		{"X-Real-Ip", "192.0.2.7"},
		{"X-Real-Origin", "https://live.example.com"},
		{"X-Real-Path", "/ch1/index.m3u8"},
		{"X-Real-Ua", "VLC/3.0"},
		{"X-Session-Id", "s1"},
	}
	if diff := cmp.Diff(want, trace.RequestHeader); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(arrived, "\n"); n != 1+len(want) {
		t.Errorf("%d lines were sent, %d are shown:\n%s", n, 1+len(want), arrived)
	}
	if trace.Status != 403 || string(trace.Body) != strings.Repeat("n", 512) {
		t.Errorf("status %d, body of %d bytes", trace.Status, len(trace.Body))
	}
	reply := []Field{{"Content-Length", "600"}, {"X-A", "1"}, {"X-B", "2"}}
	if diff := cmp.Diff(reply, trace.ReplyHeader); diff != "" {
		t.Error(diff)
	}
	if o := trace.Outcome; word(o) != "deny" || o.Backend != "portal" || o.Session != "s1" || o.Status != 403 {
		t.Errorf("outcome is %+v", o)
	}
	if len(trace.Attempts) != 2 || trace.Attempts[0].Err == nil || trace.Attempts[1].Err != nil {
		t.Fatalf("attempts are %+v", trace.Attempts)
	}
	p := trace.Attempts[1].Phases
	if p.Connect <= 0 || p.FirstByte <= 0 || p.Total < p.Connect+p.FirstByte || p.TLS != 0 || p.Resolve != 0 {
		t.Errorf("phases are %+v", p)
	}
	if trace.Probes != nil {
		t.Errorf("probed after a complete reply: %+v", trace.Probes)
	}
}

func TestATraceWithoutAReplySaysWhetherTheBackendIsAway(t *testing.T) {
	dead := refusing(t)
	breaks := raw(t, func(net.Conn, string) {})
	for _, test := range []struct {
		name   string
		urls   []string
		want   string
		probes []bool
	}{
		{"refused", []string{dead}, "absent", []bool{false}},
		{"both refused", []string{dead, dead + "/2"}, "absent", []bool{false, false}},
		{"broken off", []string{breaks}, "unanswered", []bool{true}},
		{"broken off, and the next is not asked", []string{breaks, dead}, "unanswered", []bool{true, false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := &events{}
			b := start(t, Config{Notify: e.notify}, test.urls...)
			trace := b.Trace(t.Context(), viewer(), s1())
			if word(trace.Outcome) != test.want || trace.Outcome.Err == nil {
				t.Errorf("outcome is %+v", trace.Outcome)
			}
			var probes []bool
			for _, p := range trace.Probes {
				probes = append(probes, p.There)
			}
			if diff := cmp.Diff(test.probes, probes); diff != "" {
				t.Error(diff)
			}
			if asked := e.asked(); len(asked) != 0 {
				t.Errorf("reported: %v", asked)
			}
		})
	}
}

func TestATraceOfAnUnavailableStatusShowsTheReply(t *testing.T) {
	address, _ := serve(t, status(502))
	b := start(t, Config{UnavailableStatuses: []int{502}}, address)
	trace := b.Trace(t.Context(), viewer(), s1())
	if o := trace.Outcome; word(o) != "unanswered" || o.Status != 502 || o.Err == nil || trace.Status != 502 {
		t.Errorf("trace is %+v", trace)
	}
	if len(trace.Probes) != 1 || !trace.Probes[0].There {
		t.Errorf("probes are %+v", trace.Probes)
	}
}

func TestATraceNeverHoldsAPassword(t *testing.T) {
	address, _ := serve(t, status(200))
	c := Config{Header: http.Header{"X-Api-Key": {"hunter2"}}}
	b := start(t, c, strings.Replace(address, "//", "//user:hunter2@", 1))
	trace := b.Trace(t.Context(), viewer(), s1())
	if trace.Outcome.Verdict != check.Allowed {
		t.Fatalf("outcome is %+v", trace.Outcome)
	}
	if text := fmt.Sprintf("%+v", trace); strings.Contains(text, "hunter2") || strings.Contains(text, "dXNlcjpodW50ZXIy") {
		t.Errorf("the trace holds the password: %s", text)
	}
}

func TestATraceOfWhatCannotBeSentSaysSo(t *testing.T) {
	r := viewer()
	r.Query = "a b"
	trace := start(t, Config{}, refusing(t)).Trace(t.Context(), r, s1())
	if word(trace.Outcome) != "unanswered" || trace.Outcome.Err == nil || trace.Attempts != nil || trace.Probes != nil {
		t.Errorf("trace is %+v", trace)
	}
}

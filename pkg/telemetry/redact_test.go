package telemetry

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/altagate/altagate/pkg/check"
)

func TestAQueryKeepsItsNamesAndLosesItsValues(t *testing.T) {
	for query, want := range map[string]string{
		"":                             "",
		"token=secret":                 "token=***",
		"token=a=b&x=1":                "token=***&x=***",
		"secret":                       "***",
		"a=1&secret&b=2":               "a=***&***&b=***",
		"token=":                       "***",
		"=secret":                      "=***",
		"token%3Dsecret=1":             "***",
		"c2VjcmV0c2VjcmV0c2VjcmV0==":   "***",
		"a=1;token=secret":             "a=***",
		"%74oken=secret":               "***",
		"&&a=1&":                       "a=***",
		strings.Repeat("a=1&", 20):     strings.Repeat("a=***&", maxParams) + "…",
		strings.Repeat("n", 21) + "=1": "***",
	} {
		if got := redacted(query); got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
}

func TestATokenThatIsStillInThePathIsNotShown(t *testing.T) {
	for path, want := range map[string]string{
		"/live/x.m3u8?token=secret":       "/live/x.m3u8",
		"/live/x.m3u8#token=secret":       "/live/x.m3u8",
		"/live/x.m3u8%3Ftoken=secret":     "/live/x.m3u8",
		"/live/x.m3u8%3ftoken%3dsecret":   "/live/x.m3u8",
		"/live/x.m3u8%23a%3Ftoken=secret": "/live/x.m3u8",
		"/live/x.m3u8;token=secret":       "/live/x.m3u8",
		"/live/x.m3u8%253Ftoken=secret":   "/live/x.m3u8",
		"/live/ı.m3u8%3Ftoken=secret":     "/live/ı.m3u8",
	} {
		path, query := pathAndQuery(&check.Request{Path: path, Query: "b=secret"})
		if path != want || strings.Contains(query, "secret") || !strings.HasSuffix(query, "b=***") {
			t.Errorf("got %q and %q, want %q", path, query, want)
		}
	}
}

func TestNoValueOfAQueryIsEverShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringMatching(`[a-z%;+\[\]]{0,24}`), 1, 20).Draw(t, "names")
		query := strings.Join(names, "=SECRET&") + "=SECRET"
		mark := rapid.SampledFrom([]string{"?", "#", "%3F", "%3f", "%23"}).Draw(t, "mark")
		path, shown := pathAndQuery(&check.Request{Path: "/a" + mark + query, Query: query})
		if strings.Contains(path+shown, "SECRET") {
			t.Fatalf("%q, %q", path, shown)
		}
	})
}

func TestPrintableIsBoundedAndObeyedByNoTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		got := printable(s, 16)
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) || len(got) > 16*10+len("…") {
			t.Fatalf("%q gives %q", s, got)
		}
	})
	for s, want := range map[string]string{
		"plain":            "plain",
		"héllo":            "héllo",
		"a\x1b[2Jb":        `a\x1b[2Jb`,
		"a\nb":             `a\nb`,
		"\xff":             `\xff`,
		"\u009b31m":        `\u009b31m`,
		"\u202eevil":       `\u202eevil`,
		"0123456789abcdeé": "0123456789abcde…",
	} {
		if got := printable(s, 16); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

func TestHostileTextStaysInItsFieldInBothFormats(t *testing.T) {
	evil := "\x1b]0;x\x07\r\n{\"level\":\"error\"}\x00\u009b\u202e\xff\" proxy=spoofed"
	r := &check.Request{
		Proxy: "nginx", Method: evil, Host: evil, Path: "/\x1b[2J", Query: evil + "=1", UserAgent: evil + strings.Repeat("A", 8192),
	}
	d := check.Decision{Reason: check.Malformed, Outcome: check.Outcome{Err: errors.New(evil)}}
	for _, format := range []string{"json", "console"} {
		tel, w := started(t, Config{Format: format})
		tel.Record(r, d, 0)
		got := w.String()
		if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
			t.Errorf("%s: not one line: %q", format, got)
		}
		if i := strings.IndexFunc(strings.TrimSuffix(got, "\n"), func(c rune) bool { return !unicode.IsPrint(c) }); i >= 0 {
			t.Errorf("%s: byte %q gets through in %q", format, got[i], got)
		}
		if strings.Contains(got, "\ufffd") || len(got) > 4096 {
			t.Errorf("%s: %d bytes: %q", format, len(got), got)
		}
	}
}

func TestConsoleHasNoColoursWhereNobodySeesThem(t *testing.T) {
	tel, w := started(t, Config{Format: "console"})
	tel.Log().Warn().Str("backend", "portal").Msg("hello")
	if got := w.String(); strings.Contains(got, "\x1b") || !strings.Contains(got, "hello backend=portal") {
		t.Errorf("got %q", got)
	}
}

func TestAnErrorShowsNoQueryAndNoPassword(t *testing.T) {
	cause := errors.New("connection refused")
	asURL := func(raw string, err error) error { return &url.Error{Op: "Get", URL: raw, Err: err} }
	joined := errors.Join(asURL("http://h/?token=s3cret", cause), asURL("http://h/?token=s3cret", errRefused))
	for _, test := range []struct {
		err  error
		want string
	}{
		{cause, "connection refused"},
		{asURL("http://h/?token=s3cret", cause), "connection refused"},
		{asURL(`http://h/?token="s3cret s3cret`, cause), "connection refused"},
		{fmt.Errorf("asking: %w", asURL("http://h/?token=s3cret", cause)), "asking: connection refused"},
		{fmt.Errorf("a: %w", fmt.Errorf("b: %w", asURL("http://h/?token=s3cret", cause))), "a: b: connection refused"},
		{joined, "connection refused; connect: connection refused"},
		{fmt.Errorf("asking: %w", joined), "asking: connection refused; connect: connection refused"},
		{fmt.Errorf("calling http://u:s3cret@h/p?token=s3cret: %w", cause), "calling http://***@h/p?*** connection refused"},
		{errors.New(`bad url "http://u:s3cret@h/?token=s3cret"`), `bad url "http://***@h/?***"`},
		{errors.New(`unknown key "ulr": did you mean "url"?`), `unknown key "ulr": did you mean "url"?`},
	} {
		if got := errorText(test.err, maxError); got != test.want || strings.Contains(got, "s3cret") {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestTheErrorOfARealRequestShowsNoToken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	reply, err := http.Get("http://user:s3cret@" + address + "/auth?token=s3cret")
	if err == nil {
		reply.Body.Close()
		t.Skip("somebody listens on the port that was just closed")
	}
	tel, w := started(t, Config{})
	d := check.Deny(check.Unanswered)
	d.Outcome.Err = err
	tel.Record(viewer(), d, 0)
	tel.Notify(check.Turned{Backend: "portal", Err: err})
	if got := w.String(); strings.Contains(got, "s3cret") || strings.Contains(got, "hunter2") || strings.Count(got, "refused") != 2 {
		t.Errorf("got %s", got)
	}
}

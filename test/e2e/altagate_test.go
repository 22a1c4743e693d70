package e2e

import (
	"bufio"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// altagate is a running "altagate serve".
type altagate struct {
	*rig.Process
	// http and grpc are host:port, or the path of a Unix socket.
	http, grpc, admin string
}

// serve starts altagate with the flags given, on TCP or on Unix sockets.
func serve(t *testing.T, unix bool, flags ...string) *altagate {
	t.Helper()
	a := &altagate{admin: rig.FreeAddress(t)}
	scheme := ""
	if unix {
		dir := rig.TempDir(t)
		a.http, a.grpc, scheme = filepath.Join(dir, "http.sock"), filepath.Join(dir, "grpc.sock"), "unix:"
	} else {
		a.http, a.grpc = rig.FreeAddress(t), rig.FreeAddress(t)
	}
	a.restart(t, append([]string{"--http", scheme + a.http, "--grpc", scheme + a.grpc, "--admin", a.admin}, flags...)...)
	return a
}

// restart starts altagate again, or at first, with these flags.
func (a *altagate) restart(t *testing.T, flags ...string) {
	t.Helper()
	a.Process = rig.Start(t, "altagate", altagateBin, append([]string{"serve", "--log-format", "json"}, flags...)...)
	a.Listening(t, "tcp", a.admin)
	rig.Until(t, "altagate to be ready", func() bool {
		status, _ := a.ask(t, "/readyz")
		return status == http.StatusOK
	})
}

// ask gets a page of the admin listener.
func (a *altagate) ask(t *testing.T, path string) (status int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + a.admin + path)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// metric adds up the series of a metric that have all these labels, each
// written as name="value".
func (a *altagate) metric(t *testing.T, name string, labels ...string) (sum float64) {
	t.Helper()
	_, text := a.ask(t, "/metrics")
	lines := bufio.NewScanner(strings.NewReader(text))
series:
	for lines.Scan() {
		series, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || (series != name && !strings.HasPrefix(series, name+"{")) {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(series, label) {
				continue series
			}
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// decided is how many checks ended with a decision for a reason.
func (a *altagate) decided(t *testing.T, decision, reason string) float64 {
	t.Helper()
	return a.metric(t, "altagate_checks_total", `decision="`+decision+`"`, `reason="`+reason+`"`)
}

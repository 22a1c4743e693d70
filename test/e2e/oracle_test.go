package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/frontend"
)

// deciders keeps what each check was about, by the User-Agent. It allows all.
type deciders struct {
	mu    sync.Mutex
	about map[string]check.Request
}

func (d *deciders) Check(_ context.Context, r *check.Request) check.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.about[r.UserAgent] = *r
	return check.Decision{Allow: true, Reason: check.Backend}
}

func (d *deciders) of(agent string) (check.Request, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.about[agent]
	return r, ok
}

// randomTarget puts pieces together that readers of a path or a query take in
// different ways.
func randomTarget(r *rand.Rand) string {
	pieces := []string{
		"/", "/", "/", "//", "a", "b", "live", ".", "..", "/./", "/../", "%2e", "%2E", ".%2e", "%2f", "%5c", "\\", ";", "..;", ";x=1", "%3b", "%25", "%252e",
		"%00", "%0a", "%20", "+", "%2b", "#", "%23", "?", "%3f", "&", "=", "%", "%z", "~", "%7e", "é", "\xff", "%c3%a9", "%C3%A9", "\"", "<", "|", "^", "{", "`",
		"@", ":", "*", "'", "(", "!", "$", ",", "[", "]", "%41", "%6c", "-", "_",
	}
	var b strings.Builder
	b.WriteString("/")
	for range 1 + r.IntN(9) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// TestThePathThatIsCheckedIsThePathThatIsServed sends targets of all kinds through
// each real proxy. Whatever gets as far as the origin is, path and query, what the
// check was about.
func TestThePathThatIsCheckedIsThePathThatIsServed(t *testing.T) {
	for _, e := range edges {
		if e.unix || e.file == "nginx/hls-edge.conf" { // These send no query on, or are like their siblings.
			continue
		}
		t.Run(e.file, func(t *testing.T) {
			t.Parallel()
			d := &deciders{about: map[string]check.Request{}}
			config := frontend.Config{Checker: d, May: func(net.Addr) bool { return true }}
			a := &altagate{http: listenHTTP(t, config), grpc: listenGRPC(t, config)}
			o := startOrigin(t)
			v := viewer{edge: e.start(t, e, a, o.address)}
			random := rand.New(rand.NewPCG(1, 2))
			queue := make(chan string)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for request := range queue {
						if status := v.statusOf(request); status >= 500 {
							t.Errorf("%q: status %d", request, status)
						}
					}
				})
			}
			const requests = 2000
			for i := range requests {
				queue <- fmt.Sprintf("GET %s HTTP/1.1\r\nHost: tv.example.com\r\nUser-Agent: %d\r\nConnection: close\r\n\r\n", randomTarget(random), i)
			}
			close(queue)
			all.Wait()
			reached := o.take()
			for _, s := range reached {
				checked, ok := d.of(s.header.Get("User-Agent"))
				path, query, _ := strings.Cut(s.target, "?")
				if served, told := decoded(path), decoded(checked.Path); !ok || served != told || query != checked.Query {
					t.Errorf("checked as %q ? %q, served as %q", checked.Path, checked.Query, s.target)
				}
			}
			if len(reached) < requests/20 {
				t.Errorf("only %d of %d requests were served", len(reached), requests)
			}
			t.Logf("%d of %d served", len(reached), requests)
		})
	}
}

// decoded is a path as an origin takes it; one that has no meaning is not equal to any
// other. Slashes alone, of which Envoy leaves two, are the root.
func decoded(path string) string {
	if strings.Trim(path, "/") == "" {
		return "/"
	}
	text, err := url.PathUnescape(path)
	if err != nil {
		return "no path: " + path
	}
	return text
}

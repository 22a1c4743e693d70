package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/altagate/altagate/test/rig"
)

// longFilm is an origin's answer that is longer than any buffer. It gives how much of it
// was sent when no more has been taken for a second.
type longFilm struct {
	stalled chan int
	done    chan struct{}
}

const filmSize = 256 << 20

func (f *longFilm) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(filmSize))
	out := http.NewResponseController(w)
	piece := make([]byte, 1<<16)
	for sent := 0; sent < filmSize; sent += len(piece) {
		if err := out.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			f.stalled <- -1
			return
		}
		if _, err := w.Write(piece); err != nil {
			f.stalled <- sent
			<-f.done // The proxy shall not see an end.
			return
		}
	}
	f.stalled <- filmSize
}

// A viewer who may watch asks for a film and takes none of it. What nginx took of it
// would be in a file: up to 1 GB of the pod's /tmp for each such viewer, by its default.
func TestAViewerWhoReadsSlowlyFillsNoDisk(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"nginx/altagate.conf", "nginx/cached.conf", "nginx/hls-edge.conf", "nginx/rewrite.conf"} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			f := &longFilm{stalled: make(chan int, 1), done: make(chan struct{})}
			origin := httptest.NewServer(f)
			t.Cleanup(origin.Close)
			t.Cleanup(func() { close(f.done) })
			edge := startFakeGate(t).edge(t, file, origin.Listener.Addr().String())
			conn, err := net.Dial("tcp", edge.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, "GET /live/film.mkv HTTP/1.1\r\nHost: localhost\r\n\r\n")
			select {
			case sent := <-f.stalled:
				if sent < 0 || sent > filmSize/4 {
					t.Errorf("nginx took %d bytes of the film for who takes none", sent)
				}
			case <-time.After(rig.Patience):
				t.Fatal("the origin was not asked")
			}
		})
	}
}

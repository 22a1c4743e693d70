package deploy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// forARM64 builds altagate for Linux on arm64, as it is released.
func forARM64(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "altagate-linux-arm64")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "grpcnotrace", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "./cmd/altagate")
	build.Dir = rig.Top
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return path
}

// TestTheBinaryForARM64Works runs it on an emulated processor.
func TestTheBinaryForARM64Works(t *testing.T) {
	t.Parallel()
	qemu, path := rig.Program(t, "qemu-aarch64-static"), forARM64(t)
	if code, printed := rig.Run(t, qemu, path, "version"); code != 0 || !strings.Contains(printed, "linux/arm64") {
		t.Errorf("version: exit code %d\n%s", code, printed)
	}
	var asked atomic.Int32
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A probe has no token.
		if r.FormValue("token") != "" {
			asked.Add(1)
		}
		if r.FormValue("token") != "123" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer backend.Close()
	for token, want := range map[string]int{"123": 0, "1": 1} {
		if code, printed := rig.Run(t, qemu, path, "check", "http://tv.example.com/live/index.m3u8?token="+token, "--backend", backend.URL); code != want {
			t.Errorf("check with token=%s: exit code %d\n%s", token, code, printed)
		}
	}
	asked.Store(0)
	dir := rig.TempDir(t)
	socket := dir + "/http.sock"
	p := rig.Start(t, "altagate", qemu, path, "serve", "--backend", backend.URL, "--http", "unix:"+socket, "--grpc", "", "--admin", "", "--state", dir+"/state.db")
	p.Listening(t, "unix", socket)
	for _, token := range []string{"123", "123", "1"} {
		status, want := check(t, socket, token), http.StatusOK
		if token == "1" {
			want = http.StatusForbidden
		}
		if status != want {
			t.Errorf("token=%s: status %d, want %d", token, status, want)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the backend was asked %d times for one viewer who joined and one who was denied", n)
	}
	p.Stop(t)
	if err := p.Err(); err != nil {
		t.Errorf("it ended by %v", err)
	}
}

// check asks at a Unix socket as nginx does, and gives the status.
func check(t *testing.T, socket, token string) int {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://altagate/auth/nginx", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"X-Original-URI": "/live/index.m3u8?token=" + token, "X-Original-Method": "GET", "X-Forwarded-Proto": "http",
		"X-Forwarded-Host": "tv.example.com", "X-Real-IP": "192.0.2.7", "User-Agent": "VLC",
	} {
		request.Header.Set(name, value)
	}
	reply, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if _, err := io.Copy(io.Discard, reply.Body); err != nil {
		t.Error(err)
	}
	return reply.StatusCode
}

package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

const kubernetes = rig.Top + "/deploy/kubernetes/"

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheProxiesConfigsInPodsAreTheShippedOnes(t *testing.T) {
	shipped := read(t, rig.Top+"/nginx/altagate-unix.conf")
	if want := strings.ReplaceAll(shipped, "/var/log/nginx/altagate-unix.log", "/dev/stdout"); read(t, kubernetes+"nginx/edge.conf") != want {
		t.Error("nginx/edge.conf is not nginx/altagate-unix.conf with its log on stdout: sed s,/var/log/nginx/altagate-unix.log,/dev/stdout, makes it")
	}
	if read(t, kubernetes+"envoy/edge.yaml") != read(t, rig.Top+"/envoy/grpc-unix.yaml") {
		t.Error("envoy/edge.yaml is not envoy/grpc-unix.yaml: copy it")
	}
}

func TestTheConfigsInPodsAreGood(t *testing.T) {
	files, err := filepath.Glob(kubernetes + "*/altagate.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		if code, printed := rig.Run(t, altagateBin, "config", "validate", file); code != 0 || strings.Contains(printed, "note") {
			t.Errorf("%s: exit code %d\n%s", file, code, printed)
		}
	}
	dir := rig.TempDir(t)
	edge, err := filepath.Abs(kubernetes + "nginx/edge.conf")
	if err != nil {
		t.Fatal(err)
	}
	conf := rig.Write(t, dir+"/nginx.conf", "pid "+dir+"/pid; events {} http { include "+edge+"; }\n")
	if code, printed := rig.Run(t, rig.Program(t, "nginx", "/usr/sbin/nginx"), "-t", "-e", "stderr", "-p", dir, "-c", conf); code != 0 {
		t.Errorf("nginx -t: exit code %d\n%s", code, printed)
	}
	envoy := rig.Program(t, os.Getenv("ALTAGATE_TEST_ENVOY"), rig.Top+"/.deps/venv/bin/envoy", "envoy")
	if code, printed := rig.Run(t, envoy, "--mode", "validate", "-c", kubernetes+"envoy/edge.yaml"); code != 0 {
		t.Errorf("envoy --mode validate: exit code %d\n%s", code, printed)
	}
}

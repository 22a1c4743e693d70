package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// php is the example backend, running.
type php struct {
	*rig.Process
	url string
	// log gives what the script has logged.
	log func() string
}

// startPHP runs the example backend as its own comment says.
func startPHP(t *testing.T) *php {
	t.Helper()
	address := rig.FreeAddress(t)
	p := rig.Start(t, "php -S", rig.Program(t, "php"), "-S", address, filepath.Join(rig.Top, "deploy/php/auth.php"))
	p.Listening(t, "tcp", address)
	return &php{p, "http://" + address + "/", func() string { return p.Log(t) }}
}

// startFPM runs the example backend under nginx and php-fpm.
func startFPM(t *testing.T) *php {
	t.Helper()
	bin := rig.Program(t, "/usr/sbin/php-fpm*", "php-fpm")
	dir := rig.TempDir(t)
	socket := filepath.Join(dir, "fpm.sock")
	conf := rig.Write(t, filepath.Join(dir, "fpm.conf"), `
[global]
error_log = /dev/stderr
daemonize = no
[www]
; Only root needs it, and only root obeys it.
user = root
group = root
listen = `+socket+`
pm = static
pm.max_children = 2
`)
	fpm := rig.Start(t, "php-fpm", bin, "--nodaemonize", "--allow-to-run-as-root", "--fpm-config", conf)
	fpm.Listening(t, "unix", socket)

	script, err := filepath.Abs(filepath.Join(rig.Top, "deploy/php/auth.php"))
	if err != nil {
		t.Fatal(err)
	}
	address := rig.FreeAddress(t)
	web := rig.Nginx(t, dir, rig.Shipped(t, "deploy/php/nginx-fpm.conf", dir,
		rig.Swap{"127.0.0.1:6000;", address + ";"},
		rig.Swap{"include fastcgi_params", "include /etc/nginx/fastcgi_params"},
		rig.Swap{"/usr/local/share/altagate-auth.php", script},
		rig.Swap{"/run/php/php-fpm.sock", socket},
	), address)
	// FastCGI hands the script's log to nginx.
	return &php{fpm, "http://" + address + "/", func() string { return web.Log(t) }}
}

// asked gives the headers of each question that the script has logged.
func (p *php) asked(t *testing.T) (questions []map[string]string) {
	t.Helper()
	for _, part := range strings.Split(p.log(), "asked ")[1:] {
		var q map[string]string
		err := json.NewDecoder(strings.NewReader(part)).Decode(&q)
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			break // The rest of the line is on its way.
		}
		if err != nil {
			t.Fatalf("reading the log of PHP: %v in %q", err, part)
		}
		questions = append(questions, q)
	}
	return questions
}

// told gives the headers of the question about the viewer with a User-Agent. It
// waits for it, because PHP writes its log beside its answer.
func (p *php) told(t *testing.T, agent string) (headers map[string]string) {
	t.Helper()
	rig.Until(t, "PHP to log the question about "+agent, func() bool {
		for _, headers = range p.asked(t) {
			if headers["X-Real-Ua"] == agent {
				return true
			}
		}
		return false
	})
	return headers
}

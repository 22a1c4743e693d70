package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// php is the example backend, running.
type php struct {
	*process
	url string
	// log gives what the script has logged.
	log func() string
}

// startPHP runs the example backend as its own comment says.
func startPHP(t *testing.T) *php {
	t.Helper()
	address := freeAddress(t)
	p := start(t, "php -S", exec.Command(program(t, "php"), "-S", address, filepath.Join(top, "deploy/php/auth.php")))
	p.listening(t, "tcp", address)
	return &php{p, "http://" + address + "/", p.log.String}
}

// startFPM runs the example backend under nginx and php-fpm.
func startFPM(t *testing.T) *php {
	t.Helper()
	bin := program(t, "/usr/sbin/php-fpm*", "php-fpm")
	dir := tempDir(t)
	socket := filepath.Join(dir, "fpm.sock")
	conf := write(t, filepath.Join(dir, "fpm.conf"), `
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
	fpm := start(t, "php-fpm", exec.Command(bin, "--nodaemonize", "--allow-to-run-as-root", "--fpm-config", conf))
	fpm.listening(t, "unix", socket)

	script, err := filepath.Abs(filepath.Join(top, "deploy/php/auth.php"))
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	web := nginx(t, dir, shipped(t, "deploy/php/nginx-fpm.conf", dir,
		swap{"127.0.0.1:6000;", address + ";"},
		swap{"include fastcgi_params", "include /etc/nginx/fastcgi_params"},
		swap{"/usr/local/share/altagate-auth.php", script},
		swap{"/run/php/php-fpm.sock", socket},
	), address)
	// FastCGI hands the script's log to nginx.
	return &php{fpm, "http://" + address + "/", web.log.String}
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
	until(t, "PHP to log the question about "+agent, func() bool {
		for _, headers = range p.asked(t) {
			if headers["X-Real-Ua"] == agent {
				return true
			}
		}
		return false
	})
	return headers
}

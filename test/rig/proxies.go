package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Nginx runs nginx with the conf given, as Debian's nginx.conf includes it, and
// waits until it listens on address. Its files go to dir.
func Nginx(t testing.TB, dir, conf, address string) *Process {
	t.Helper()
	bin := Program(t, "nginx", "/usr/sbin/nginx")
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s/%s;\n", kind, dir, kind)
	}
	main := Write(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(`
%s
daemon off;
worker_processes 1;
pid %s/nginx.pid;
error_log stderr;
events { worker_connections 4096; }
http {
	include /etc/nginx/mime.types;
	default_type application/octet-stream;
	access_log %s/other.log;
	%s
	include %s;
}
`, user, dir, dir, temp.String(), conf))
	p := Start(t, "nginx", bin, "-e", "stderr", "-p", dir, "-c", main)
	p.Listening(t, "tcp", address)
	return p
}

// Envoy runs Envoy with the conf given, and waits until it listens on address.
// Its access log is what it prints.
func Envoy(t testing.TB, conf, address string) *Process {
	t.Helper()
	bin := Program(t, os.Getenv("ALTAGATE_TEST_ENVOY"), Top+"/.deps/venv/bin/envoy", "envoy")
	// Several run at once here: without --use-dynamic-base-id they would clash.
	p := Start(t, "envoy", bin, "-c", conf, "--concurrency", "1", "--use-dynamic-base-id",
		"--log-level", "warn", "--file-flush-interval-msec", "50")
	p.Listening(t, "tcp", address)
	return p
}

// EnvoyAddress is how the shipped files of Envoy write a host:port.
func EnvoyAddress(address string) string {
	return "{address: " + Host(address) + ", port_value: " + Port(address) + "}"
}

// HAProxy runs HAProxy with the conf given, and waits until it listens on address.
// Its access log is what it prints.
func HAProxy(t testing.TB, conf, address string) *Process {
	t.Helper()
	p := Start(t, "haproxy", Program(t, "haproxy", "/usr/sbin/haproxy"), "-db", "-f", conf)
	p.Listening(t, "tcp", address)
	return p
}

// Caddy runs Caddy with the conf given, and waits until it listens on address. Its
// access log is what it prints, and what it keeps goes beside conf.
func Caddy(t testing.TB, conf, address string) *Process {
	t.Helper()
	dir := filepath.Dir(conf)
	p := Start(t, "caddy", "/usr/bin/env", "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir,
		Program(t, "caddy"), "run", "--adapter", "caddyfile", "--config", conf)
	p.Listening(t, "tcp", address)
	return p
}

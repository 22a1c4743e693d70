package deploy

import (
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// What the tests run in a machine.
const (
	// backend is an nginx that allows token=123, and another that is the origin and has
	// every path.
	backend = `
for unit in backend:8001 origin:8000; do
    cat >/srv/${unit%:*}.conf <<END
pid /run/${unit%:*}.pid;
error_log stderr;
daemon off;
events {}
http {
    access_log off;
    server {
        listen 127.0.0.1:${unit#*:};
        location /auth { if (\$arg_token != "123") { return 403; } return 200; }
        location / { return 200 "the origin"; }
    }
}
END
    systemd-run --quiet --unit ${unit%:*} nginx -c /srv/${unit%:*}.conf
    until curl -s -o /dev/null http://127.0.0.1:${unit#*:}; do sleep 0.05; done; echo ${unit%:*} runs
done
`
	// strict makes a call that the unit forbids, which gets an error elsewhere, end
	// altagate, and so the test.
	strict = `
mkdir -p /etc/systemd/system/altagate.service.d
printf '[Service]\nSystemCallErrorNumber=\n' >/etc/systemd/system/altagate.service.d/strict.conf
`
	enabled = "systemctl is-enabled altagate-http.socket altagate-grpc.socket altagate.service | uniq"
	mainPID = "systemctl show --property MainPID --value altagate.service"
	// asked begins the status of a check of /live/index.m3u8, as nginx asks.
	asked = `curl -s -o /dev/null -w '%{http_code}\n' -H 'X-Original-Method: GET' -H 'X-Forwarded-Proto: http' ` +
		`-H 'X-Forwarded-Host: tv.example.com' -H 'X-Real-IP: 192.0.2.7' -H 'User-Agent: VLC' ` +
		`-H 'X-Original-URI: /live/index.m3u8?token=`
	allowed = asked + `123' http://127.0.0.1:9180/auth/nginx`
	denied  = asked + `1' http://127.0.0.1:9180/auth/nginx`
)

// pasted is the n-th block in a page, from 1.
func pasted(t *testing.T, page string, n int) string {
	t.Helper()
	blocks := strings.Split("\n"+read(t, rig.Top+"/"+page), "\n```\n")
	if len(blocks) <= 2*n-1 {
		t.Fatalf("%s has no block %d", page, n)
	}
	return blocks[2*n-1] + "\n"
}

// edited is a script that does as systemctl edit does with a unit and a block of
// docs/systemd.md.
func edited(t *testing.T, unit string, block int) string {
	t.Helper()
	return "mkdir -p /etc/systemd/system/" + unit + ".d\ncat >/etc/systemd/system/" + unit + ".d/override.conf <<'END'\n" +
		pasted(t, "docs/systemd.md", block) + "END\nsystemctl daemon-reload\n"
}

// TestTheUnitsDoWhatTheirPageSays installs by the page's own commands.
func TestTheUnitsDoWhatTheirPageSays(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.must(t, "mkdir -p /srv/top/bin")
	m.share(t, altagateBin, "top/bin/altagate")
	m.share(t, rig.Top+"/deploy", "top/deploy")
	m.share(t, rig.Top+"/nginx/altagate-unix.conf", "top/altagate-unix.conf")
	rig.Write(t, m.shared+"/top/altagate.yaml", strings.ReplaceAll(read(t, rig.Top+"/deploy/debian/altagate.yaml"), "10.0.0.5", "127.0.0.1:8001"))
	m.must(t, backend)
	m.must(t, strict)
	m.must(t, "cd /srv/top\n"+pasted(t, "docs/systemd.md", 1))
	if printed := m.must(t, pasted(t, "docs/systemd.md", 2)); !strings.Contains(printed, "200 OK") || !strings.Contains(printed, "active (running)") {
		t.Errorf("the page's look at it prints\n%s", printed)
	}
	m.is(t, allowed, "200")
	m.is(t, denied, "403")

	// It has no rights, and filters are in force.
	m.is(t, "cd /proc/$("+mainPID+"); awk '/^(CapEff|CapBnd|NoNewPrivs|Seccomp):/ {print $1 $2}' status; stat -c %U .",
		"CapEff:0000000000000000\nCapBnd:0000000000000000\nNoNewPrivs:1\nSeccomp:2\naltagate")

	// A restart loses no check.
	m.is(t, "for i in $(seq 30); do "+allowed+"; done >/run/statuses & for i in 1 2 3; do systemctl restart altagate; done; wait; sort -u /run/statuses; wc -l </run/statuses", "200\n30")

	// A reload with a mistake fails, and the old config stays in force.
	m.must(t, "cp /etc/altagate/altagate.yaml /srv/good.yaml; sed -i 's,/live/,/vod/,; $ a unknown: 1' /etc/altagate/altagate.yaml")
	if code, _ := m.run(t, "systemctl reload altagate"); code == 0 {
		t.Error("a reload with a mistake in the config is no failure")
	}
	m.is(t, allowed, "200")
	m.must(t, "sed -i '/unknown/d' /etc/altagate/altagate.yaml; systemctl reload altagate")
	m.is(t, allowed, "403") // no-route
	m.must(t, "cat /srv/good.yaml >/etc/altagate/altagate.yaml; systemctl reload altagate")
	m.is(t, allowed, "200")

	// A second key, as docs/operate.md has it made.
	m.must(t, pasted(t, "docs/operate.md", 3)+"cp -p /etc/altagate/altagate.yaml /srv/keyless.yaml; echo 'keys: [file:/etc/altagate/key-2]' >>/etc/altagate/altagate.yaml; systemctl reload altagate")
	m.is(t, allowed, "200")
	m.is(t, "journalctl -u altagate -o cat | grep -c key-2", "0") // A file that is not there is named.
	m.must(t, "cat /srv/keyless.yaml >/etc/altagate/altagate.yaml")

	// A key that root alone may read.
	m.must(t, "umask 077; openssl rand -base64 33 >/etc/altagate/key")
	m.must(t, edited(t, "altagate.service", 4)+"echo 'keys: [file:/run/credentials/altagate.service/key]' >>/etc/altagate/altagate.yaml; systemctl restart altagate; systemctl reload altagate")
	m.is(t, allowed, "200")

	// nginx asks over a Unix socket, and nobody else may.
	m.must(t, edited(t, "altagate-http.socket", 3))
	m.must(t, "systemctl stop altagate.service; systemctl restart altagate-http.socket; systemctl start altagate.service")
	m.is(t, "stat -c '%U:%G %a' /run/altagate/http.sock", "root:www-data 660")
	m.must(t, "cp /srv/top/altagate-unix.conf /etc/nginx/conf.d/; rm -f /etc/nginx/sites-enabled/*; nginx -t; systemd-run --quiet --unit edge nginx -g 'daemon off;'\n"+
		"until curl -s -o /dev/null http://127.0.0.1:8083/; do sleep 0.05; done")
	m.is(t, `for token in 123 1; do curl -s -o /dev/null -w '%{http_code}\n' "http://localhost:8083/live/index.m3u8?token=$token"; done`, "200\n403")
	m.is(t, "systemctl --failed --no-legend", "")
}

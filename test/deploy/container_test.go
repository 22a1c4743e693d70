package deploy

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

// engine has the machine run containers by Podman, under Docker's names: "docker
// compose" is docker-compose, which speaks to Podman's service. The machine has no
// cgroups to give away.
const engine = `
printf '[storage]\ndriver = "overlay"\nrunroot = "/run/containers"\ngraphroot = "/tmp/containers"\n' >/run/storage.conf
mkdir -p /etc/containers
printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n[containers]\ncgroups = "disabled"\n' >/etc/containers/containers.conf
cat >/usr/local/bin/docker <<'END'
#!/bin/sh
export CONTAINERS_STORAGE_CONF=/run/storage.conf DOCKER_HOST=unix:///run/podman.sock
if [ "$1" = compose ]; then
    shift
    exec docker-compose "$@"
fi
exec podman "$@"
END
chmod +x /usr/local/bin/docker
systemd-run --quiet --unit engine --setenv CONTAINERS_STORAGE_CONF=/run/storage.conf podman system service --time 0 unix:///run/podman.sock
`

// nginxImage makes the image that the compose file names, of this machine's nginx. Its
// config is as in that image: everything is written below /tmp.
const nginxImage = `
mkdir -p /run/nginx/etc/nginx /run/nginx/etc/nginx/conf.d /run/nginx/tmp
cp --parents /usr/sbin/nginx $(ldd /usr/sbin/nginx | grep -o '/[^ ]*') /run/nginx
cp /etc/nginx/mime.types /run/nginx/etc/nginx
cat >/run/nginx/etc/nginx/nginx.conf <<'END'
pid /tmp/nginx.pid;
error_log /dev/stderr notice;
events {}
http {
    client_body_temp_path /tmp/client; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi; uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
    include mime.types;
    include /etc/nginx/conf.d/*.conf;
}
END
tar -C /run/nginx -c . | docker import --change 'ENTRYPOINT ["/usr/sbin/nginx", "-e", "/dev/stderr", "-g", "daemon off;"]' - docker.io/nginxinc/nginx-unprivileged:1.28
`

// envoyImage does that for Envoy, whose program is at /srv/envoy.
const envoyImage = `
mkdir -p /run/envoy/usr/local/bin /run/envoy/etc/envoy
cp --parents $(ldd /srv/envoy | grep -o '/[^ ]*') /run/envoy
mv /srv/envoy /run/envoy/usr/local/bin/envoy
tar -C /run/envoy -c . | docker import --change 'ENTRYPOINT ["/usr/local/bin/envoy"]' - docker.io/envoyproxy/envoy:distroless-v1.36.2
`

// built is a machine with altagate's image, by the commands of docs/container.md.
func built(t *testing.T) machine {
	t.Helper()
	for _, name := range []string{"podman", "crun", "docker-compose"} {
		rig.Program(t, name)
	}
	m := boot(t)
	m.must(t, "mkdir -p /srv/top/dist /srv/top/deploy")
	m.share(t, altagateBin, "top/dist/altagate-linux-"+runtime.GOARCH)
	m.share(t, rig.Top+"/LICENSE", "top/dist/LICENSE")
	m.share(t, rig.Top+"/LICENSE", "top/dist/THIRD_PARTY.txt")
	m.share(t, rig.Top+"/deploy/Dockerfile", "top/deploy/Dockerfile")
	m.share(t, rig.Top+"/deploy/compose", "top/deploy/compose")
	m.must(t, engine)
	m.must(t, "cd /srv/top\nmake() { :; }\n"+pasted(t, "docs/container.md", 1))
	return m
}

func TestTheImageIsBuiltAndRuns(t *testing.T) {
	t.Parallel()
	m := built(t)
	m.must(t, backend)
	if printed := m.must(t, "docker run --rm --network host altagate version"); !strings.HasPrefix(printed, "altagate ") {
		t.Errorf("it prints %q", printed)
	}
	m.is(t, "docker image inspect --format '{{.Architecture}} {{.Config.User}}' altagate", runtime.GOARCH+" 65532:65532")
	// The page's own command, in the background.
	paste := strings.NewReplacer("docker run", "docker run --name one -d", "10.0.0.5", "127.0.0.1:8001").Replace(pasted(t, "docs/container.md", 2))
	m.must(t, paste+"until curl -sf http://127.0.0.1:9182/readyz; do sleep 0.05; done")
	m.is(t, allowed, "200")
	m.is(t, denied, "403")
	m.must(t, "docker stop one")

	// For arm64 what is in it cannot run here, and may be anything.
	m.must(t, "cd /srv/top; cp dist/LICENSE dist/altagate-linux-arm64; docker build --platform linux/arm64 -f deploy/Dockerfile -t altagate:arm64 dist")
	m.is(t, "docker image inspect --format '{{.Os}}/{{.Architecture}}' altagate:arm64", "linux/arm64")
}

// TestComposeStartsAnEdge starts each compose file by the page's own commands.
func TestComposeStartsAnEdge(t *testing.T) {
	for _, e := range []struct{ name, port, image string }{{"nginx", "8083", nginxImage}, {"envoy", "8082", envoyImage}} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			m := built(t)
			if e.name == "envoy" {
				m.share(t, envoyProgram(t), "envoy")
			}
			m.must(t, backend)
			m.must(t, e.image)
			m.must(t, "cd /srv/top/deploy/compose/"+e.name+"; sed -i s,10.0.0.5,127.0.0.1:8001, altagate/altagate.yaml")
			// Podman has its health checks run by timers of a systemd that it reaches over D-Bus.
			m.must(t, "systemd-run --quiet --unit health sh -c 'while sleep 1; do docker healthcheck run "+e.name+"_altagate_1; done'")
			m.must(t, "cd /srv/top\n"+strings.ReplaceAll(pasted(t, "docs/container.md", 3), "compose/nginx", "compose/"+e.name))
			get := func(token string) string {
				return `curl -s -o /dev/null -w '%{http_code}\n' 'http://localhost:` + e.port + `/live/index.m3u8?token=` + token + `'`
			}
			m.must(t, "until curl -s -o /dev/null http://localhost:"+e.port+"; do sleep 0.05; done")
			m.is(t, get("123"), "200")
			m.is(t, get("1"), "403")
			m.is(t, "cd /srv/top/deploy/compose/"+e.name+"; docker compose ps -q | xargs docker inspect --format '{{.HostConfig.ReadonlyRootfs}} {{.EffectiveCaps}} {{.HostConfig.SecurityOpt}}' | uniq", "true [] [no-new-privileges]")

			// While the backend is away altagate is healthy and viewers stay, also over a
			// restart.
			m.must(t, "systemctl stop backend")
			m.is(t, get("123"), "200")
			m.must(t, "cd /srv/top/deploy/compose/"+e.name+"; docker compose restart altagate\nuntil curl -sf http://127.0.0.1:9182/readyz; do sleep 0.05; done")
			m.is(t, get("123"), "200")
			m.is(t, get("2"), "403")
			m.is(t, "docker healthcheck run "+e.name+"_altagate_1; echo $?", "0")
			m.is(t, "stat -c '%u:%g %a' /tmp/containers/volumes/"+e.name+"_socket/_data/*.sock", "65532:65532 660")
			rekeyed(t, m, "/srv/top/deploy/compose/"+e.name)
			if e.name == "nginx" {
				rolledBack(t, m, "/srv/top/deploy/compose/nginx")
			}
		})
	}
}

// rekeyed puts a second secret where docs/operate.md says, which is in force without a
// restart.
func rekeyed(t *testing.T, m machine, dir string) {
	t.Helper()
	started := m.must(t, "cd "+dir+"; docker compose ps -q altagate | xargs docker inspect --format '{{.State.StartedAt}}'")
	const reloads = `curl -s http://127.0.0.1:9182/metrics | grep '^altagate_config_reloads_total{result="ok"}' | cut -d' ' -f2`
	before := m.must(t, reloads)
	m.must(t, "cd "+dir+"\n"+pasted(t, "docs/operate.md", 4))
	m.must(t, "cd "+dir+`; sed -i 's,keys: \[\(.*\)\],keys: [\1\, file:/etc/altagate/key-2],' altagate/altagate.yaml; grep -q 'key-2\]' altagate/altagate.yaml`)
	m.must(t, "until [ \"$("+reloads+")\" != "+before+" ]; do sleep 0.05; done")
	m.is(t, "curl -s http://127.0.0.1:9182/metrics | grep '^altagate_config_reloads_total{result=\"error\"}' | cut -d' ' -f2", "0")
	m.is(t, "cd "+dir+"; docker compose ps -q altagate | xargs docker inspect --format '{{.State.StartedAt}}'", started)
}

// rolledBack upgrades to another image and goes back, as docs/operate.md says. The proxy
// runs on.
func rolledBack(t *testing.T, m machine, dir string) {
	t.Helper()
	const image = "docker compose ps -q altagate | xargs docker inspect --format '{{.Image}}'"
	const proxy = "docker compose ps -q nginx"
	cd := "cd " + dir + "; "
	first, edge := m.must(t, cd+image), m.must(t, cd+proxy)
	m.must(t, "docker tag altagate altagate:before; cd /srv/top; echo changed >>dist/THIRD_PARTY.txt; docker build -f deploy/Dockerfile -t altagate dist")
	for _, step := range []struct {
		script string
		back   bool
	}{{"docker compose up -d", false}, {"docker tag altagate:before altagate; docker compose up -d", true}} {
		m.must(t, "set -e; "+cd+step.script+"\nuntil curl -sf http://127.0.0.1:9182/readyz; do sleep 0.05; done")
		if now := m.must(t, cd+image); (now == first) != step.back {
			t.Errorf("after %s the image is %s, and was %s", step.script, now, first)
		}
		m.is(t, cd+proxy, edge)
		m.is(t, "curl -s -o /dev/null -w '%{http_code}\n' 'http://localhost:8083/live/index.m3u8?token=123'", "200")
	}
}

func TestTheProxiesConfigsInComposeAreTheShippedOnes(t *testing.T) {
	for file, shipped := range map[string]string{
		"compose/nginx/conf.d/edge.conf": "deploy/kubernetes/nginx/edge.conf", "compose/envoy/edge.yaml": "envoy/grpc-unix.yaml",
	} {
		if read(t, rig.Top+"/deploy/"+file) != read(t, rig.Top+"/"+shipped) {
			t.Errorf("deploy/%s is not %s: copy it", file, shipped)
		}
	}
}

// envoyProgram is Envoy itself, which pip puts behind a script.
func envoyProgram(t *testing.T) string {
	t.Helper()
	wrapper := rig.Program(t, os.Getenv("ALTAGATE_TEST_ENVOY"), rig.Top+"/.deps/venv/bin/envoy", "envoy")
	if programs, err := filepath.Glob(filepath.Dir(wrapper) + "/../lib/python3*/site-packages/envoy/_bin/envoy"); err == nil && len(programs) > 0 {
		return programs[0]
	}
	return wrapper
}

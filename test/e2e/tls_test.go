package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/pki"
	"github.com/altagate/altagate/test/rig"
)

// block is the code block of docs/tls.md that has a text.
func block(t *testing.T, text string) string {
	t.Helper()
	page, err := os.ReadFile(rig.Top + "/docs/tls.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?s)```(?:nginx|yaml)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if strings.Contains(found[1], text) {
			return found[1]
		}
	}
	t.Fatalf("docs/tls.md has no block with %q", text)
	return ""
}

// tlsFiles are the files that docs/tls.md names, in a directory.
type tlsFiles struct {
	dir              string
	servers, clients *pki.Authority
}

func makeTLS(t *testing.T) *tlsFiles {
	t.Helper()
	f := &tlsFiles{dir: rig.TempDir(t), servers: pki.New(t, "servers"), clients: pki.New(t, "clients")}
	f.server(t)
	pki.Put(t, f.dir, "clients.pem", f.clients.PEM)
	pki.Put(t, f.dir, "ca.pem", f.servers.PEM)
	f.client(t, f.clients, pki.Leaf{Names: []string{"edge-1.example.com"}})
	return f
}

func (f *tlsFiles) server(t *testing.T) {
	t.Helper()
	pair := f.servers.Issue(t, pki.Leaf{Names: []string{"altagate.example.com"}})
	pki.Put(t, f.dir, "server.crt", pair.Cert)
	pki.Put(t, f.dir, "server.key", pair.Key)
}

func (f *tlsFiles) client(t *testing.T, a *pki.Authority, l pki.Leaf) {
	t.Helper()
	pair := a.Issue(t, l)
	pki.Put(t, f.dir, "tls.crt", pair.Cert)
	pki.Put(t, f.dir, "tls.key", pair.Key)
}

// config is that of the page, with its listeners on free ports.
func (f *tlsFiles) config(t *testing.T, backend string) string {
	t.Helper()
	text := block(t, "client_names:")
	_, text, _ = strings.Cut(text, "\n")
	text = strings.NewReplacer("/etc/altagate/tls", f.dir+"/server", "/etc/altagate/", f.dir+"/").Replace(text)
	return rig.Write(t, f.dir+"/altagate.yaml", text+"backends: {portal: {url: "+backend+"}}\nroutes: [{name: all, match: {paths: [/]}, backends: [portal]}]\n")
}

// TestProxiesAskOverTLSWithACertificate runs the blocks of docs/tls.md.
func TestProxiesAskOverTLSWithACertificate(t *testing.T) {
	for _, test := range []struct {
		edge edge
		swap func(t *testing.T, f *tlsFiles) rig.Swap
	}{
		{edges[0], func(t *testing.T, f *tlsFiles) rig.Swap {
			return rig.Swap{"        proxy_pass http://altagate/auth/nginx;\n", strings.ReplaceAll(block(t, "proxy_ssl_verify"), "/etc/nginx/altagate", f.dir)}
		}},
		{edges[3], func(t *testing.T, f *tlsFiles) rig.Swap {
			const before = "      load_assignment:\n        cluster_name: altagate\n"
			return rig.Swap{before, strings.ReplaceAll(block(t, "UpstreamTlsContext"), "/etc/envoy/altagate", f.dir) + before}
		}},
	} {
		t.Run(test.edge.file, func(t *testing.T) {
			t.Parallel()
			f := makeTLS(t)
			backend, o := startFake(t, byToken, status(200)), startOrigin(t)
			a := &altagate{http: rig.FreeAddress(t), grpc: rig.FreeAddress(t), admin: "unix:" + f.dir + "/admin.sock"}
			a.Process = rig.Start(t, "altagate", altagateBin, "serve", "--log-format", "json", "--config", f.config(t, backend.url()),
				"--http", a.http, "--grpc", a.grpc, "--admin", a.admin)
			a.Listening(t, "tcp", a.http)

			v := viewer{edge: test.edge.start(t, test.edge, a, o.address, test.swap(t, f))}
			if got := v.get(t, "/live/a/index.m3u8?token=123").status; got != 200 {
				t.Errorf("with the token: %d", got)
			}
			if got := v.get(t, "/live/b/index.m3u8?token=1").status; got != 403 {
				t.Errorf("without the token: %d", got)
			}
			f.server(t)
			rig.Until(t, "the new certificate", func() bool { return strings.Contains(a.Log(t), "certificate reloaded") })
			if got := v.get(t, "/live/c/index.m3u8?token=123").status; got != 200 {
				t.Errorf("after a swap: %d", got)
			}

			for name, from := range map[string]*pki.Authority{"another name": f.clients, "another authority": pki.New(t, "clients")} {
				f.client(t, from, pki.Leaf{Names: []string{"edge-2.example.com"}})
				refused := viewer{edge: test.edge.start(t, test.edge, a, o.address, test.swap(t, f))}
				o.take()
				if got := refused.get(t, "/live/d/index.m3u8?token=123").status; got != test.edge.closed || len(o.take()) > 0 {
					t.Errorf("with a certificate of %s: %d", name, got)
				}
			}
			rig.Until(t, "a line about who was refused", func() bool { return strings.Contains(a.Log(t), "may not ask: its certificate") })
		})
	}
}

package e2e

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/altagate/altagate/test/rig"
)

// traefikFile is what deploy/traefik/altagate.yaml uses of Traefik's keys.
type traefikFile struct {
	HTTP struct {
		Routers map[string]struct {
			EntryPoints []string `yaml:"entryPoints"`
			Middlewares []string
			Rule        string
			Service     string
		}
		Middlewares map[string]traefikMiddleware
		Services    map[string]struct {
			LoadBalancer struct {
				Servers []struct{ URL string }
			} `yaml:"loadBalancer"`
		}
	}
}

type traefikMiddleware struct {
	Headers *struct {
		Origins []string          `yaml:"accessControlAllowOriginList"`
		Methods []string          `yaml:"accessControlAllowMethods"`
		Allow   []string          `yaml:"accessControlAllowHeaders"`
		Expose  []string          `yaml:"accessControlExposeHeaders"`
		Request map[string]string `yaml:"customRequestHeaders"`
	}
	ForwardAuth *struct {
		Address             string
		TrustForwardHeader  bool     `yaml:"trustForwardHeader"`
		AuthRequestHeaders  []string `yaml:"authRequestHeaders"`
		AuthResponseHeaders []string `yaml:"authResponseHeaders"`
		MaxResponseBodySize int      `yaml:"maxResponseBodySize"`
	} `yaml:"forwardAuth"`
}

// startTraefik stands in for Traefik, which no package of apt, pip or npm has and which
// takes too long to build for a test. It does with a request what the shipped files say
// as Traefik 3.7 does: entry point, headers, forwardAuth, proxy.
func startTraefik(t *testing.T, e edge, a *altagate, origin string, swaps ...rig.Swap) *proxy {
	t.Helper()
	static, err := os.ReadFile(filepath.Join(rig.Top, "deploy/traefik/traefik.yaml"))
	if err != nil || !bytes.Contains(static, []byte("aliasHeadersStrategy: delete")) {
		t.Fatalf("deploy/traefik/traefik.yaml keeps aliases of headers: %v", err)
	}
	swaps = append(swaps, rig.Swap{"127.0.0.1:9180", a.http}, rig.Swap{"127.0.0.1:8000", origin})
	text, err := os.ReadFile(rig.Shipped(t, e.file, rig.TempDir(t), swaps...))
	if err != nil {
		t.Fatal(err)
	}
	var file traefikFile
	strict := yaml.NewDecoder(bytes.NewReader(text))
	strict.KnownFields(true)
	if err := strict.Decode(&file); err != nil {
		t.Fatal(err)
	}
	router := file.HTTP.Routers["viewers"]
	to, err := url.Parse(file.HTTP.Services[router.Service].LoadBalancer.Servers[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.URL.RawQuery = r.In.URL.RawQuery // Go drops a query that it cannot read, and Traefik does not.
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
	for _, name := range slices.Backward(router.Middlewares) {
		handler = file.HTTP.Middlewares[name].around(handler)
	}
	server := httptest.NewUnstartedServer(entryPoint(router.Rule, handler))
	server.Listener.Close()
	if server.Listener, err = net.Listen("tcp", rig.FreeAddress(t)); err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	// Traefik has no access log as it is shipped.
	return &proxy{address: server.Listener.Addr().String()}
}

// entryPoint does what Traefik's entry point does before a router.
func entryPoint(rule string, next http.Handler) http.Handler {
	hosts := regexp.MustCompile("Host\\(`([^`]*)`\\)").FindAllStringSubmatch(rule, -1)
	alias, forwarded := regexp.MustCompile(`[^A-Za-z0-9-]`), regexp.MustCompile(`^X-(Forwarded-.*|Real-Ip)$`)
	return http.AllowQuerySemicolons(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawPath, "#") || r.URL.Opaque != "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.URL = r.URL.JoinPath()
		for name := range r.Header {
			if alias.MatchString(name) || forwarded.MatchString(name) {
				delete(r.Header, name)
			}
		}
		host, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
		if !slices.ContainsFunc(hosts, func(h []string) bool { return h[1] == host }) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

func (m traefikMiddleware) around(next http.Handler) http.Handler {
	if m.Headers != nil {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.headers(w, r, next) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.forwardAuth(w, r, next) })
}

func (m traefikMiddleware) headers(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if len(m.Headers.Origins) > 0 && r.Header.Get("Origin") != "" {
		w.Header().Set("Access-Control-Allow-Origin", m.Headers.Origins[0])
		w.Header().Set("Access-Control-Expose-Headers", strings.Join(m.Headers.Expose, ","))
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.Header().Set("Access-Control-Allow-Methods", strings.Join(m.Headers.Methods, ","))
			w.Header().Set("Access-Control-Allow-Headers", strings.Join(m.Headers.Allow, ","))
			return
		}
	}
	for name := range m.Headers.Request { // All of them are empty, which removes.
		r.Header.Del(name)
	}
	next.ServeHTTP(w, r)
}

func (m traefikMiddleware) forwardAuth(w http.ResponseWriter, r *http.Request, next http.Handler) {
	check, err := http.NewRequestWithContext(r.Context(), http.MethodGet, m.ForwardAuth.Address, nil)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	check.Header.Set("User-Agent", "") // Go would send its own.
	for _, name := range m.ForwardAuth.AuthRequestHeaders {
		if values := r.Header.Values(name); len(values) > 0 {
			check.Header[name] = values
		}
	}
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	check.Header.Set("X-Forwarded-For", from)
	check.Header.Set("X-Forwarded-Method", r.Method)
	check.Header.Set("X-Forwarded-Proto", "http")
	check.Header.Set("X-Forwarded-Host", r.Host)
	check.Header.Set("X-Forwarded-Uri", r.URL.RequestURI())
	answer, err := http.DefaultTransport.RoundTrip(check)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.StatusCode)
		return
	}
	for _, name := range m.ForwardAuth.AuthResponseHeaders {
		name = http.CanonicalHeaderKey(name)
		r.Header.Del(name)
		if values := answer.Header[name]; len(values) > 0 {
			r.Header[name] = values
		}
	}
	next.ServeHTTP(w, r)
}

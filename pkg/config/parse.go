package config

import (
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v4"
)

// Parse reads a config. The error is Mistakes: all that is wrong, in the order
// of the file. A file stands on its own: what flags would add is not known
// here, and so for example callers that are needed must be in the file.
func Parse(data []byte) (*Config, error) {
	root, mistake := document(data)
	if mistake != nil {
		return nil, Mistakes{*mistake}
	}
	r := newReader()
	c := r.config(root)
	if len(r.mistakes) > 0 {
		r.mistakes.sort()
		return nil, r.mistakes
	}
	return c, nil
}

// Load reads the config file at path. The error is Mistakes, without the
// file's name, if the file could be read, and else says why it could not.
func Load(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the config file: %w", err)
	}
	return Parse(data)
}

// readFile reads as much as tells Parse that a file is too long.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read from
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

const (
	exampleBackends = "backends: {portal: {url: http://10.0.0.5/auth}}"
	exampleRoutes   = "routes: [{name: live, backends: [portal]}]"
)

func (r *reader) config(root *yaml.Node) *Config {
	top := value{r: r, node: root}
	keys := top.section(exampleBackends+" and "+exampleRoutes, "listen", "listen_tls", "admin_token", "callers", "log", "keys", "state", "sessions", "country_file",
		"backends", "routes")
	listenTLS := readListenTLS(keys["listen_tls"])
	c := &Config{
		Listen:       readListen(keys["listen"], keys["callers"].present() || listenTLS.ClientCA != ""),
		ListenTLS:    listenTLS,
		AdminToken:   readAdminToken(keys["admin_token"]),
		Callers:      readNetworks(keys["callers"], "callers: [10.0.0.0/8]"),
		Log:          readLog(keys["log"]),
		Keys:         readKeys(keys["keys"]),
		State:        readState(keys["state"]),
		SessionLimit: readSessionLimit(keys["sessions"]),
		CountryFile:  readCountryFile(keys["country_file"]),
		Backends:     readBackends(keys["backends"]),
	}
	c.Routes = readRoutes(keys["routes"], c.Backends, given{keys: keys["keys"].present(), countries: keys["country_file"].present()})
	top.need(keys, "backends", "names no backend: write "+exampleBackends)
	top.need(keys, "routes", "names no route: write "+exampleRoutes)
	return c
}

package arch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/altagate/altagate/"

// may says which packages of ours each package may import. A new package gets a
// line here, and one in ARCHITECTURE.md.
func may() map[string][]string {
	return map[string][]string{
		"cmd/altagate": {"pkg/cli"},
		"pkg/cli": {
			"pkg/admin", "pkg/backend", "pkg/certs", "pkg/check", "pkg/config", "pkg/country", "pkg/demo", "pkg/frontend", "pkg/frontend/extauthz", "pkg/gate",
			"pkg/doctor", "pkg/doctor/edge", "pkg/doctor/envoyconf", "pkg/doctor/live", "pkg/doctor/nginxconf",
			"pkg/preset", "pkg/server", "pkg/session", "pkg/state", "pkg/target", "pkg/telemetry", "pkg/viewer",
		},
		"pkg/gate": {
			"pkg/backend", "pkg/certs", "pkg/check", "pkg/config", "pkg/country", "pkg/limit", "pkg/panics", "pkg/policy", "pkg/preset", "pkg/route", "pkg/rule", "pkg/securetoken", "pkg/session",
			"pkg/stream", "pkg/target",
		},
		"pkg/backend":           {"pkg/certs", "pkg/check", "pkg/panics", "pkg/preset", "pkg/target"},
		"pkg/policy":            {"pkg/check"},
		"pkg/config":            {"pkg/check", "pkg/preset", "pkg/securetoken", "pkg/stream", "pkg/target", "pkg/viewer"},
		"pkg/frontend":          {"pkg/check", "pkg/target", "pkg/viewer"},
		"pkg/frontend/extauthz": {"pkg/check", "pkg/frontend", "pkg/panics", "pkg/target", "pkg/viewer"},
		"pkg/telemetry":         {"pkg/check"},
		"pkg/admin":             {"pkg/check", "pkg/gate", "pkg/session", "pkg/stream"},
		"pkg/certs":             {},
		"pkg/check":             {},
		"pkg/country":           {},
		"pkg/demo":              {},
		"pkg/doctor":            {},
		"pkg/doctor/edge":       {"pkg/doctor"},
		"pkg/doctor/envoyconf":  {"pkg/doctor"},
		"pkg/doctor/nginxconf":  {"pkg/doctor"},
		"pkg/doctor/live":       {"pkg/doctor"},
		"pkg/limit":             {},
		"pkg/route":             {},
		"pkg/rule":              {},
		"pkg/panics":            {},
		"pkg/preset":            {"pkg/check"},
		"pkg/securetoken":       {"pkg/check"},
		"pkg/server":            {"pkg/panics"},
		"pkg/session":           {"pkg/check", "pkg/stream", "pkg/target"},
		"pkg/state":             {"pkg/session", "pkg/stream", "proto/altagate/v1"},
		"pkg/stream":            {},
		"pkg/target":            {},
		"pkg/viewer":            {},
	}
}

// owners says which packages may import a foreign module, by the beginning of
// its import path. One package knows each, so that it can be replaced.
func owners() map[string][]string {
	return map[string][]string{
		"github.com/envoyproxy/":    {"pkg/frontend/extauthz"},
		"github.com/gaissmai/":      {"pkg/rule"},
		"github.com/oschwald/":      {"pkg/country"},
		"github.com/KimMachineGun/": {"pkg/cli"},
		"go.etcd.io/bbolt":          {"pkg/state"},
		"google.golang.org/":        {"pkg/frontend/extauthz", "pkg/state"},
		"github.com/rs/zerolog":     {"pkg/telemetry", "pkg/cli"},
		"github.com/prometheus/":    {"pkg/telemetry"},
		"golang.org/x/time/rate":    {"pkg/limit", "pkg/telemetry"},
		"go.yaml.in/yaml/":          {"pkg/config", "pkg/doctor/envoyconf"},
		"github.com/spf13/cobra":    {"pkg/cli"},
		"github.com/spf13/pflag":    {"pkg/cli"},
	}
}

// imported calls f for each import of a file that is part of the product.
func imported(all []source, f func(s source, name string)) {
	for _, s := range all {
		if s.isTest() || strings.HasPrefix(s.path, "test/") {
			continue
		}
		for _, i := range s.tree.Imports {
			if name, err := strconv.Unquote(i.Path.Value); err == nil {
				f(s, name)
			}
		}
	}
}

func importsOfOurs(all []source) (findings []string) {
	allowed := may()
	for _, s := range all {
		if _, known := allowed[s.dir()]; !known && !strings.HasPrefix(s.path, "test/") {
			findings = append(findings, fmt.Sprintf("%s: nothing is said about what %s may import", s.path, s.dir()))
		}
	}
	imported(all, func(s source, name string) {
		ours, ok := strings.CutPrefix(name, module)
		if ok && !slices.Contains(allowed[s.dir()], ours) {
			findings = append(findings, fmt.Sprintf("%s: %s may not import %s", s.path, s.dir(), ours))
		}
	})
	return findings
}

func foreignImports(all []source) (findings []string) {
	imported(all, func(s source, name string) {
		first, _, _ := strings.Cut(name, "/")
		if !strings.Contains(first, ".") || strings.HasPrefix(name, module) {
			return
		}
		for prefix, packages := range owners() {
			if strings.HasPrefix(name, prefix) && slices.Contains(packages, s.dir()) {
				return
			}
		}
		findings = append(findings, fmt.Sprintf("%s: %s is not an owner of %s", s.path, s.dir(), name))
	})
	return findings
}

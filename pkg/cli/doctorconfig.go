package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/doctor"
	"github.com/altagate/altagate/pkg/gate"
)

// The kinds of findings about a config and its backends. docs/doctor.md explains
// each.
var (
	configMistake = doctor.Kind{ID: "config-mistake", Severity: doctor.Error,
		Why: "serve does not start with it, and a running altagate keeps its old config"}
	configFile = doctor.Kind{ID: "config-file", Severity: doctor.Error,
		Why: "serve would not start here, for want of a file"}
	configNote = doctor.Kind{ID: "config-note", Severity: doctor.Warning,
		Why: "it is valid, and may let in more than you mean"}
	callersEverybody = doctor.Kind{ID: "callers-everybody", Severity: doctor.Error,
		Why: "whoever reaches the listener may ask for any viewer, and try tokens at the backend's cost"}
	adminExposed = doctor.Kind{ID: "admin-exposed", Severity: doctor.Warning,
		Why: "whoever reaches it reads metrics; the API is not served there"}
	secretReadable = doctor.Kind{ID: "secret-readable", Severity: doctor.Error,
		Why: "every user of this machine reads it: keys make ids by which sessions are joined, and the state file holds viewers' tokens"}
	backendAllowsAll = doctor.Kind{ID: "backend-allows-all", Severity: doctor.Error,
		Why: "status 200 authorizes: an accidental one, as of an error page or a wrong URL, lets everybody watch"}
	backendUnreached = doctor.Kind{ID: "backend-unreached", Severity: doctor.Error,
		Why: "nothing can be asked from here, so on_unavailable would decide about every newcomer"}
	backendFails = doctor.Kind{ID: "backend-fails", Severity: doctor.Warning,
		Why: "a 5xx is a denial, so that an outage behind that server denies every newcomer whatever on_unavailable says"}
	backendSlow = doctor.Kind{ID: "backend-slow", Severity: doctor.Warning,
		Why: "a little slower, and viewers are denied"}
)

// doctorKinds are all kinds of findings of this package.
func doctorKinds() []doctor.Kind {
	return []doctor.Kind{
		configMistake, configFile, configNote, callersEverybody, adminExposed, secretReadable,
		backendAllowsAll, backendUnreached, backendFails, backendSlow,
	}
}

// config looks at the config that the flags name or describe; nil if there is none
// that can be used. An error is a mistake in the command.
func (d *doctorFlags) config() (*config.Config, *doctor.Section, error) {
	switch {
	case d.file == "" && len(d.backends) == 0:
		out := doctor.NewSection("config")
		out.Cannot("the config and the backends: give --config FILE, or --backend URL")
		return nil, out, nil
	case d.file == "":
		cfg, err := d.load()
		if err != nil {
			return nil, nil, err
		}
		out := doctor.NewSection("config: as the flags say")
		for _, note := range cfg.Warnings() {
			out.Is("note: %s", note)
		}
		lookAtConfig(cfg, d.allowWord(), out)
		return cfg, out, nil
	}
	out := doctor.NewSection("config: " + d.file)
	written, err := config.Load(d.file)
	if err != nil {
		var mistakes config.Mistakes
		if !errors.As(err, &mistakes) {
			out.Failed = err.Error()
		}
		for _, m := range mistakes {
			out.Add(configMistake, fmt.Sprintf("%s:%d:%d", d.file, m.Line, m.Column), strings.TrimPrefix(m.Key+": "+m.Text, ": "))
		}
		return nil, out, nil //nolint:nilerr // what is wrong with the file is what was asked
	}
	adminReached(written.Listen.Admin, out)
	cfg, err := d.load()
	if err != nil {
		return nil, nil, err
	}
	for _, note := range fileNotes(cfg) {
		out.Add(configFile, d.file, note)
	}
	for _, note := range cfg.Warnings() {
		out.Add(configNote, d.file, note)
	}
	lookAtConfig(cfg, d.allowWord(), out)
	return cfg, out, nil
}

// lookAtConfig looks at a config that is valid.
func lookAtConfig(cfg *config.Config, allow string, out *doctor.Section) {
	out.Is("%s", awayInWords(cfg, allow))
	for _, from := range cfg.Callers {
		if from.Bits() == 0 {
			out.Add(callersEverybody, "", "callers: "+from.String(), "callers: [ADDRESS-OF-YOUR-PROXY/32]")
		}
	}
	for _, k := range cfg.Keys {
		readable(k.File, out)
	}
	readable(cfg.State, out)
}

// adminReached finds an admin listener that more than this machine reaches.
func adminReached(address string, out *doctor.Section) {
	if config.NeedsCallers(config.Listen{HTTP: address}) != "" {
		out.Add(adminExposed, address, "the admin listener is not on loopback or a Unix socket", "listen: {admin: 127.0.0.1:9182}")
	}
}

// readable finds a file with secrets that others may read.
func readable(file string, out *doctor.Section) {
	const others = fs.FileMode(0o004)
	if info, err := os.Stat(file); file != "" && err == nil && info.Mode()&others != 0 {
		out.Add(secretReadable, file, fmt.Sprintf("its mode is %04o", info.Mode().Perm()), "chmod 0600 "+file)
	}
}

// lookAtBackends asks each backend what it must deny.
func lookAtBackends(ctx context.Context, cfg *config.Config) []*doctor.Section {
	all := make([]*doctor.Section, 0, len(cfg.Backends))
	for _, b := range cfg.Backends {
		out := doctor.NewSection("backend: " + b.Name)
		lookAtBackend(ctx, cfg, b, out)
		all = append(all, out)
	}
	return all
}

// lookAtBackend asks without a token, and with one that nobody has.
func lookAtBackend(ctx context.Context, cfg *config.Config, b config.Backend, out *doctor.Section) {
	junk := "altagate-doctor-" + rand.Text()
	for _, question := range []struct{ what, query string }{
		{"a question without a token", ""},
		{"a question with a token that nobody has", "token=" + junk},
	} {
		r := &check.Request{
			Proxy: doctorName, Method: "GET", Scheme: "http", Host: "altagate-doctor.invalid", Path: "/" + junk + "/index.m3u8",
			Query: question.query, Addr: netip.MustParseAddr("127.0.0.1"), UserAgent: "altagate-doctor",
		}
		e, err := gate.Explain(ctx, alone(cfg, b.Name, r), r, "")
		switch {
		case err != nil:
			out.Failed = err.Error()
			return
		case !answered(b, question.what, e, out):
			return
		}
	}
}

// alone is a config with one route, which takes r in any case and asks one backend.
func alone(cfg *config.Config, backend string, r *check.Request) *config.Config {
	one := *cfg
	route := cfg.Routes[0]
	for _, candidate := range cfg.Routes {
		for _, name := range candidate.Backends {
			if name == backend {
				route = candidate
			}
		}
	}
	if len(route.Hosts) > 0 {
		r.Host = strings.TrimPrefix(route.Hosts[0], "*.")
	}
	if len(route.Paths) > 0 {
		r.Path = strings.TrimSuffix(route.Paths[0], "/") + r.Path
	}
	route.Name, route.Hosts, route.Paths, route.Backends, route.Shadow = doctorName, nil, nil, []string{backend}, nil
	one.Routes = []config.Route{route}
	return &one
}

// answered says whether there was an answer, and what is wrong with it.
func answered(b config.Backend, what string, e gate.Explanation, out *doctor.Section) bool {
	for _, t := range e.Traces {
		where, took := "", ""
		if len(t.Attempts) > 0 {
			last := t.Attempts[len(t.Attempts)-1]
			where, took = last.Address, times(last.Phases)
			if last.Phases.Total > b.Timeout/2 && t.Outcome.Verdict != check.Unavailable {
				out.Add(backendSlow, where, fmt.Sprintf("%s took %.1f s of its %v", what, last.Phases.Total.Seconds(), b.Timeout), "timeout: "+(2*b.Timeout).String())
			}
		}
		switch {
		case t.Outcome.Verdict == check.Unavailable:
			why := whyAway(e.Traces)
			if why == "" {
				why = fmt.Sprint(t.Outcome.Err)
			}
			out.Add(backendUnreached, where, what+" got no answer: "+why, "altagate check 'URL of a viewer' tells more")
			return false
		case t.Outcome.Verdict == check.Allowed:
			out.Add(backendAllowsAll, where, what+" is answered with 200", "make it answer 403 there; is the URL the right one?")
		case t.Outcome.Status/100 == 5:
			out.Add(backendFails, where, fmt.Sprintf("%s is answered with %d", what, t.Outcome.Status),
				fmt.Sprintf("unavailable_statuses: [%d]   # if that server is in front of your portal", t.Outcome.Status))
		default:
			out.Is("%s is denied with %d (%s)", what, t.Outcome.Status, took)
		}
	}
	return true
}

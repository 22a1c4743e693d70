package live

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/altagate/altagate/pkg/doctor"
)

// The kinds of findings about a running altagate. docs/doctor.md explains each.
var (
	listenerAway = doctor.Kind{ID: "listener-away", Severity: doctor.Error,
		Why: "what should be altagate does not answer there, so proxies that ask it deny every viewer"}
	notReady = doctor.Kind{ID: "not-ready", Severity: doctor.Error,
		Why: "altagate is stopping, or has not started, and takes no checks"}
	backendAway = doctor.Kind{ID: "backend-away", Severity: doctor.Error,
		Why: "nothing can be asked, so on_unavailable decides about every newcomer"}
	addressAway = doctor.Kind{ID: "backend-address-away", Severity: doctor.Warning,
		Why: "the backend's other addresses carry its load"}
	viewersHidden = doctor.Kind{ID: "viewers-hidden", Severity: doctor.Error,
		Why: "the proxy probably passes its own address on in place of its viewers', who then join each other's sessions"}
	stateNotWritten = doctor.Kind{ID: "state-not-written", Severity: doctor.Error,
		Why: "sessions are in no file, so that a restart asks about every viewer anew"}
)

// Kinds are all kinds of findings of this package.
func Kinds() []doctor.Kind {
	return []doctor.Kind{listenerAway, notReady, backendAway, addressAway, viewersHidden, stateNotWritten}
}

// Look asks altagate how it does. Its admin listener must be on.
func (a Altagate) Look(ctx context.Context) *doctor.Section {
	out := doctor.NewSection("altagate: " + a.Admin)
	if a.hidden(a.Admin) {
		out.Cannot("how it does: %v", errTLS)
		return out
	}
	got, err := get(ctx, a.Admin, "/readyz")
	switch {
	case err != nil:
		out.Failed = fmt.Sprintf("altagate's admin listener does not answer: %v", err)
		return out
	case got.status == http.StatusOK && got.body == "ready\n":
		out.Is("it is ready")
	case got.status == http.StatusServiceUnavailable:
		out.Add(notReady, a.Admin, "/readyz answers 503", "look at its log")
	default:
		out.Failed = fmt.Sprintf("what listens at %s does not answer as altagate", a.Admin)
		return out
	}
	a.checkListeners(ctx, out)
	a.metrics(ctx, out)
	a.backends(ctx, out)
	return out
}

// checkListeners asks the listeners for checks whether altagate is there.
func (a Altagate) checkListeners(ctx context.Context, out *doctor.Section) {
	switch {
	case a.HTTP == "":
	case a.hidden(a.HTTP):
		out.Cannot("what answers checks over HTTP at %s: it speaks TLS", a.HTTP)
	default:
		if IsForChecks(ctx, a.HTTP) {
			out.Is("checks over HTTP are answered at %s, and one that says nothing is denied", a.HTTP)
		} else {
			out.Add(listenerAway, a.HTTP, "no altagate answers checks over HTTP", "is this the address of listen.http? the log of altagate says where it listens")
		}
	}
	if a.GRPC != "" {
		if c, err := dial(ctx, a.GRPC); err == nil {
			c.Close() //nolint:errcheck // nothing was sent
			out.Is("something listens at %s, for checks over gRPC", a.GRPC)
		} else {
			out.Add(listenerAway, a.GRPC, "nothing listens there for checks over gRPC", "is this the address of listen.grpc? the log of altagate says where it listens")
		}
	}
}

// metrics reads the numbers that tell of trouble.
func (a Altagate) metrics(ctx context.Context, out *doctor.Section) {
	got, err := get(ctx, a.Admin, "/metrics")
	if err != nil || got.status != http.StatusOK {
		out.Cannot("/metrics: %v", err)
		return
	}
	if value(got.body, "altagate_state_writable") == "0" {
		out.Add(stateNotWritten, a.Admin, "altagate_state_writable is 0", "make room on the disk; the log says why")
	}
	if value(got.body, "altagate_viewers_hidden") != "1" {
		out.Is("no single address holds most of the sessions")
		return
	}
	address, held, all := a.busiest(ctx)
	what := "one address holds more than half of the sessions"
	if held > 0 {
		what = fmt.Sprintf("%s holds %d of the %d sessions that were looked at", address, held, all)
	}
	out.Add(viewersHidden, a.Admin, what, "nginx: set_real_ip_from and real_ip_header; Envoy: use_remote_address and xff_num_trusted_hops")
}

// value is that of a metric without labels; empty if it is not there.
func value(metrics, name string) string {
	for line := range strings.Lines(metrics) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// maxPages bounds how many sessions are looked at: this many times a thousand.
const maxPages = 20

// busiest is the address with the most sessions.
func (a Altagate) busiest(ctx context.Context) (address string, held, all int) {
	count := map[string]int{}
	target := "/api/v1/sessions?limit=1000"
	for range maxPages {
		var page struct {
			Sessions []struct {
				Address string `json:"address"`
			} `json:"sessions"`
			Next string `json:"next"`
		}
		if a.api(ctx, target, &page) != nil {
			break
		}
		for _, s := range page.Sessions {
			count[s.Address]++
			all++
			if count[s.Address] > held {
				address, held = s.Address, count[s.Address]
			}
		}
		if page.Next == "" {
			break
		}
		target = "/api/v1/sessions?limit=1000&after=" + page.Next
	}
	return address, held, all
}

// backends asks what altagate's own probe finds.
func (a Altagate) backends(ctx context.Context, out *doctor.Section) {
	var got struct {
		Backends []struct {
			Name      string `json:"name"`
			Up        bool   `json:"up"`
			Addresses []struct {
				Address, State, Since, Why string
			} `json:"addresses"`
		} `json:"backends"`
	}
	if err := a.api(ctx, "/api/v1/backends", &got); err != nil {
		out.Cannot("the backends' state: %v", err)
		return
	}
	for _, b := range got.Backends {
		if b.Up {
			out.Is("backend %q is there", b.Name)
		}
		for _, at := range b.Addresses {
			if at.State != "away" {
				continue
			}
			kind := backendAway
			if b.Up {
				kind = addressAway
			}
			out.Add(kind, at.Address, fmt.Sprintf("backend %q is away since %s: %s", b.Name, at.Since, at.Why), "altagate check 'URL of a viewer' --config FILE tells more")
		}
	}
}

package cli

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/altagate/altagate/pkg/backend"
	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/gate"
)

// splitURL cuts a viewer's URL by bytes, as a proxy does: nothing is decoded.
func splitURL(url string) (scheme, host, target string, err error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || (scheme != "http" && scheme != "https") {
		return "", "", "", errors.New("the viewer's URL begins neither with http:// nor with https://: " +
			"write one such as http://tv.example.com/live/index.m3u8?token=123")
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		return scheme, rest, "/", nil
	}
	host, target = rest[:end], rest[end:]
	if target[0] == '?' {
		target = "/" + target
	}
	return scheme, host, target, nil
}

// explain prints what happened, for a person.
func explain(out io.Writer, r *check.Request, e gate.Explanation) {
	page := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(page, "%s\t%s\n", name, printable(fmt.Sprintf(format, args...))) //nolint:errcheck // see Flush below
	}
	row("viewer", "%s asks %s %s%s", r.Addr, r.Method, r.Origin(), pathAndQuery(r))
	if e.Decision.Route != "" {
		row("route", "%s", e.Decision.Route)
	}
	for _, t := range e.Traces {
		explainTrace(row, t)
	}
	row("decision", "%s: %s", e.Decision.Word(), inWords(e))
	if e.Decision.Redirect != "" {
		row("redirect", "%s", e.Decision.Redirect)
	}
	page.Flush() //nolint:errcheck // a terminal that is gone has nobody to tell
}

func pathAndQuery(r *check.Request) string {
	if r.Query == "" {
		return r.Path
	}
	return r.Path + "?" + r.Query
}

func explainTrace(row func(name, format string, args ...any), t backend.Trace) {
	row("", "")
	row("backend", "%s", t.Backend)
	if len(t.Attempts) == 0 && t.Outcome.Err != nil {
		row("failure", "%v", t.Outcome.Err)
	}
	for _, a := range t.Attempts {
		row("address", "%s", a.Address)
		row("time", "%s", times(a.Phases))
		if a.Err != nil {
			row("failure", "%v", a.Err)
		}
	}
	if t.RequestLine != "" {
		row("sent", "%s", t.RequestLine)
	}
	for _, f := range t.RequestHeader {
		row("", "%s: %s", f.Name, f.Value)
	}
	if t.Status != 0 {
		row("reply", "%s", strings.TrimSpace(strconv.Itoa(t.Status)+" "+http.StatusText(t.Status)))
	}
	for _, f := range t.ReplyHeader {
		row("", "%s: %s", f.Name, f.Value)
	}
	for line := range strings.Lines(string(t.Body)) {
		row("", "| %s", strings.TrimRight(line, "\r\n"))
	}
	for _, p := range t.Probes {
		switch {
		case p.There:
			row("probe", "%s is there: it answers altagate's own request", p.Address)
		case p.Unknown:
			row("probe", "%s: nothing could be found out: %v", p.Address, p.Err)
		default:
			row("probe", "%s is AWAY: %v", p.Address, p.Err)
		}
	}
	row("outcome", "%s", t.Outcome.Verdict)
	name := "meaning"
	for _, line := range t.Meaning {
		row(name, "%s", line)
		name = ""
	}
	row("", "")
}

// times lists the phases that took place.
func times(p backend.Phases) string {
	var parts []string
	for _, phase := range []struct {
		name string
		took time.Duration
	}{{"resolve", p.Resolve}, {"connect", p.Connect}, {"TLS", p.TLS}, {"first byte", p.FirstByte}, {"total", p.Total}} {
		if phase.took > 0 {
			parts = append(parts, fmt.Sprintf("%s %.1f ms", phase.name, float64(phase.took.Microseconds())/1000))
		}
	}
	return strings.Join(parts, ", ")
}

// inWords says what a decision means, and what to do where something is wrong.
func inWords(e gate.Explanation) string {
	d := e.Decision
	switch d.Reason {
	case check.Observe:
		e.Decision.Allow, e.Decision.Reason = false, d.Observed
		return "the route only observes (mode: observe); otherwise it would be a denial: " + inWords(e)
	case check.Backend:
		if d.Allow {
			return "the backend answered 200"
		}
		if d.Outcome.Status == http.StatusOK {
			return fmt.Sprintf("the backend answered 200, but %v", d.Outcome.Err)
		}
		return fmt.Sprintf("the backend answered %d, and only 200 allows", d.Outcome.Status)
	case check.Default:
		return "THE BACKEND IS AWAY, so on_unavailable decides, for every viewer: " + d.Word() + ". " + whyAway(e.Traces)
	case check.Unanswered:
		return "this question got no answer, though not every backend is away (see above): denied whatever the policy"
	case check.Overload:
		return "this machine has no descriptors, ports or memory left to ask with"
	case check.Rule:
		return byRule(d)
	case check.NoRoute:
		return "no route matches this host and path"
	case check.Malformed:
		return "malformed, so the backend is not asked: " + rules(d.Outcome.Err)
	default:
		return string(d.Reason)
	}
}

// byRule says what decided without a backend.
func byRule(d check.Decision) string {
	switch {
	case d.Rule != check.SecureToken:
		return d.Rule + " of the route fits, so no backend is asked"
	case d.Outcome.Err != nil:
		return "secure_token of the route, so no backend is asked: " + d.Outcome.Err.Error()
	default:
		return "secure_token of the route, so no backend is asked: the token is good for " + d.Outcome.AuthDuration.Round(time.Second).String()
	}
}

// rules says in one line which rules a viewer's request broke.
func rules(err error) string {
	text := strings.ReplaceAll(err.Error(), string(check.Malformed)+": ", "")
	return strings.ReplaceAll(text, "\n", "; ")
}

// whyAway says of each address why nothing can be asked there, and what to try.
func whyAway(traces []backend.Trace) string {
	var said []string
	for _, t := range traces {
		for _, p := range t.Probes {
			why := failureInWords(p.Err)
			if why == "" && t.Outcome.Status != 0 {
				why = fmt.Sprintf("answers with status %d, which unavailable_statuses counts as away", t.Outcome.Status)
			}
			if why == "" {
				why = "gave no answer (the failure is above)"
			}
			if text := p.Address + " " + why; !slices.Contains(said, text) {
				said = append(said, text)
			}
		}
	}
	return strings.Join(said, "; ")
}

// failureInWords says what a connection failed for, and what to try; "" where the
// failure itself says all that is known.
func failureInWords(err error) string {
	var name *net.DNSError
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	var waited interface{ Timeout() bool }
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return "has a name that does not resolve: a typo?"
	case errors.As(err, &name):
		return "has a name that could not be looked up: does this machine's DNS work?"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return "does not speak TLS: http:// in place of https://?"
	case errors.As(err, &certificate):
		return "has a certificate that is not trusted: ca_file and server_name say what is"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses the connection: is it running?"
	case errors.As(err, &waited) && waited.Timeout():
		return "gave no answer within the timeout: a wrong address, a firewall, or too slow?"
	default:
		return ""
	}
}

// printable keeps a reply from driving the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '.'
		}
		return r
	}, s)
}

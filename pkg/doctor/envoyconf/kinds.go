package envoyconf

import "github.com/altagate/altagate/pkg/doctor"

// The kinds of findings in a config of Envoy. docs/doctor.md explains each.
var (
	noCheck = doctor.Kind{ID: "envoy-no-check", Severity: doctor.Error,
		Why: "nothing in this config asks altagate, so it lets every viewer in"}
	unchecked = doctor.Kind{ID: "envoy-unchecked", Severity: doctor.Error,
		Why: "what is checked elsewhere is served here to everybody"}
	checkOff = doctor.Kind{ID: "envoy-check-off", Severity: doctor.Error,
		Why: "the filter stands there, and does not keep anybody out"}
	cacheFirst = doctor.Kind{ID: "envoy-cache-first", Severity: doctor.Error,
		Why: "what is in the cache is served before anybody is asked"}
	failureModeAllow = doctor.Kind{ID: "envoy-failure-mode-allow", Severity: doctor.Error,
		Why: "while altagate is away, and whenever a check takes too long, everybody is let in; altagate's on_unavailable looks first whether your backend is really away"}
	addressForged = doctor.Kind{ID: "envoy-address-forged", Severity: doctor.Error,
		Why: "altagate believes this address, and a viewer writes it: he joins other viewers' sessions"}
	addressHidden = doctor.Kind{ID: "envoy-address-hidden", Severity: doctor.Error,
		Why: "altagate is told the balancer's address in place of the viewer's: all viewers become one, and share sessions"}
	addressMissing = doctor.Kind{ID: "envoy-address-missing", Severity: doctor.Warning,
		Why: "altagate denies every viewer (bad-check) without an address that it can read"}
	pathRaw = doctor.Kind{ID: "envoy-path-raw", Severity: doctor.Error,
		Why: "altagate resolves dots before it decides, and Envoy chooses the route by, and sends the origin, the path as the viewer wrote it: another one"}
	slashesKept = doctor.Kind{ID: "envoy-slashes-kept", Severity: doctor.Error,
		Why: "altagate merges slashes before it decides, and Envoy then serves another path"}
	escapedSlashes = doctor.Kind{ID: "envoy-escaped-slashes", Severity: doctor.Warning,
		Why: "%2F and %5C are a slash to some origins and none to others; altagate denies them, and Envoy should not pass them on by a route that is not checked"}
	timeout = doctor.Kind{ID: "envoy-timeout", Severity: doctor.Warning,
		Why: "Envoy gives up before the backend must have answered: viewers whose backend is slow are denied (late)"}
	retry = doctor.Kind{ID: "envoy-retry", Severity: doctor.Warning,
		Why: "the retries that are written here do something else than they say"}
	pathPrefix = doctor.Kind{ID: "envoy-path-prefix", Severity: doctor.Warning,
		Why: "altagate denies every viewer (bad-check) who is asked about at another path than /auth/envoy"}
	allowedHeaders = doctor.Kind{ID: "envoy-allowed-headers", Severity: doctor.Warning,
		Why: "over HTTP Envoy tells altagate no header of the viewer but those that are listed"}
	clientHeaders = doctor.Kind{ID: "envoy-client-headers", Severity: doctor.Warning,
		Why: "what an answer to a check says is shown to viewers: sessions, reasons, when the gate stands open, or whatever else answers in altagate's place"}
	viewerHeaders = doctor.Kind{ID: "envoy-viewer-headers", Severity: doctor.Warning,
		Why: "the origin gets these from the viewer, and may believe them: another path or host than the checked one, or another user"}
	underscores = doctor.Kind{ID: "envoy-underscores", Severity: doctor.Warning,
		Why: "X_User_Id passes where X-User-Id is removed, and many origins read them as one"}
	scheme = doctor.Kind{ID: "envoy-scheme", Severity: doctor.Warning,
		Why: "a viewer who speaks HTTP/2 writes the scheme that the backend is told"}
	unknownHost = doctor.Kind{ID: "envoy-unknown-host", Severity: doctor.Warning,
		Why: "the backend is told the host, and here a viewer chooses it: routes and sessions of a host that you never named"}
	checkLimit = doctor.Kind{ID: "envoy-check-limit", Severity: doctor.Warning,
		Why: "Envoy refuses the 1025th check at once, and the viewer with it: a slow backend is enough"}
	altagateExposed = doctor.Kind{ID: "envoy-altagate-exposed", Severity: doctor.Error,
		Why: "viewers reach altagate through the edge: they can ask for any viewer, and at the admin listener end sessions"}
	adminExposed = doctor.Kind{ID: "envoy-admin-exposed", Severity: doctor.Warning,
		Why: "whoever reaches Envoy's admin page reads its config and can stop it"}
)

// Kinds are all kinds of findings of this package.
func Kinds() []doctor.Kind {
	return []doctor.Kind{
		noCheck, unchecked, checkOff, cacheFirst, failureModeAllow, addressForged, addressHidden, addressMissing, pathRaw, slashesKept,
		escapedSlashes, timeout, retry, pathPrefix, allowedHeaders, clientHeaders, viewerHeaders, underscores, scheme, unknownHost,
		checkLimit, altagateExposed, adminExposed,
	}
}

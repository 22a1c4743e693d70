package nginxconf

import "github.com/altagate/altagate/pkg/doctor"

// The kinds of findings in a config of nginx. docs/doctor.md explains each.
var (
	noCheck = doctor.Kind{ID: "nginx-no-check", Severity: doctor.Error,
		Why: "nothing in this config asks altagate, so it lets every viewer in"}
	authNotFound = doctor.Kind{ID: "nginx-auth-not-found", Severity: doctor.Error,
		Why: "the check goes to whatever location nginx finds for that path, and a 200 from there lets everybody in; without one every viewer gets 500"}
	authNotAltagate = doctor.Kind{ID: "nginx-auth-not-altagate", Severity: doctor.Error,
		Why: "what answers the check is not altagate: nginx takes any 2xx for an allow, and knows no sessions, no grace and no policy"}
	authPublic = doctor.Kind{ID: "nginx-auth-public", Severity: doctor.Error,
		Why: "viewers can ask it themselves, and see sessions and reasons that are not for them"}
	authHeaderOpen = doctor.Kind{ID: "nginx-auth-header-open", Severity: doctor.Error,
		Why: "a viewer who sends this header chooses what altagate decides about"}
	authHeaderMissing = doctor.Kind{ID: "nginx-auth-header-missing", Severity: doctor.Warning,
		Why: "altagate denies every viewer (bad-check) when it is not told all of these"}
	authHeadersPassed = doctor.Kind{ID: "nginx-auth-headers-passed", Severity: doctor.Warning,
		Why: "the viewer's other headers reach altagate, and some of their bytes make its HTTP library answer 400 before any check"}
	authDecoded = doctor.Kind{ID: "nginx-auth-decoded", Severity: doctor.Error,
		Why: "in the auth location $uri and $args are its own, and $uri is decoded: a viewer can put line breaks, and so headers of his own, into the check"}
	authAddress = doctor.Kind{ID: "nginx-auth-address", Severity: doctor.Error,
		Why: "altagate believes this address: a viewer who writes it joins other viewers' sessions, and one address for all makes one viewer of them"}
	authErrorPage = doctor.Kind{ID: "nginx-auth-error-page", Severity: doctor.Error,
		Why: "the page's status becomes the answer to the check: while altagate is away, everybody is let in"}
	authIntercepted = doctor.Kind{ID: "nginx-auth-intercepted", Severity: doctor.Error,
		Why: "altagate's own answer is replaced by the page's: a request that makes it fail, or its very denial, lets viewers in"}
	authBackup = doctor.Kind{ID: "nginx-auth-backup", Severity: doctor.Error,
		Why: "after one failure of altagate the backup answers for everybody, for ten seconds and more: one viewer who causes a timeout opens the gate for all, unless it is an altagate too"}
	authCached = doctor.Kind{ID: "nginx-auth-cached", Severity: doctor.Error,
		Why: "an answer is given where altagate would give another: to another viewer, or when its time is over"}
	authLength = doctor.Kind{ID: "nginx-auth-length", Severity: doctor.Warning,
		Why: "a viewer's POST announces a body to altagate that never comes: the connection is lost, and with some versions the check hangs"}
	authConnections = doctor.Kind{ID: "nginx-auth-connections", Severity: doctor.Warning,
		Why: "before nginx 1.29.7 each check opens a new connection to altagate, at twice the price"}
	authTimeout = doctor.Kind{ID: "nginx-auth-timeout", Severity: doctor.Warning,
		Why: "nginx gives up before altagate answers: viewers get 500 where a slow backend would have let them in"}
	authChained = doctor.Kind{ID: "nginx-auth-chained", Severity: doctor.Warning,
		Why: "nginx skips these in a location that answers a check, so they protect nothing"}
	failOpen = doctor.Kind{ID: "nginx-fail-open", Severity: doctor.Error,
		Why: "nginx answers 500 for everything unexpected that the check gives, and this serves the content then: also for what a viewer can provoke"}
	deniedServed = doctor.Kind{ID: "nginx-denied-served", Severity: doctor.Error,
		Why: "a viewer who was denied gets the content by this way"}
	unchecked = doctor.Kind{ID: "nginx-unchecked", Severity: doctor.Error,
		Why: "what is checked elsewhere is served here to everybody"}
	answeredFirst = doctor.Kind{ID: "nginx-answered-first", Severity: doctor.Error,
		Why: "return and rewrite run before the check, so nobody is asked"}
	satisfyAny = doctor.Kind{ID: "nginx-satisfy-any", Severity: doctor.Error,
		Why: "whoever an allow line lets in is not checked"}
	checkedTwice = doctor.Kind{ID: "nginx-checked-twice", Severity: doctor.Warning,
		Why: "an internal redirect is checked again: two checks for one request"}
	pathRaw = doctor.Kind{ID: "nginx-path-raw", Severity: doctor.Warning,
		Why: "nginx chooses the location by the path that altagate decided on, and sends the origin the raw one, which the origin may read in another way"}
	slashesKept = doctor.Kind{ID: "nginx-slashes-kept", Severity: doctor.Error,
		Why: "altagate merges slashes before it decides, and nginx then serves another path"}
	unknownHost = doctor.Kind{ID: "nginx-unknown-host", Severity: doctor.Warning,
		Why: "the backend is told the host, and here a viewer chooses it: routes and sessions of a host that you never named"}
	viewerHeaders = doctor.Kind{ID: "nginx-viewer-headers", Severity: doctor.Warning,
		Why: "the origin gets these from the viewer, and may believe them: another path or host than the checked one, or another user"}
	addressOpen = doctor.Kind{ID: "nginx-address-open", Severity: doctor.Error,
		Why: "anybody may write the address that counts as the viewer's"}
	altagateExposed = doctor.Kind{ID: "nginx-altagate-exposed", Severity: doctor.Error,
		Why: "viewers reach altagate through the edge: they can ask for any viewer, and at the admin listener end sessions"}
)

// Kinds are all kinds of findings of this package.
func Kinds() []doctor.Kind {
	return []doctor.Kind{
		noCheck, authNotFound, authNotAltagate, authPublic, authHeaderOpen, authHeaderMissing, authHeadersPassed, authDecoded,
		authAddress, authErrorPage, authIntercepted, authBackup, authCached, authLength, authConnections, authTimeout, authChained,
		failOpen, deniedServed, unchecked, answeredFirst, satisfyAny, checkedTwice, pathRaw, slashesKept, unknownHost,
		viewerHeaders, addressOpen, altagateExposed,
	}
}

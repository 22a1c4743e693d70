package edge

import "github.com/altagate/altagate/pkg/doctor"

// The kinds of findings at a running edge. docs/doctor.md explains each.
var (
	unchecked = doctor.Kind{ID: "edge-unchecked", Severity: doctor.Error,
		Why: "the edge serves without having asked this altagate"}
	notAsked = doctor.Kind{ID: "edge-not-asked", Severity: doctor.Error,
		Why: "the edge fails before altagate is asked: it does not reach it, or asks another one, and no viewer watches"}
	badCheck = doctor.Kind{ID: "edge-bad-check", Severity: doctor.Error,
		Why: "the proxy does not tell altagate what it must, and altagate denies every viewer"}
	denialServed = doctor.Kind{ID: "edge-denial-served", Severity: doctor.Error,
		Why: "altagate denied, and the viewer got it all the same"}
	denialBroken = doctor.Kind{ID: "edge-denial-broken", Severity: doctor.Warning,
		Why: "altagate denied, and players take the edge's 5xx for its failure and ask again at once"}
	junkAllowed = doctor.Kind{ID: "edge-junk-allowed", Severity: doctor.Error,
		Why: "whoever makes up a token watches"}
	headersShown = doctor.Kind{ID: "edge-headers-shown", Severity: doctor.Warning,
		Why: "viewers learn why they were decided about as they were, and when the gate stands open"}
	headerBelieved = doctor.Kind{ID: "edge-header-believed", Severity: doctor.Error,
		Why: "a viewer who sends this header chooses what altagate decides about"}
	headerBreaks = doctor.Kind{ID: "edge-header-breaks", Severity: doctor.Warning,
		Why: "the viewer's header reaches altagate beside the proxy's own, where it must not be seen at all"}
	contextWrong = doctor.Kind{ID: "edge-context-wrong", Severity: doctor.Error,
		Why: "altagate decides, and the backend is told, about another request than the viewer's"}
	addressHidden = doctor.Kind{ID: "edge-address-hidden", Severity: doctor.Error,
		Why: "altagate is told another address than the viewer's: all viewers become one, and share sessions"}
	agentLost = doctor.Kind{ID: "edge-agent-lost", Severity: doctor.Warning,
		Why: "viewers of one address are told apart by their User-Agent, which the edge does not pass on"}
	unknownHost = doctor.Kind{ID: "edge-unknown-host", Severity: doctor.Warning,
		Why: "the backend is told the host, and here a viewer chooses it: routes and sessions of a host that you never named"}
	pathDiffers = doctor.Kind{ID: "edge-path-differs", Severity: doctor.Warning,
		Why: "altagate decides on one path, and the origin reads another one in what the edge passes on"}
	opensOnError = doctor.Kind{ID: "edge-opens-on-error", Severity: doctor.Error,
		Why: "a viewer makes the check fail by bytes of his own, and the failure lets him in"}
	postHangs = doctor.Kind{ID: "edge-post-hangs", Severity: doctor.Warning,
		Why: "the edge announces to altagate a body that never comes, and waits"}
	checkReachable = doctor.Kind{ID: "edge-check-reachable", Severity: doctor.Error,
		Why: "viewers can ask altagate themselves, through the edge"}
	listenerReachable = doctor.Kind{ID: "edge-listener-reachable", Severity: doctor.Error,
		Why: "who reaches the edge reaches altagate's own listener: checks for any viewer, or metrics"}
	openWhenAway = doctor.Kind{ID: "edge-open-when-away", Severity: doctor.Error,
		Why: "while altagate is away, everybody is let in; its on_unavailable is the place to choose that for an outage of your backend"}
)

// Kinds are all kinds of findings of this package.
func Kinds() []doctor.Kind {
	return []doctor.Kind{
		unchecked, notAsked, badCheck, denialServed, denialBroken, junkAllowed, headersShown, headerBelieved, headerBreaks, contextWrong,
		addressHidden, agentLost, unknownHost, pathDiffers, opensOnError, postHangs, checkReachable, listenerReachable, openWhenAway,
	}
}

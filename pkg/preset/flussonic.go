package preset

import (
	"net/http"

	"github.com/altagate/altagate/pkg/check"
)

// flussonic is a portal that answers Flussonic's authorization backend protocol
// (Flussonic, Authorization Backend API 21.12.1, play session): a GET whose query
// says who watches what. The token in it is the viewer's own.
//
// stream_clients and total_clients are required there, and altagate does not know
// them; they, and the others that Flussonic fills in by itself, are not a viewer's
// to say either.
func flussonic() Preset {
	return Preset{
		Name: "flussonic", Stream: "{stream}",
		// "No answer" in Flussonic, where each other status is a decision.
		UnavailableStatuses: []int{http.StatusInternalServerError},
		Headers:             alta(),
		Parameters: []Field{
			{"name", Stream},
			{"proto", Protocol},
			{"ip", Address},
			{"request_type", Kind},
			{"request_number", Number},
			{"session_id", UUID},
		},
		Dropped: []string{"stream_clients", "total_clients", "duration", "bytes", "qs", "user_agent", "referer", "host"},
		Words:   flussonicWords,
	}
}

func flussonicWords(o check.Outcome, _ []byte) string {
	switch {
	case o.Verdict == check.Allowed && o.AuthDuration == 0:
		return "allowed, without X-AuthDuration: Flussonic would ask again after a time of its own, and altagate does not"
	case o.Status == http.StatusInternalServerError && o.Verdict == check.Unavailable:
		return "a 500 counts as no answer, as in Flussonic: who watches already watches on, and a newcomer is denied unless the whole backend is away"
	case o.Status == http.StatusFound:
		return "a 302 is a denial here; a Flussonic of 2013 took it for an allow, and what a newer one makes of it is not known"
	case o.Status == http.StatusForbidden:
		return "the portal does not let this token watch this stream from this address (name, ip and token in what was sent)"
	default:
		return ""
	}
}

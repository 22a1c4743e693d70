package preset

import (
	"net/http"

	"github.com/altagate/altagate/pkg/check"
)

// astra is a backend that was written for Cesbo Astra's "HTTP Request": the same
// question as Alta's in headers of its own. X-Channel-ID is "unique channel
// identifier" in Astra's documentation, and nothing at the edge knows Astra's ids;
// but Astra's URLs have them, as in /play/a001/index.m3u8, so that it is the
// stream's name.
func astra() Preset {
	return Preset{
		Name: "astra", Stream: "{stream}",
		Headers: []Field{
			{"X-Session-ID", Session},
			{"X-Channel-ID", Stream},
			{"X-Real-IP", Address},
			{"X-Real-Path", Path},
			{"X-Real-UA", UserAgent},
			{"X-Real-Host", Host},
		},
		Words: astraWords,
	}
}

func astraWords(o check.Outcome, _ []byte) string {
	switch {
	case o.Verdict == check.Allowed && o.SessionName != "":
		return "the backend knows the viewer as " + o.SessionName + " (X-Session-Name)"
	case o.Status == http.StatusUnauthorized, o.Status == http.StatusForbidden:
		return "the backend does not let the viewer in: Astra takes 401 and 403 for that"
	case o.Verdict == check.Denied:
		return "Astra knows 200, and 401 and 403; what it makes of this status is not documented, and here it is a denial"
	default:
		return ""
	}
}

package preset

import (
	"net/http"

	"github.com/altagate/altagate/pkg/check"
)

// ministra is chk_flussonic_tmp_link.php of Ministra, which was Stalker. The portal
// makes a token when a viewer starts a channel and forgets it after
// tv_tmp_link_ttl, 5 s by default. The script reads the token alone, and answers one
// that it knows with X-AuthDuration: 36000, X-Unique: true, X-Max-Sessions and
// X-UserId, and any other with 403.
func ministra() Preset {
	return Preset{Name: "ministra", TokensDie: true, Headers: alta(), Words: ministraWords}
}

func ministraWords(o check.Outcome, _ []byte) string {
	switch {
	case o.Verdict == check.Allowed && o.AuthDuration == 0:
		return "the token counts as known, but X-AuthDuration is missing, which chk_flussonic_tmp_link.php always sends: " +
			"is this another page, which answers 200 to everybody? Ask once more with a wrong token"
	case o.Verdict == check.Allowed:
		return "the portal knows the token, and will have forgotten it in a few seconds"
	case o.Status == http.StatusForbidden:
		return "the portal does not know the token: there is none in the query, or it is older than the portal's tv_tmp_link_ttl, " +
			"5 seconds unless config.ini says otherwise. A link that was copied by hand is always too old"
	case o.Status == http.StatusNotFound:
		return "there is no such script: its path is /stalker_portal/server/api/chk_flussonic_tmp_link.php, " +
			"or without /stalker_portal with Ministra PRO"
	default:
		return ""
	}
}

package preset

import "github.com/altagate/altagate/pkg/check"

// iptvportal is the arescrypt authorization of IPTVPORTAL. How it answers is not
// public beyond what Cesbo's documentation of Alta says, so it is asked as Alta
// asks it, and no more is read into its replies.
func iptvportal() Preset {
	return Preset{
		Name:    "iptvportal",
		URL:     "https://go.iptvportal.cloud/auth/arescrypt/",
		Headers: alta(),
		Words:   iptvportalWords,
	}
}

func iptvportalWords(o check.Outcome, _ []byte) string {
	if o.Verdict != check.Denied {
		return ""
	}
	return "the portal does not let this token in. Why is not public; its key is made anew each hour, so take a link that is new, " +
		"and look whether the channel has auth arescrypt, encoded on, and the key that was made for the streaming server"
}

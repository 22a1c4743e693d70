package session

// EndReason says why a session ended. The values are part of what users see.
type EndReason string

// The reasons of an end.
const (
	// Idle: no request came for the route's idle, or the backend's
	// X-AuthDuration if that is longer.
	Idle EndReason = "idle"
	// Max: it lasted for the route's max.
	Max EndReason = "max"
	// Expired: X-AuthDuration is over, and the preset's tokens cannot be asked
	// about again.
	Expired EndReason = "expired"
	// Denied: the backend was asked again and denied.
	Denied EndReason = "denied"
	// Unavailable: the backend could not be asked again until grace was over.
	Unavailable EndReason = "unavailable"
	// Limit: its user may have no more viewers at a time, and another has its place.
	Limit EndReason = "limit"
	// Operator: an operator ended it.
	Operator EndReason = "operator"
	// Evicted: it was the longest idle when a bound was reached.
	Evicted EndReason = "evicted"
	// Confirmed: it was provisional, and the backend has allowed its viewer since.
	Confirmed EndReason = "confirmed"
	// Policy: it was opened by a default that the route no longer has.
	Policy EndReason = "policy"
)

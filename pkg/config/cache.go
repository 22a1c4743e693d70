package config

import "time"

// readCache reads for how long nginx may repeat a session's allow. altagate does not
// see the requests that are answered meanwhile: to a session they are a pause, and the
// shortest idle that there can be must be left of it.
func readCache(v value, r *Route) {
	d := time.Duration(0)
	if !v.duration(span{minCache, maxCache, "2s or 5s"}, &d) || d == 0 {
		return
	}
	switch {
	case d%time.Second != 0:
		v.wrong("must be whole seconds: nginx counts no others")
	case len(r.Session.Join) == 0:
		v.wrong("means nothing with session.join: []: what is repeated is a session's allow, and nothing joins one")
	case r.Session.Idle < d+minIdle:
		v.wrong("is too long for a session.idle of %s, which must be at least %s then: requests that nginx answers by itself are none to a session",
			inUnits(r.Session.Idle), inUnits(d+minIdle))
	default:
		r.Cache = d
	}
}

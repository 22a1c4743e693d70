package admin

import (
	"net/http"
	"time"

	"github.com/altagate/altagate/pkg/gate"
)

// Backends are the backends that operators look at, as gate.Gate says.
type Backends interface {
	// Backends gives all of them, in the order of their names.
	Backends() []gate.BackendState
}

// listedBackends is the body of a list.
type listedBackends struct {
	Backends []gate.BackendState `json:"backends"`
}

// ofBackends answers about all backends, or about the one with the name.
func (a api) ofBackends(r *http.Request, name string) reply {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return onlyMethods("GET and HEAD", "GET, HEAD")
	}
	if p := parse(r.URL.RawQuery); p.wrong != "" {
		return fail(http.StatusBadRequest, "%s", p.wrong)
	}
	all := a.backends.Backends()
	for _, b := range all {
		for i := range b.Addresses {
			b.Addresses[i].Since = b.Addresses[i].Since.UTC().Truncate(time.Millisecond)
		}
		if b.Name == name {
			return reply{status: http.StatusOK, body: b}
		}
	}
	if name != "" {
		return fail(http.StatusNotFound, "there is no backend %s in the config that is in force; GET %s lists them", quoted(name), backendsPath)
	}
	return reply{status: http.StatusOK, body: listedBackends{all}}
}

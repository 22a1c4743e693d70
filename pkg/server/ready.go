package server

import "sync"

// Ready says whether altagate takes checks: the config is loaded, the listeners
// are open, and it is not stopping. A backend's state is no part of it. The
// zero value is not ready. It is safe for concurrent use.
type Ready struct {
	mu      sync.Mutex
	is      bool
	watches []func(bool)
}

// Is says whether altagate is ready.
func (r *Ready) Is() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.is
}

// Set changes it, and tells those who watch before it returns.
func (r *Ready) Set(is bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.is == is {
		return
	}
	r.is = is
	for _, watch := range r.watches {
		watch(is)
	}
}

// Watch calls f at each change from now on, for health services that have to
// be told. f must not call r.
func (r *Ready) Watch(f func(bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watches = append(r.watches, f)
}

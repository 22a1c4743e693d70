package backend

import "time"

// State is what is known of a backend, for operators. It holds nothing of a
// viewer, and of a URL its scheme, host and port only.
type State struct {
	Name   string `json:"name"`
	Preset string `json:"preset"`
	// Up is whether any address is there.
	Up        bool           `json:"up"`
	Addresses []AddressState `json:"addresses"`
}

// AddressState is what is known of one address.
type AddressState struct {
	Address string `json:"address"`
	// State is "there" or "away", and "unknown" before the first finding.
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Why is what was wrong with the last probe; empty if nothing was.
	Why string `json:"why,omitempty"`
	// Questions counts those that are there now.
	Questions int `json:"questions"`
}

// State tells what is known of the backend now. It does not block.
func (b *Backend) State() State {
	s := State{Name: b.config.Name, Preset: b.config.Preset.Name}
	s.Up, s.Addresses = b.pool.states()
	return s
}

// states gives what is known of each address, in order.
func (p *pool) states() (up bool, all []AddressState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.all {
		s := AddressState{Address: a.name, State: a.state.String(), Since: a.since, Questions: a.inflight}
		if a.why != nil {
			s.Why = a.why.Error()
		}
		if a.own != nil {
			s.Why = a.own.Error()
		}
		all = append(all, s)
	}
	return p.up(), all
}

func (s state) String() string {
	switch s {
	case there:
		return "there"
	case away:
		return "away"
	default:
		return "unknown"
	}
}

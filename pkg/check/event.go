package check

import "time"

// Event is something that happened beside a check, for metrics and the log:
// Asked, Turned or ShortDeadline. Whoever reports one holds no lock.
type Event interface{ event() }

// Asked reports that one question to a backend has ended. Questions that were
// called off because another backend allowed are not reported.
type Asked struct {
	Backend string
	Verdict Verdict
	// Took is the time from the first byte of work to the whole reply or the
	// failure, all addresses included.
	Took time.Duration
}

// Turned reports that altagate's own probe found an address of a backend there
// or away, where it was the other before. The first finding is reported too.
type Turned struct {
	Backend string
	// Address is scheme, host and port of the address; never its path or query.
	Address string
	There   bool
	// Up is whether any address of the backend is there now.
	Up bool
	// Err says why the address is away; nil if it is there.
	Err error
}

// ShortDeadline reports, once for each backend, that callers wait for less
// time than the backend may take.
type ShortDeadline struct {
	Proxy, Backend    string
	Deadline, Timeout time.Duration
}

func (Asked) event()         {}
func (Turned) event()        {}
func (ShortDeadline) event() {}

package backend

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/altagate/altagate/pkg/check"
)

// maxShown is how much of a reply's body a Trace holds, in bytes.
const maxShown = 512

// hidden stands for what a Trace does not show.
const hidden = "***"

// Trace tells what happened to one question, for a person who asks why. It holds
// the viewer's query; passwords and the operator's fixed headers are hidden, the
// operator's own query is not.
type Trace struct {
	Backend string
	// Attempts are the addresses that the question was taken to, in order. All
	// but the last could not be connected to.
	Attempts []Attempt
	// RequestLine and RequestHeader are the question as it was written to the
	// last of them; empty if it was not.
	RequestLine   string
	RequestHeader []Field
	// Status, ReplyHeader and Body (its first 512 bytes) are the reply as far
	// as it came. A Status with no complete reply has Outcome.Err.
	Status      int
	ReplyHeader []Field
	Body        []byte
	// Meaning says of a complete reply, in the terms of the backend's preset, what it
	// means; empty where there is nothing to add.
	Meaning []string
	// Outcome is what the question gave, with Absent and Overload as a running
	// altagate would find them, once a silence has lasted.
	Outcome check.Outcome
	// Probes are the findings about all addresses, in order; nil if there was a
	// complete reply.
	Probes []Finding
}

// Attempt is one address that a question was taken to.
type Attempt struct {
	// Address is scheme, host and port.
	Address string
	Phases  Phases
	// Err says why there was no complete reply; nil if there was.
	Err error
}

// Field is one line of a header.
type Field struct{ Name, Value string }

// Finding is what a probe found of an address.
type Finding struct {
	Address string
	There   bool
	// Unknown is set if nothing could be found out, for want of altagate's own
	// descriptors or ports, or because ctx ended.
	Unknown bool
	// Err says why the address is away, or why nothing could be found out.
	Err error
}

// Trace puts one question to the first address that can be connected to, as Ask
// does, and tells all about it. It looks at each address anew, on connections of
// its own, and changes nothing of what the Backend knows; no event is reported.
// It takes Timeout, and without a complete reply two seconds more for each
// address, or until ctx ends.
func (b *Backend) Trace(ctx context.Context, r *check.Request, s Session) Trace {
	t := Trace{Backend: b.config.Name}
	t.Outcome.Err = b.sendable(r, s)
	t.Outcome.Malformed = t.Outcome.Err != nil
	if !t.Outcome.Malformed {
		send, done := b.apart()
		defer done()
		b.traceQuestion(ctx, send, &t, r, s)
		if t.Outcome.Verdict == check.Unavailable && !t.Outcome.Overload {
			b.traceProbes(ctx, send, &t)
		}
	}
	t.Outcome.Backend, t.Outcome.Session, t.Outcome.Once = b.config.Name, s.ID, b.config.Preset.TokensDie
	return t
}

// apart gives a sender whose connections are not those of the questions, and
// what closes them.
func (b *Backend) apart() (sender, func()) {
	transport := b.sending.Load().transport.Clone()
	return transport.RoundTrip, transport.CloseIdleConnections
}

// traceQuestion takes the question to the addresses, in order.
func (b *Backend) traceQuestion(ctx context.Context, send sender, t *Trace, r *check.Request, s Session) {
	ctx, cancel := context.WithTimeout(ctx, b.config.Timeout)
	defer cancel()
	for _, e := range b.endpoints {
		w := newWatch()
		q := e.question(w.attach(ctx), r, s)
		err := t.exchange(send, q, b.config)
		if err != nil {
			err = fmt.Errorf("asking %s: %w", e.name, err)
			t.Outcome.Overload, t.Outcome.Err = isOwn(err), err
		}
		seen := w.stop()
		t.Attempts = append(t.Attempts, Attempt{Address: e.name, Phases: seen.phases, Err: err})
		if seen.connected {
			t.RequestLine = q.Method + " " + q.URL.RequestURI() + " HTTP/1.1"
			t.RequestHeader = b.shown(seen.fields)
			return
		}
		if t.Outcome.Overload || ctx.Err() != nil {
			return
		}
	}
}

// exchange sends the question and notes the reply as far as it comes. The error
// says why it is not complete.
func (t *Trace) exchange(send sender, q *http.Request, c Config) error {
	resp, err := send(q)
	if err != nil {
		return withoutBytes(blamed(err))
	}
	t.Status = resp.StatusCode
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		for _, value := range resp.Header[name] {
			t.ReplyHeader = append(t.ReplyHeader, Field{name, value})
		}
	}
	rep, err := readReply(resp, true)
	t.Body = rep.body[:min(len(rep.body), maxShown)]
	if err != nil {
		return withoutBytes(err)
	}
	t.Outcome = rep.outcome(c.UnavailableStatuses, c.Preset.Refusal)
	t.Meaning = c.Preset.Meaning(t.Outcome, rep.body)
	if t.Outcome.Verdict == check.Unavailable {
		return t.Outcome.Err
	}
	return nil
}

// shown is a written header without its secrets.
func (b *Backend) shown(fields []Field) []Field {
	for i, f := range fields {
		switch _, operators := b.config.Header[f.Name]; {
		case operators:
			fields[i].Value = hidden
		case f.Name == "Authorization":
			fields[i].Value = "Basic " + hidden
		}
	}
	return fields
}

// traceProbes finds out about every address, as the background probing would
// with no other question under way.
func (b *Backend) traceProbes(ctx context.Context, send sender, t *Trace) {
	t.Outcome.Absent = true
	for _, e := range b.endpoints {
		err := b.probeTwice(ctx, send, e)
		own := err != nil && isOwn(err)
		found := Finding{Address: e.name, There: err == nil, Unknown: own || err != nil && ctx.Err() != nil, Err: err}
		t.Probes = append(t.Probes, found)
		t.Outcome.Overload = t.Outcome.Overload || own
		if found.There || found.Unknown {
			t.Outcome.Absent = false
		}
	}
}

// probeTwice probes an address, and once more if there is no answer.
func (b *Backend) probeTwice(ctx context.Context, send sender, e *endpoint) error {
	var err error
	for range 2 {
		limited, cancel := context.WithTimeout(ctx, min(patience, b.config.Timeout))
		err = probe(limited, send, e, b.config.UnavailableStatuses)
		cancel()
		if err == nil || !isSilent(err) {
			break
		}
	}
	return err
}

package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/altagate/altagate/pkg/check"
	"github.com/altagate/altagate/pkg/panics"
)

// answer is what putting a question to one backend gave, before anybody waited
// for a probe.
type answer struct {
	outcome check.Outcome
	// due is set if the outcome depends on what the probe finds.
	due bool
	// asked is set if the question went to an address, or waited for one, and
	// was not called off.
	asked bool
}

// Ask puts one question to the backend. It returns with the reply, or, if there
// was none, when the probe has found whether the backend is away, or when ctx
// ends. The question itself takes no longer than Timeout; the finding can take
// longer, so a caller that wants it gives ctx that time.
//
// A question that was sent and got no answer in time waits for no finding, and is
// never absent: it may itself be what the backend is busy with.
//
// A question that ctx's cancellation calls off is no failure of the backend:
// nothing is probed for it and no event reported.
func (b *Backend) Ask(ctx context.Context, r *check.Request, s Session) check.Outcome {
	return b.settle(ctx, b.put(ctx, r, s))
}

// Ask puts a check to all backends of a route at once. The first allow decides,
// and the other questions are called off. Without one, any backend without a
// reply makes the outcome unavailable, and absent only if all are away; a hung
// one holds nobody longer than its Timeout if another has replied. Otherwise it
// is a denial. Without backends the outcome is the zero value.
func Ask(ctx context.Context, backends []*Backend, r *check.Request, s Session) check.Outcome {
	if len(backends) == 1 {
		return backends[0].Ask(ctx, r, s)
	}
	asking, callOff := context.WithCancel(ctx)
	defer callOff()
	type indexed struct {
		i int
		answer
	}
	answers := make(chan indexed, len(backends))
	for i, b := range backends {
		go func() { answers <- indexed{i, b.putSafely(asking, r, s)} }()
	}
	all := make([]answer, len(backends))
	decided := false // what the probes find can change nothing
	for range backends {
		a := <-answers
		if a.outcome.Verdict == check.Allowed {
			return a.outcome
		}
		all[a.i] = a.answer
		decided = decided || !a.due && !a.outcome.Absent
	}
	outcomes := make([]check.Outcome, len(backends))
	for i, b := range backends {
		outcomes[i] = all[i].outcome
		if !decided {
			outcomes[i] = b.settle(ctx, all[i])
			decided = !outcomes[i].Absent
		}
	}
	return Combine(outcomes)
}

// Combine makes one outcome of those of all backends of a route. Any allow is
// an allow; else any that is unavailable makes it unavailable, and absent only
// if all are; else it is a denial. Of none it makes the zero value.
func Combine(outcomes []check.Outcome) check.Outcome {
	var denied, failed check.Outcome // the last of each
	denials, absences, overload := 0, 0, false
	for _, o := range outcomes {
		switch {
		case o.Verdict == check.Allowed:
			return o
		case o.Verdict == check.Denied:
			denied = o
			denials++
		case o.Malformed || !failed.Malformed && (o.Overload || !overload):
			failed, overload = o, o.Overload
		}
		if o.Absent {
			absences++
		}
	}
	if denials == len(outcomes) {
		return denied
	}
	failed.Absent = absences == len(outcomes) && !overload
	return failed
}

// putSafely is put on a goroutine of its own, where a panic would end the process
// and with it every other check: it is a question without an answer.
func (b *Backend) putSafely(ctx context.Context, r *check.Request, s Session) (a answer) {
	defer func() {
		if value := recover(); value != nil {
			a = answer{outcome: check.Outcome{Backend: b.config.Name, Session: s.ID, Err: panics.Error(value)}}
		}
	}()
	return b.put(ctx, r, s)
}

// put puts one question to the backend, within its timeout.
func (b *Backend) put(ctx context.Context, r *check.Request, s Session) answer {
	start := time.Now()
	var a answer
	if err := b.sendable(r, s); err != nil {
		a.outcome.Err, a.outcome.Malformed = err, true
	} else {
		limited, cancel := context.WithTimeout(ctx, b.config.Timeout)
		a = b.enter(limited, r, s)
		cancel()
	}
	a.outcome.Backend, a.outcome.Session, a.outcome.Once = b.config.Name, s.ID, b.config.Preset.TokensDie
	if a.outcome.Verdict == check.Unavailable && errors.Is(ctx.Err(), context.Canceled) {
		a.due, a.asked = false, false
	}
	if a.asked {
		b.notify(check.Asked{Backend: b.config.Name, Verdict: a.outcome.Verdict, Took: time.Since(start)})
	}
	return a
}

// settle completes an answer by what the probe finds, where that matters.
func (b *Backend) settle(ctx context.Context, a answer) check.Outcome {
	if !a.due {
		return a.outcome
	}
	f := b.pool.verdict(ctx)
	a.outcome.Absent = f.absent
	if f.own != nil {
		a.outcome.Overload = true
		a.outcome.Err = fmt.Errorf("%w; probing found nothing out: %w", a.outcome.Err, f.own)
	}
	return a.outcome
}

// walk takes a question to the first address that is there, and on to the next
// as long as nothing was sent: one-time tokens are not sent twice on purpose.
// Each address that fails is probed.
func (b *Backend) walk(ctx context.Context, r *check.Request, s Session) answer {
	tried := map[*address]bool{}
	var last error
	for {
		a, err := b.pool.enter(ctx, tried)
		switch {
		case err != nil && ctx.Err() != nil:
			return answer{outcome: check.Outcome{Err: err}, due: true, asked: true}
		case err != nil && len(tried) == 0:
			return answer{outcome: check.Outcome{Err: err, Absent: true}}
		case err != nil:
			return answer{outcome: check.Outcome{Err: last}, due: true, asked: true}
		}
		tried[a] = true
		rep, sent, err := b.try(ctx, a, r, s)
		b.pool.leave(a)
		if err == nil {
			return b.replied(a, rep)
		}
		last = fmt.Errorf("asking %s: %w", a.name, err)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			last = fmt.Errorf("asking %s: no complete reply within the timeout of %s: %w", a.name, b.config.Timeout, err)
		}
		if isOwn(err) {
			return answer{outcome: check.Outcome{Overload: true, Err: last}, asked: true}
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return answer{outcome: check.Outcome{Err: last}}
		}
		b.pool.look(a)
		if sent || ctx.Err() != nil {
			return answer{outcome: check.Outcome{Err: last}, due: !sent || ctx.Err() == nil, asked: true}
		}
	}
}

// replied makes the answer of a complete reply. One that counts as none is a
// failure like any other.
func (b *Backend) replied(a *address, rep reply) answer {
	o := rep.outcome(b.config.UnavailableStatuses, b.config.Preset.Refusal)
	if o.Verdict != check.Unavailable {
		return answer{outcome: o, asked: true}
	}
	o.Err = fmt.Errorf("asking %s: %w", a.name, o.Err)
	b.pool.look(a)
	return answer{outcome: o, due: true, asked: true}
}

// try asks one address. If there is no complete reply, sent tells whether any of
// the question may have left. A question that is slow has the address probed.
func (b *Backend) try(ctx context.Context, a *address, r *check.Request, s Session) (rep reply, sent bool, err error) {
	slow := time.AfterFunc(b.config.Timeout/2, func() { b.pool.look(a) })
	defer slow.Stop()
	var first, second wire
	ask := func(w *wire) (rep reply, lost bool, err error) {
		return b.exchange(ctx, a.question(w.watched(ctx, b.sending.Load().transport), r, s), w)
	}
	rep, lost, err := ask(&first)
	if lost {
		rep, _, err = ask(&second)
	}
	if err == nil {
		return rep, true, nil
	}
	// Before there is a connection, TLS included, nothing can have been sent.
	sent = first.connected.Load() || second.connected.Load()
	if sent {
		return reply{}, true, withoutBytes(err)
	}
	return reply{}, false, blamed(err)
}

// exchange sends a question and reads the reply. lost is set if a kept connection
// ended under it without a byte of reply, so that it is to be tried once more.
// net/http does that by itself where the backend closed the connection, but not
// where another question was called off in the moment in which it gave the
// connection back: that question's cancellation ends this one.
func (b *Backend) exchange(ctx context.Context, q *http.Request, w *wire) (rep reply, lost bool, err error) {
	resp, err := b.send(q)
	if err == nil {
		rep, err = readReply(resp, b.config.Preset.Refusal != nil)
	}
	lost = errors.Is(err, context.Canceled) && ctx.Err() == nil && w.kept.Load() && !w.replied.Load()
	return rep, lost, err
}

// wire is what is seen of a question on its way.
type wire struct {
	// begun is set once a connection was asked for, connected once there was one, and
	// kept if an earlier question left it; replied is set with the first byte.
	begun, connected, kept, replied atomic.Bool
}

// watched is ctx for a question that w is to see, and that the transport sends.
func (w *wire) watched(ctx context.Context, transport *http.Transport) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) {
			// net/http would go on with the other kept ones, to the last: a question that
			// has a worker crash, or a token that is good once, would be sent on each.
			if w.begun.Swap(true) {
				transport.CloseIdleConnections()
			}
		},
		GotConn: func(c httptrace.GotConnInfo) {
			w.connected.Store(true)
			w.kept.Store(c.Reused)
		},
		GotFirstResponseByte: func() { w.replied.Store(true) },
	})
}

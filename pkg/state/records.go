package state

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/pkg/stream"
	altagatev1 "github.com/altagate/altagate/proto/altagate/v1"
)

func sessionMessage(r *session.Record) (*altagatev1.Session, error) {
	name, err := streamMessage(r.Stream)
	if err != nil {
		return nil, err
	}
	m := &altagatev1.Session{
		Route:        []byte(r.Route),
		Scheme:       []byte(r.Scheme),
		Host:         []byte(r.Host),
		Stream:       name,
		Address:      r.Addr.AsSlice(),
		UserAgent:    []byte(r.UserAgent),
		ByAddress:    r.ByAddress,
		Proxy:        []byte(r.Proxy),
		Method:       []byte(r.Method),
		Path:         []byte(r.Path),
		Query:        []byte(r.Query),
		Backend:      []byte(r.Backend),
		User:         []byte(r.User),
		SessionName:  []byte(r.SessionName),
		AuthDuration: int64(r.AuthDuration),
		Once:         r.Once,
		Started:      timeMessage(r.Started),
		Last:         timeMessage(r.Last),
		Answered:     timeMessage(r.Answered),
		Requests:     r.Requests,
		Provisional:  r.Provisional,
		Returned:     timeMessage(r.Returned),
		Idle:         int64(r.Idle),
		Max:          int64(r.Max),
		Grace:        int64(r.Grace),
		MaxSessions:  int64(r.MaxSessions),
		Unique:       r.Unique,
		Held:         timeMessage(r.Held),
	}
	for _, a := range r.Addrs {
		m.Joined = append(m.Joined, networkBytes(a))
	}
	return m, nil
}

func sessionRecord(key []byte, m *altagatev1.Session) (session.Record, error) {
	var r session.Record
	id, err := idOf(key)
	if err != nil {
		return r, err
	}
	name, err := streamName(m.GetStream())
	if err != nil {
		return r, err
	}
	r = session.Record{
		ID:           id,
		Route:        string(m.GetRoute()),
		Scheme:       string(m.GetScheme()),
		Host:         string(m.GetHost()),
		Stream:       name,
		UserAgent:    string(m.GetUserAgent()),
		ByAddress:    m.GetByAddress(),
		Proxy:        string(m.GetProxy()),
		Method:       string(m.GetMethod()),
		Path:         string(m.GetPath()),
		Query:        string(m.GetQuery()),
		Backend:      string(m.GetBackend()),
		User:         string(m.GetUser()),
		SessionName:  string(m.GetSessionName()),
		AuthDuration: time.Duration(m.GetAuthDuration()),
		Once:         m.GetOnce(),
		Started:      timeOf(m.GetStarted()),
		Last:         timeOf(m.GetLast()),
		Answered:     timeOf(m.GetAnswered()),
		Requests:     m.GetRequests(),
		Provisional:  m.GetProvisional(),
		Returned:     timeOf(m.GetReturned()),
		Idle:         time.Duration(m.GetIdle()),
		Max:          time.Duration(m.GetMax()),
		Grace:        time.Duration(m.GetGrace()),
		MaxSessions:  int(m.GetMaxSessions()),
		Unique:       m.GetUnique(),
		Held:         timeOf(m.GetHeld()),
	}
	if r.Addr, err = addressOf(m.GetAddress()); err != nil {
		return r, err
	}
	for _, b := range m.GetJoined() {
		network, err := networkOf(b)
		if err != nil {
			return r, err
		}
		r.Addrs = append(r.Addrs, network)
	}
	return r, nil
}

func revocationMessage(r *session.Revocation) (*altagatev1.Revocation, error) {
	name, err := streamMessage(r.Stream)
	if err != nil {
		return nil, err
	}
	m := &altagatev1.Revocation{
		User:      []byte(r.User),
		Viewer:    networkBytes(r.Viewer),
		UserAgent: []byte(r.UserAgent),
		Route:     []byte(r.Route),
		Scheme:    []byte(r.Scheme),
		Host:      []byte(r.Host),
		Stream:    name,
		Until:     timeMessage(r.Until),
		Reason:    []byte(r.Reason),
	}
	if r.Session != (session.ID{}) {
		m.Session = r.Session[:]
	}
	return m, nil
}

func revocationOf(m *altagatev1.Revocation) (session.Revocation, error) {
	r := session.Revocation{
		User:      string(m.GetUser()),
		UserAgent: string(m.GetUserAgent()),
		Route:     string(m.GetRoute()),
		Scheme:    string(m.GetScheme()),
		Host:      string(m.GetHost()),
		Until:     timeOf(m.GetUntil()),
		Reason:    string(m.GetReason()),
	}
	var err error
	if len(m.GetSession()) > 0 {
		if r.Session, err = idOf(m.GetSession()); err != nil {
			return r, err
		}
	}
	if r.Viewer, err = networkOf(m.GetViewer()); err != nil {
		return r, err
	}
	r.Stream, err = streamName(m.GetStream())
	return r, err
}

// revocationKey is the same for revocations of the same thing.
func revocationKey(m *altagatev1.Revocation) []byte {
	sum := sha256.New()
	var size [8]byte
	kind := strconv.AppendInt(nil, int64(m.GetStream().GetKind()), 10)
	for _, part := range [][]byte{
		m.GetSession(), m.GetUser(), m.GetViewer(), m.GetUserAgent(), m.GetRoute(), m.GetScheme(), m.GetHost(),
		kind, m.GetStream().GetText(),
	} {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		sum.Write(size[:])
		sum.Write(part)
	}
	return sum.Sum(nil)
}

func idOf(b []byte) (session.ID, error) {
	var id session.ID
	if len(b) != len(id) {
		return id, damaged("an id has %d bytes", len(b))
	}
	return session.ID(b), nil
}

func addressOf(b []byte) (netip.Addr, error) {
	if len(b) == 0 {
		return netip.Addr{}, nil
	}
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		return a, damaged("an address has %d bytes", len(b))
	}
	return a, nil
}

// networkBytes is an address and the length of its prefix.
func networkBytes(p netip.Prefix) []byte {
	if !p.IsValid() {
		return nil
	}
	return append(p.Addr().AsSlice(), byte(p.Bits())) //nolint:gosec // A valid prefix has at most 128 bits.
}

func networkOf(b []byte) (netip.Prefix, error) {
	if len(b) == 0 {
		return netip.Prefix{}, nil
	}
	last := len(b) - 1
	a, err := addressOf(b[:last])
	if err != nil {
		return netip.Prefix{}, err
	}
	p := netip.PrefixFrom(a, int(b[last]))
	if !p.IsValid() {
		return p, damaged("a network's prefix has %d bits", b[last])
	}
	return p, nil
}

// streamMessage gives kinds their own numbers: those of pkg/stream may change.
func streamMessage(n stream.Name) (*altagatev1.Stream, error) {
	if n == (stream.Name{}) {
		return nil, nil
	}
	m := &altagatev1.Stream{Text: []byte(n.Text)}
	switch n.Kind {
	case stream.Path:
		m.Kind = altagatev1.Stream_KIND_PATH
	case stream.Directory:
		m.Kind = altagatev1.Stream_KIND_DIRECTORY
	case stream.Stem:
		m.Kind = altagatev1.Stream_KIND_STEM
	case stream.Pattern:
		m.Kind = altagatev1.Stream_KIND_PATTERN
	default:
		return nil, fmt.Errorf("a stream of kind %d cannot be kept", n.Kind)
	}
	return m, nil
}

func streamName(m *altagatev1.Stream) (stream.Name, error) {
	if m == nil {
		return stream.Name{}, nil
	}
	n := stream.Name{Text: string(m.GetText())}
	switch m.GetKind() {
	case altagatev1.Stream_KIND_PATH:
		n.Kind = stream.Path
	case altagatev1.Stream_KIND_DIRECTORY:
		n.Kind = stream.Directory
	case altagatev1.Stream_KIND_STEM:
		n.Kind = stream.Stem
	case altagatev1.Stream_KIND_PATTERN:
		n.Kind = stream.Pattern
	default:
		return n, damaged("a stream is of the unknown kind %d", m.GetKind())
	}
	return n, nil
}

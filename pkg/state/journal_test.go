package state

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/pkg/stream"
	altagatev1 "github.com/altagate/altagate/proto/altagate/v1"
)

// content is what Load gives.
type content struct {
	Records     []session.Record
	Revocations []session.Revocation
}

func load(t *testing.T, f *File) content {
	t.Helper()
	records, revocations, _, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	return content{records, revocations}
}

// diff compares without regard to the order.
func diff(want, got content) string {
	return cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmpopts.EquateEmpty(),
		cmpopts.SortSlices(func(a, b session.Record) bool { return string(a.ID[:]) < string(b.ID[:]) }),
		cmpopts.SortSlices(func(a, b session.Revocation) bool { return a.Reason < b.Reason }))
}

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func reopen(t *testing.T, f *File) *File {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, f.path)
}

func save(t *testing.T, f *File, changed []session.Record, ended ...session.ID) {
	t.Helper()
	if err := f.Save(changed, ended); err != nil {
		t.Fatal(err)
	}
}

func idNumber(n int) session.ID {
	return session.ID{byte(n * 151), byte(n), byte(n >> 8), byte(n >> 16), 15: 1}
}

// viewing is a session as they usually are.
func viewing(n int) session.Record {
	began := time.Date(2026, 3, 29, 1, 59, 59, 987654321, time.UTC).Add(time.Duration(n) * time.Second)
	return session.Record{
		ID: idNumber(n), Route: "live", Scheme: "https", Host: "edge.example.net:8443",
		Stream: stream.Name{Kind: stream.Directory, Text: "/live/sport1/"},
		Addr:   netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}), UserAgent: "Mozilla/5.0 (Linux; Android 12) ExoPlayerLib/2.19.1",
		Proxy: "nginx", Method: "GET", Path: "/live/sport1/index.m3u8", Query: "token=0123456789abcdef0123456789abcdef",
		Backend: "portal", User: "subscriber-4711", AuthDuration: 3 * time.Minute,
		Started: began, Last: began.Add(time.Hour), Answered: began.Add(time.Minute), Requests: uint64(n),
		Idle: 10 * time.Minute, Max: 24 * time.Hour, Grace: 10 * time.Minute,
	}
}

func viewings(from, to int) (all []session.Record) {
	for n := from; n < to; n++ {
		all = append(all, viewing(n))
	}
	return all
}

// odd are records and revocations with every field, and with what is unusual.
func odd() content {
	at := time.Date(2300, 1, 2, 3, 4, 5, 6, time.UTC)
	name := stream.Name{Kind: stream.Pattern, Text: "a/\xff\x00b"}
	full := session.Record{
		ID: session.ID{1}, Route: "r", Scheme: "http", Host: "h\xfe", Stream: name,
		Addr: netip.MustParseAddr("2001:db8::1"), UserAgent: "\xff\xfe", ByAddress: true,
		Proxy: "envoy-grpc", Method: "HEAD", Path: "/%FF", Query: "a=\xff&b=%00",
		Backend: "b", User: "u\xff", SessionName: "n\xff", AuthDuration: 5 * time.Second, Once: true,
		Started: at, Last: at.Add(1), Answered: at.Add(2), Requests: 1<<64 - 1, Provisional: true, Returned: at.Add(3),
		Idle: time.Nanosecond, Max: 1<<63 - 1, Grace: time.Hour, MaxSessions: 1<<63 - 1, Unique: true, Held: at.Add(4),
		Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8:1::/64")},
	}
	c := content{Records: []session.Record{full, {}}}
	for i, kind := range []stream.Kind{stream.Path, stream.Directory, stream.Stem} {
		c.Records = append(c.Records, session.Record{ID: session.ID{2, byte(i)}, Stream: stream.Name{Kind: kind, Text: "/x"}, Started: time.Unix(0, 0)})
	}
	c.Revocations = []session.Revocation{
		{
			Session: session.ID{9}, Viewer: netip.MustParsePrefix("2001:db8::/64"), UserAgent: "\xff", Route: "r", Scheme: "https",
			Host: "h", Stream: name, Until: at, Reason: "complaint \xff",
		},
		{User: "u\xff", Until: at, Reason: "unpaid"},
	}
	return c
}

func TestWhatWasSavedIsThereAfterARestart(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state"))
	want := odd()
	save(t, f, want.Records)
	if err := f.Revoke(want.Revocations, nil); err != nil {
		t.Fatal(err)
	}
	if d := diff(want, load(t, reopen(t, f))); d != "" {
		t.Error(d)
	}
}

func TestANewFileHoldsNothingAndWasNeverWritten(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state"))
	records, revocations, written, err := reopen(t, f).Load()
	if len(records) != 0 || len(revocations) != 0 || !written.IsZero() || err != nil {
		t.Error(records, revocations, written, err)
	}
}

func TestASaveReplacesWhatChangedAndDropsWhatEnded(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state"))
	save(t, f, viewings(0, 150))
	changed := viewing(7)
	changed.Requests, changed.Query = 99, strings.Repeat("q", 9000)
	save(t, f, []session.Record{changed}, idNumber(8), idNumber(5000))
	want := viewings(0, 150)
	want[7] = changed
	want = slices.Delete(want, 8, 9)
	if d := diff(content{Records: want}, load(t, reopen(t, f))); d != "" {
		t.Error(d)
	}
}

func TestAnEndDropsItsSessions(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state"))
	save(t, f, viewings(0, 3))
	end := session.Revocation{User: "u", Until: time.Now().Add(time.Hour).Round(0)}
	if err := f.Revoke([]session.Revocation{end}, []session.ID{idNumber(0), idNumber(2)}); err != nil {
		t.Fatal(err)
	}
	if d := diff(content{viewings(1, 2), []session.Revocation{end}}, load(t, reopen(t, f))); d != "" {
		t.Error(d)
	}
}

func TestOfTwoEndsOfTheSameTheLongerHolds(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state"))
	now := time.Now().Round(0)
	for _, r := range []session.Revocation{
		{User: "a", Until: now.Add(2 * time.Hour), Reason: "1"},
		{User: "a", Until: now.Add(time.Hour), Reason: "2"},
		{User: "b", Until: now.Add(time.Hour), Reason: "3"},
		{User: "b", Until: now.Add(2 * time.Hour), Reason: "4"},
		{Route: "a", Until: now.Add(time.Hour), Reason: "5"},
	} {
		if err := f.Revoke([]session.Revocation{r}, nil); err != nil {
			t.Fatal(err)
		}
	}
	var reasons []string
	for _, r := range load(t, reopen(t, f)).Revocations {
		reasons = append(reasons, r.Reason)
	}
	slices.Sort(reasons)
	if d := cmp.Diff([]string{"1", "4", "5"}, reasons); d != "" {
		t.Error(d)
	}
}

func TestEndsThatAreOverAreDropped(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := open(t, filepath.Join(dir, "state"))
		now := time.Now()
		first := []session.Revocation{{User: "a", Until: now.Add(time.Hour)}, {User: "b", Until: now.Add(time.Hour + 1)}}
		if err := f.Revoke(first, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		next := session.Revocation{User: "c", Until: now.Add(2 * time.Hour)}
		if err := f.Revoke([]session.Revocation{next}, nil); err != nil {
			t.Fatal(err)
		}
		var users []string
		for _, r := range load(t, f).Revocations {
			users = append(users, r.User)
		}
		slices.Sort(users)
		if d := cmp.Diff([]string{"b", "c"}, users); d != "" {
			t.Error(d)
		}
	})
}

func TestLoadGivesTheTimeOfTheLastWrite(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := open(t, filepath.Join(dir, "state"))
		for _, write := range map[string]func() error{
			"sessions": func() error { return f.Save(viewings(0, 2), nil) },
			"nothing":  func() error { return f.Save(nil, nil) },
			"an end":   func() error { return f.Revoke(nil, []session.ID{idNumber(0)}) },
		} {
			time.Sleep(time.Hour + time.Nanosecond)
			want := time.Now()
			if err := write(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			f = reopen(t, f)
			if _, _, written, err := f.Load(); !written.Equal(want) || err != nil {
				t.Error(written, want, err)
			}
		}
	})
}

func TestOnlyItsOwnerMayReadTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	mode := func() os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode()
	}
	f := open(t, path)
	if mode() != 0o600 {
		t.Error("new file:", mode())
	}
	if err := os.Chmod(path, 0o664); err != nil {
		t.Fatal(err)
	}
	f = reopen(t, f)
	if mode() != 0o600 {
		t.Error("file that others could read:", mode())
	}
	if err := errors.Join(f.Close(), os.Truncate(path, 0), os.Chmod(path, 0o644)); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if mode() != 0o600 {
		t.Error("empty file that others could read:", mode())
	}
}

func TestAnEndIsKeptWhileSessionsAreSaved(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state"))
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 10 {
				n := worker*10 + i
				end := session.Revocation{Session: idNumber(n), Until: time.Now().Add(time.Hour)}
				if err := errors.Join(f.Save([]session.Record{viewing(n)}, nil), f.Revoke([]session.Revocation{end}, nil)); err != nil {
					t.Error(err)
				}
				if _, _, _, err := f.Load(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if c := load(t, reopen(t, f)); len(c.Records) != 40 || len(c.Revocations) != 40 {
		t.Error(len(c.Records), len(c.Revocations))
	}
}

func TestAClosedFileSavesNothing(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(viewings(0, 1), nil); err == nil {
		t.Error("saved")
	}
	if _, _, _, err := f.Load(); err == nil {
		t.Error("loaded")
	}
	if err := f.Close(); err != nil {
		t.Error("closing again:", err)
	}
}

func TestAStreamOfAnUnknownKindIsNotSaved(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state"))
	save(t, f, viewings(0, 1))
	r := viewing(1)
	r.Stream.Kind = 200
	if err := f.Save([]session.Record{r}, nil); err == nil {
		t.Error("saved")
	}
	if d := diff(content{Records: viewings(0, 1)}, load(t, f)); d != "" {
		t.Error(d)
	}
}

// put writes one value as another altagate would have.
func put(t *testing.T, f *File, value func(tx *bbolt.Tx, h *altagatev1.Header) error) {
	t.Helper()
	err := f.write(func(tx *bbolt.Tx, h *altagatev1.Header, _ time.Time) error { return value(tx, h) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestFieldsOfALaterAltagateAreIgnored(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "state"))
	save(t, f, viewings(0, 3))
	put(t, f, func(tx *bbolt.Tx, h *altagatev1.Header) error {
		r := viewing(1)
		m, err := sessionMessage(&r)
		if err != nil {
			return err
		}
		m.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "news"))
		h.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 7))
		return newTable(tx, sessionBucket, &h.Sessions).put(r.ID[:], m)
	})
	f = reopen(t, f)
	if d := diff(content{Records: viewings(0, 3)}, load(t, f)); d != "" {
		t.Error(d)
	}
	save(t, f, viewings(1, 4))
	if d := diff(content{Records: viewings(0, 4)}, load(t, f)); d != "" {
		t.Error(d)
	}
}

func TestARecordThatCannotBeUnderstoodIsRefused(t *testing.T) {
	for name, m := range map[string]*altagatev1.Session{
		"kind of stream": {Stream: &altagatev1.Stream{Kind: 9, Text: []byte("/x")}},
		"address":        {Address: []byte{1, 2, 3}},
		"network":        {Joined: [][]byte{{1, 2, 3, 4, 33}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, filepath.Join(t.TempDir(), "state"))
			put(t, f, func(tx *bbolt.Tx, h *altagatev1.Header) error {
				return newTable(tx, sessionBucket, &h.Sessions).put(make([]byte, 16), m)
			})
			if _, _, _, err := f.Load(); !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
		})
	}
}

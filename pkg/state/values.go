package state

import (
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"time"

	"go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	altagatev1 "github.com/altagate/altagate/proto/altagate/v1"
)

// The file has three buckets. The header's place and form must never change: by
// them an altagate knows a file of a later version.
const (
	headerBucket     = "altagate"
	headerKey        = "header"
	sessionBucket    = "sessions"
	revocationBucket = "revocations"
)

// checksumSize is what comes before each message.
const checksumSize = 8

// checksums makes the checksum of a value, which is bound to its key.
type checksums struct{ table *crc64.Table }

func newChecksums() checksums { return checksums{crc64.MakeTable(crc64.ECMA)} }

func (c checksums) of(key, message []byte) uint64 {
	return crc64.Update(crc64.Checksum(key, c.table), c.table, message)
}

// seal is a message as it is kept under a key.
func (c checksums) seal(key []byte, m proto.Message) ([]byte, error) {
	value, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, checksumSize, 512), m)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	binary.BigEndian.PutUint64(value, c.of(key, value[checksumSize:]))
	return value, nil
}

// unseal reads what seal made, and gives its checksum.
func (c checksums) unseal(key, value []byte, m proto.Message) (uint64, error) {
	if len(value) < checksumSize {
		return 0, damaged("a value is cut short")
	}
	sum := sealed(value)
	if sum != c.of(key, value[checksumSize:]) {
		return 0, damaged("a value does not have its checksum")
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(value[checksumSize:], m); err != nil {
		return 0, damaged("a value cannot be read: %v", err)
	}
	return sum, nil
}

// sealed is the checksum that a value has.
func sealed(value []byte) uint64 {
	if len(value) < checksumSize {
		return 0
	}
	return binary.BigEndian.Uint64(value)
}

func readHeader(tx *bbolt.Tx) (*altagatev1.Header, error) {
	bucket := tx.Bucket([]byte(headerBucket))
	if bucket == nil {
		return nil, ErrForeign
	}
	var h altagatev1.Header
	if _, err := newChecksums().unseal([]byte(headerKey), bucket.Get([]byte(headerKey)), &h); err != nil {
		return nil, err
	}
	switch {
	case h.GetVersion() > Version:
		return nil, fmt.Errorf("%w (it has version %d, this altagate reads %d)", ErrLater, h.GetVersion(), Version)
	case h.GetVersion() == 0 || tx.Bucket([]byte(sessionBucket)) == nil || tx.Bucket([]byte(revocationBucket)) == nil:
		return nil, damaged("a part of it is missing")
	}
	return &h, nil
}

// writeFirst makes an empty file ours. It was never written to, as Load has it.
func writeFirst(tx *bbolt.Tx) error {
	for _, name := range []string{headerBucket, sessionBucket, revocationBucket} {
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	return writeHeader(tx, &altagatev1.Header{Version: Version})
}

func writeHeader(tx *bbolt.Tx, h *altagatev1.Header) error {
	value, err := newChecksums().seal([]byte(headerKey), h)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(headerBucket)).Put([]byte(headerKey), value)
}

// table is a bucket in a transaction that writes, and keeps its total.
type table struct {
	checksums
	bucket *bbolt.Bucket
	total  *altagatev1.Total
}

func newTable(tx *bbolt.Tx, name string, total **altagatev1.Total) table {
	if *total == nil {
		*total = &altagatev1.Total{}
	}
	return table{newChecksums(), tx.Bucket([]byte(name)), *total}
}

func (t table) put(key []byte, m proto.Message) error {
	value, err := t.seal(key, m)
	if err != nil {
		return err
	}
	t.uncount(key)
	t.total.Count++
	t.total.Sum += sealed(value)
	return t.bucket.Put(key, value)
}

func (t table) drop(key []byte) error {
	t.uncount(key)
	return t.bucket.Delete(key)
}

func (t table) uncount(key []byte) {
	if old := t.bucket.Get(key); old != nil {
		t.total.Count--
		t.total.Sum -= sealed(old)
	}
}

// each calls f with each key and message of a bucket that is read, and holds
// that they are those which were written.
func each(tx *bbolt.Tx, name string, total *altagatev1.Total, m proto.Message, f func(key []byte) error) error {
	c := newChecksums()
	var count, all uint64
	err := tx.Bucket([]byte(name)).ForEach(func(key, value []byte) error {
		sum, err := c.unseal(key, value, m)
		if err != nil {
			return err
		}
		count++
		all += sum
		return f(key)
	})
	if err == nil && (count != total.GetCount() || all != total.GetSum()) {
		err = damaged("of its %s, %d were written and %d are there, or not the same", name, total.GetCount(), count)
	}
	return err
}

func timeOf(t *altagatev1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return time.Unix(t.GetSeconds(), int64(t.GetNanoseconds()))
}

func timeMessage(t time.Time) *altagatev1.Time {
	if t.IsZero() {
		return nil
	}
	rest := uint32(t.Nanosecond()) //nolint:gosec // It is below 10^9.
	return &altagatev1.Time{Seconds: t.Unix(), Nanoseconds: rest}
}

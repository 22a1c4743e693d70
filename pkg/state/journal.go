package state

import (
	"bytes"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/altagate/altagate/pkg/session"
	altagatev1 "github.com/altagate/altagate/proto/altagate/v1"
)

var _ session.Journal = (*File)(nil)

// Load gives all that is kept, and when the file was last written to; the zero
// time if never. Revocations that are over may be among them. Either everything
// is as it was written, or there is an error.
func (f *File) Load() (records []session.Record, revocations []session.Revocation, written time.Time, err error) {
	err = f.use(func(db *bbolt.DB) error {
		return db.View(func(tx *bbolt.Tx) error {
			h, err := readHeader(tx)
			if err != nil {
				return err
			}
			written = timeOf(h.GetWritten())
			if records, err = loadSessions(tx, h); err != nil {
				return err
			}
			revocations, err = loadRevocations(tx, h)
			return err
		})
	})
	if err != nil {
		return nil, nil, time.Time{}, f.failed("reading", err)
	}
	return records, revocations, written, nil
}

func loadSessions(tx *bbolt.Tx, h *altagatev1.Header) (records []session.Record, err error) {
	var m altagatev1.Session
	err = each(tx, sessionBucket, h.GetSessions(), &m, func(key []byte) error {
		r, err := sessionRecord(key, &m)
		records = append(records, r)
		return err
	})
	return records, err
}

func loadRevocations(tx *bbolt.Tx, h *altagatev1.Header) (revocations []session.Revocation, err error) {
	var m altagatev1.Revocation
	err = each(tx, revocationBucket, h.GetRevocations(), &m, func([]byte) error {
		r, err := revocationOf(&m)
		revocations = append(revocations, r)
		return err
	})
	return revocations, err
}

// Save replaces the records of sessions that changed, and drops those that
// ended, all or nothing. It is on disk when Save returns without an error. With
// nothing to save it keeps the time alone. After an error the file holds what it
// held before, and Save may be called again.
func (f *File) Save(changed []session.Record, ended []session.ID) error {
	err := f.write(func(tx *bbolt.Tx, h *altagatev1.Header, _ time.Time) error {
		return saveSessions(tx, h, changed, ended)
	})
	if err != nil {
		return f.failed("saving sessions in", err)
	}
	return nil
}

// Revoke keeps revocations, and drops the sessions that they ended, as Save
// does. Of two revocations of the same thing the one that holds longer is kept.
// Those that are over are dropped.
func (f *File) Revoke(revocations []session.Revocation, ended []session.ID) error {
	err := f.write(func(tx *bbolt.Tx, h *altagatev1.Header, now time.Time) error {
		if err := saveSessions(tx, h, nil, ended); err != nil {
			return err
		}
		return saveRevocations(tx, h, revocations, now)
	})
	if err != nil {
		return f.failed("saving an end in", err)
	}
	return nil
}

// write makes one transaction of do and the new header.
func (f *File) write(do func(tx *bbolt.Tx, h *altagatev1.Header, now time.Time) error) error {
	return f.use(func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error {
			h, err := readHeader(tx)
			if err != nil {
				return err
			}
			now := time.Now()
			h.Written = timeMessage(now)
			if err := do(tx, h, now); err != nil {
				return err
			}
			return writeHeader(tx, h)
		})
	})
}

func saveSessions(tx *bbolt.Tx, h *altagatev1.Header, changed []session.Record, ended []session.ID) error {
	t := newTable(tx, sessionBucket, &h.Sessions)
	// In the order of the file each page is visited once.
	order := make([]*session.Record, len(changed))
	for i := range changed {
		order[i] = &changed[i]
	}
	slices.SortStableFunc(order, func(a, b *session.Record) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for _, r := range order {
		m, err := sessionMessage(r)
		if err != nil {
			return err
		}
		if err := t.put(r.ID[:], m); err != nil {
			return err
		}
	}
	for _, id := range ended {
		if err := t.drop(id[:]); err != nil {
			return err
		}
	}
	return nil
}

func saveRevocations(tx *bbolt.Tx, h *altagatev1.Header, revocations []session.Revocation, now time.Time) error {
	t := newTable(tx, revocationBucket, &h.Revocations)
	if err := dropOver(t, now); err != nil {
		return err
	}
	for i := range revocations {
		m, err := revocationMessage(&revocations[i])
		if err != nil {
			return err
		}
		key := revocationKey(m)
		longer, err := holdsLonger(t, key, revocations[i].Until)
		if err != nil {
			return err
		}
		if longer {
			continue
		}
		if err := t.put(key, m); err != nil {
			return err
		}
	}
	return nil
}

// holdsLonger tells whether what is kept under a key is over later than until.
func holdsLonger(t table, key []byte, until time.Time) (bool, error) {
	value := t.bucket.Get(key)
	if value == nil {
		return false, nil
	}
	var m altagatev1.Revocation
	if _, err := t.unseal(key, value, &m); err != nil {
		return false, err
	}
	return timeOf(m.GetUntil()).After(until), nil
}

func dropOver(t table, now time.Time) error {
	var over [][]byte
	var m altagatev1.Revocation
	err := t.bucket.ForEach(func(key, value []byte) error {
		if _, err := t.unseal(key, value, &m); err != nil {
			return err
		}
		if !now.Before(timeOf(m.GetUntil())) {
			over = append(over, bytes.Clone(key))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range over {
		if err := t.drop(key); err != nil {
			return err
		}
	}
	return nil
}

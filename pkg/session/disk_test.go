package session

import (
	"slices"
	"sync"
	"time"
)

// disk is a Journal that lives as long as the test: what it acknowledged is there
// after every crash, and nothing else is.
type disk struct {
	mu          sync.Mutex
	records     map[ID]Record
	revocations []Revocation
	written     time.Time
	broken      error
	saves       int
}

func newDisk() *disk { return &disk{records: map[ID]Record{}} }

func (d *disk) Load() ([]Record, []Revocation, time.Time, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var records []Record
	for _, r := range d.records {
		records = append(records, r)
	}
	return records, slices.Clone(d.revocations), d.written, nil
}

func (d *disk) Save(changed []Record, ended []ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return d.broken
	}
	d.saves++
	d.written = time.Now().Round(0)
	for _, r := range changed {
		d.records[r.ID] = onDisk(r)
	}
	for _, id := range ended {
		delete(d.records, id)
	}
	return nil
}

// onDisk is a record without what a file does not keep.
func onDisk(r Record) Record {
	r.Started, r.Last, r.Answered, r.Returned = r.Started.Round(0), r.Last.Round(0), r.Answered.Round(0), r.Returned.Round(0)
	return r
}

func (d *disk) Revoke(revocations []Revocation, ended []ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken != nil {
		return d.broken
	}
	d.written = time.Now().Round(0)
	for _, r := range revocations {
		r.Until = r.Until.Round(0)
		d.revocations = append(d.revocations, r)
	}
	for _, id := range ended {
		delete(d.records, id)
	}
	return nil
}

// breakWith has writing fail from now on, or work again.
func (d *disk) breakWith(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken = err
}

// shift sets every time on the disk ahead, as if the clock were set back since.
func (d *disk) shift(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.written = d.written.Add(by)
	for id, r := range d.records {
		r.Started, r.Last, r.Answered = r.Started.Add(by), r.Last.Add(by), r.Answered.Add(by)
		d.records[id] = r
	}
	for i := range d.revocations {
		d.revocations[i].Until = d.revocations[i].Until.Add(by)
	}
}

// copied is the disk as a crash at this moment leaves it.
func (d *disk) copied() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newDisk()
	c.written, c.revocations = d.written, slices.Clone(d.revocations)
	for id, r := range d.records {
		c.records[id] = r
	}
	return c
}

package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
)

// What bbolt's pages look like. Numbers are in the machine's own order. A page
// begins with its number (8 bytes), kind (2), count of elements (2) and number of
// further pages that it goes on in (4).
const (
	pageHeader   = 16
	metaSize     = 64
	bucketHeader = 16
	smallestPage = 1024
	largestPage  = smallestPage << 14
	metaMagic    = 0xED0CDAED
	metaVersion  = 2
	noFreelist   = math.MaxUint64

	branchKind   = 1
	leafKind     = 2
	freelistKind = 16
)

// meta is the root of one state of the file. There are two, written in turn.
type meta struct {
	pageSize             int64
	root, freelist, high uint64 // pages; no page at or above high is used
	transaction          uint64
}

// parseMeta reads a page's meta, if the page has a whole one.
func parseMeta(page []byte) (meta, bool) {
	if len(page) < pageHeader+metaSize {
		return meta{}, false
	}
	b := page[pageHeader:]
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	m := meta{
		pageSize: int64(number32(b[8:])), root: number64(b[16:]), freelist: number64(b[32:]),
		high: number64(b[40:]), transaction: number64(b[48:]),
	}
	whole := number32(b) == metaMagic && number32(b[4:]) == metaVersion && number64(b[56:]) == sum.Sum64()
	sized := m.pageSize >= smallestPage && m.pageSize <= largestPage && m.pageSize&(m.pageSize-1) == 0
	return m, whole && sized
}

func number16(b []byte) int    { return int(binary.NativeEndian.Uint16(b)) }
func number32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
func number64(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

// unfinished tells whether a file is empty, or is the beginning of what bbolt
// makes of an empty one: that is four pages, the first with transaction 0.
func unfinished(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err == nil, err
	}
	page, err := readAt(f, 0, pageHeader+metaSize)
	if err != nil {
		return false, err
	}
	m, ok := parseMeta(page)
	return ok && m.transaction == 0 && info.Size() < 4*m.pageSize, nil
}

// readAt reads up to n bytes.
func readAt(f *os.File, at, n int64) ([]byte, error) {
	b := make([]byte, n)
	got, err := f.ReadAt(b, at)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:got], err
}

// examination is a walk over all pages that the newest meta leads to.
type examination struct {
	file *os.File
	meta meta
	used []bool
}

// examine tells whether bbolt may open a file. It does not look at values.
func examine(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	m, err := newestMeta(f, info.Size())
	if err != nil {
		return err
	}
	if m.freelist == noFreelist {
		return ErrForeign
	}
	if m.high < 4 || m.high > uint64(info.Size()/m.pageSize) { //nolint:gosec // A file's size is not negative.
		return damaged("it is cut short")
	}
	x := &examination{file: f, meta: m, used: make([]bool, m.high)}
	x.used[0], x.used[1] = true, true
	if err := x.tree(m.root, nil, nil, 0); err != nil {
		return err
	}
	return x.freelist()
}

func damaged(format string, a ...any) error {
	return fmt.Errorf("%w (%s)", ErrDamaged, fmt.Sprintf(format, a...))
}

// newestMeta chooses the meta as bbolt does.
func newestMeta(f *os.File, size int64) (meta, error) {
	var newest meta
	found, magic := false, false
	for at := int64(0); at < min(size, largestPage+1); at = max(2*at, smallestPage) {
		page, err := readAt(f, at, pageHeader+metaSize)
		if err != nil {
			return meta{}, err
		}
		m, ok := parseMeta(page)
		if len(page) >= pageHeader+8 && number32(page[pageHeader:]) == metaMagic {
			magic = true
		}
		if !ok || (at != 0 && at != m.pageSize) {
			continue
		}
		if found && m.pageSize != newest.pageSize {
			return meta{}, damaged("its first two pages contradict each other")
		}
		if !found || m.transaction > newest.transaction {
			newest = m
		}
		found = true
	}
	switch {
	case found:
		return newest, nil
	case magic:
		return meta{}, damaged("neither of its first two pages is whole")
	default:
		return meta{}, ErrForeign
	}
}

// bytes is how many bytes so many pages have.
func (x *examination) bytes(pages uint64) int64 {
	return int64(pages) * x.meta.pageSize //nolint:gosec // At most high pages are asked for, and they fit in the file.
}

// page reads a page with those that it goes on in. No page may be read twice:
// that alone makes any walk end.
func (x *examination) page(id uint64) ([]byte, error) {
	if id >= x.meta.high {
		return nil, damaged("page %d does not exist", id)
	}
	head, err := readAt(x.file, x.bytes(id), pageHeader)
	if err != nil {
		return nil, err
	}
	if len(head) < pageHeader || number64(head) != id {
		return nil, damaged("page %d is another", id)
	}
	pages := uint64(number32(head[12:])) + 1
	if pages > x.meta.high-id {
		return nil, damaged("page %d is too long", id)
	}
	for i := id; i < id+pages; i++ {
		if err := x.take(i); err != nil {
			return nil, err
		}
	}
	b, err := readAt(x.file, x.bytes(id), x.bytes(pages))
	if err == nil && int64(len(b)) < x.bytes(pages) {
		err = damaged("page %d is cut short", id)
	}
	return b, err
}

func (x *examination) take(id uint64) error {
	if id >= x.meta.high || x.used[id] {
		return damaged("page %d is used twice", id)
	}
	x.used[id] = true
	return nil
}

// maxDepth is far more than any tree that fits on a disk has.
const maxDepth = 64

// tree walks a bucket whose keys are at least low and below high, where those are
// not nil.
func (x *examination) tree(id uint64, low, high []byte, depth int) error {
	if depth > maxDepth {
		return damaged("page %d is too deep", id)
	}
	page, err := x.page(id)
	if err != nil {
		return err
	}
	switch kind := number16(page[8:]); {
	case kind == leafKind:
		return x.leaf(page, low, high, depth)
	case kind == branchKind && number16(page[10:]) > 0:
		return x.branch(page, low, high, depth)
	}
	return damaged("page %d is of a wrong kind", id)
}

func (x *examination) branch(page, low, high []byte, depth int) error {
	count := number16(page[10:])
	keys := make([][]byte, count+1)
	children := make([]uint64, count)
	for i := range count {
		at := pageHeader + 16*i
		if at+16 > len(page) {
			return damaged("page %d has too many elements", number64(page))
		}
		key, ok := part(page, at, number32(page[at:]), number32(page[at+4:]))
		if !ok || len(key) == 0 || !between(key, low, high) {
			return damaged("a key of page %d is out of place", number64(page))
		}
		// No later key may equal this one.
		low = append(bytes.Clone(key), 0)
		keys[i], children[i] = key, number64(page[at+8:])
	}
	keys[count] = high
	for i, child := range children {
		if err := x.tree(child, keys[i], keys[i+1], depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (x *examination) leaf(page, low, high []byte, depth int) error {
	for i := range number16(page[10:]) {
		at := pageHeader + 16*i
		if at+16 > len(page) {
			return damaged("page %d has too many elements", number64(page))
		}
		flags, position := number32(page[at:]), number32(page[at+4:])
		key, ok := part(page, at, position, number32(page[at+8:]))
		if !ok || len(key) == 0 || !between(key, low, high) {
			return damaged("a key of page %d is out of place", number64(page))
		}
		value, ok := part(page, at+len(key), position, number32(page[at+12:]))
		if !ok || flags > 1 {
			return damaged("a value of page %d is out of place", number64(page))
		}
		if flags == 1 {
			if err := x.bucket(value, depth); err != nil {
				return err
			}
		}
		low = append(bytes.Clone(key), 0)
	}
	return nil
}

// bucket walks a bucket in a bucket. A small one is a leaf in the value itself.
func (x *examination) bucket(value []byte, depth int) error {
	if len(value) < bucketHeader {
		return damaged("a bucket is cut short")
	}
	if root := number64(value); root != 0 {
		return x.tree(root, nil, nil, depth+1)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || number16(inline[8:]) != leafKind || depth > maxDepth {
		return damaged("a bucket is of a wrong kind")
	}
	return x.leaf(inline, nil, nil, depth+1)
}

// part is size bytes of a page, position bytes after at.
func part(page []byte, at int, position, size uint32) ([]byte, bool) {
	from := int64(at) + int64(position)
	to := from + int64(size)
	if to > int64(len(page)) {
		return nil, false
	}
	return page[from:to], true
}

func between(key, low, high []byte) bool {
	return bytes.Compare(key, low) >= 0 && (high == nil || bytes.Compare(key, high) < 0)
}

// freelist holds that no page is both free and in use: bbolt would write on it.
func (x *examination) freelist() error {
	page, err := x.page(x.meta.freelist)
	if err != nil {
		return err
	}
	if number16(page[8:]) != freelistKind {
		return damaged("page %d is of a wrong kind", x.meta.freelist)
	}
	ids := page[pageHeader:]
	count := uint64(binary.NativeEndian.Uint16(page[10:]))
	if count == math.MaxUint16 {
		count, ids = number64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return damaged("its list of free pages is too long")
	}
	last := uint64(0)
	for i := range count {
		id := number64(ids[8*i:])
		if id <= last {
			return damaged("its list of free pages is out of order")
		}
		last = id
		if err := x.take(id); err != nil {
			return err
		}
	}
	return nil
}

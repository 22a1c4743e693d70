package config

import (
	"bytes"
	"context"
	"os"
	"time"
)

// Watch gives the content of the file at path each time that it is another than
// before, until ctx ends; then the channel is closed. It reads the file every so
// often, by its name: that sees a file that was written in place, one that was
// renamed over it, and a Kubernetes ConfigMap whose ..data link was swapped,
// where notifications of the file system miss some.
//
// A content counts when two readings in a row give it, so that a file is not
// taken half-written; a change is seen after at most three times every. A file
// that is gone, cannot be read or is no regular file is no change. What it holds
// when Watch returns counts as seen: begin before the file is loaded, and no
// change is lost.
func Watch(ctx context.Context, path string, every time.Duration) <-chan []byte {
	w := watched{path: path}
	w.last, _ = w.read()
	changes := make(chan []byte)
	go func() {
		defer close(changes)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				w.give(ctx, changes)
			}
		}
	}()
	return changes
}

// give looks at the file, and hands on what is new in it.
func (w *watched) give(ctx context.Context, changes chan<- []byte) {
	data, ok := w.look()
	if !ok {
		return
	}
	select {
	case changes <- data:
	case <-ctx.Done():
	}
}

// watched is a file and what was read of it.
type watched struct {
	path string
	// last is the content that counts, next another that was read once. next
	// is nil if there is none.
	last, next []byte
}

// look reads once, and gives the content if it is new and was read twice.
func (w *watched) look() ([]byte, bool) {
	data, ok := w.read()
	switch {
	case !ok, bytes.Equal(data, w.last):
		w.next = nil
	case w.next == nil || !bytes.Equal(data, w.next):
		w.next = data
	default:
		w.last, w.next = data, nil
		return data, true
	}
	return nil, false
}

// read leaves alone what is no regular file: a pipe gives its content once.
func (w *watched) read() ([]byte, bool) {
	info, err := os.Stat(w.path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	data, err := readFile(w.path)
	return data, err == nil
}

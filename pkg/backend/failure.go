package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strings"
	"syscall"
)

// isOwn reports whether a failure is of altagate's own machine: no descriptors,
// ports or memory left. It says nothing about a backend.
func isOwn(err error) bool {
	own := [...]syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM,
	}
	// A DNSError keeps only the text of the failure under it.
	var dns *net.DNSError
	isDNS := errors.As(err, &dns)
	for _, errno := range own {
		if errors.Is(err, errno) || isDNS && strings.Contains(dns.Err, errno.Error()) {
			return true
		}
	}
	return false
}

// blamed is the failure of a request, and that of altagate's own machine with it
// where a lookup hides one: without a descriptor for the hosts file, a name that
// only stands there is "no such host", and the backend would seem to be away.
func blamed(err error) error {
	var dns *net.DNSError
	if !errors.As(err, &dns) || isOwn(err) {
		return err
	}
	if own := spare(); own != nil {
		return fmt.Errorf("%w, and there was no descriptor for the lookup: %w", err, own)
	}
	return err
}

// spare fails if the machine has not a few descriptors left for altagate.
func spare() error {
	for range 8 {
		f, err := os.Open(os.DevNull)
		if err != nil && isOwn(err) {
			return err
		}
		defer f.Close()
	}
	return nil
}

// isSilent reports whether a failure is that nothing came in time, as against
// something that came and was wrong.
func isSilent(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// withoutBytes cuts from the text of a failure what net/http repeats of a reply's
// bytes: a backend that echoes its request would get a token into the log.
func withoutBytes(err error) error {
	var network *net.OpError
	if errors.As(err, &network) {
		return err
	}
	var header textproto.ProtocolError
	if errors.As(err, &header) {
		return errors.New("the reply has a malformed header")
	}
	text, _, quoted := strings.Cut(err.Error(), ` "`)
	if !quoted {
		return err
	}
	return errors.New(text)
}

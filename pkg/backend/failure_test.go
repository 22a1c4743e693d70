package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"syscall"
	"testing"
)

func dialError(err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", err)}
}

func TestFailuresOfTheOwnMachineAreToldFromTheBackends(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if !isOwn(fmt.Errorf("asking: %w", dialError(errno))) {
			t.Errorf("%v is not known as an own failure", errno)
		}
		lookup := &net.DNSError{Err: "dial udp 127.0.0.1:53: socket: " + errno.Error(), Name: "portal", IsTemporary: true}
		if !isOwn(&net.OpError{Op: "dial", Err: lookup}) {
			t.Errorf("%v of a lookup is not known as an own failure", errno)
		}
	}
	for _, err := range []error{
		dialError(syscall.ECONNREFUSED), dialError(syscall.ECONNRESET), dialError(syscall.EHOSTUNREACH),
		&net.DNSError{Err: "no such host", Name: "portal", IsNotFound: true},
		context.DeadlineExceeded, io.EOF, errors.New("reply says: " + syscall.EMFILE.Error()),
	} {
		if isOwn(err) {
			t.Errorf("%v is taken for an own failure", err)
		}
	}
}

func TestNoAnswerInTimeIsToldFromAWrongOne(t *testing.T) {
	for err, want := range map[error]bool{
		fmt.Errorf("asking: %w", context.DeadlineExceeded): true,
		dialError(os.ErrDeadlineExceeded):                  true,
		dialError(syscall.ETIMEDOUT):                       true,
		&net.DNSError{Err: "i/o timeout", IsTimeout: true}: true,
		dialError(syscall.ECONNREFUSED):                    false,
		&net.DNSError{Err: "no such host"}:                 false,
		io.ErrUnexpectedEOF:                                false,
		context.Canceled:                                   false,
	} {
		if got := isSilent(err); got != want {
			t.Errorf("%v: got %t", err, got)
		}
	}
}

func TestErrorsKeepNothingOfWhatAReplyHeld(t *testing.T) {
	for err, want := range map[error]string{
		errors.New(`malformed HTTP status code "/auth?token=1"`):                            `malformed HTTP status code`,
		textproto.ProtocolError("malformed MIME header line: GET /?token=1"):                `the reply has a malformed header`,
		fmt.Errorf("broken: %w", textproto.ProtocolError("malformed MIME header: token=1")): `the reply has a malformed header`,
		dialError(syscall.ECONNREFUSED):                                                     `dial tcp: socket: connection refused`,
	} {
		if got := withoutBytes(err).Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

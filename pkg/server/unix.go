package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// socketMode lets the proxy ask as a member of the socket's group.
	socketMode = 0o660
	// maxSocketPath is what the kernel's address has room for, less the final
	// zero byte.
	maxSocketPath = 107
	// aliveTimeout bounds the question whether anybody listens on a socket
	// that is already there.
	aliveTimeout = time.Second
)

func listenUnix(spec, path string) (net.Listener, error) {
	abstract := strings.HasPrefix(path, "@")
	if len(path) < 2 || !abstract && !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%q is no address to listen on: write unix:/path with the whole path of the socket", spec)
	}
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("%s is too long: a socket's path has at most %d bytes", spec, maxSocketPath)
	}
	if !abstract {
		if err := clearSocket(spec, path); err != nil {
			return nil, err
		}
	}
	l, err := bindUnix(path)
	if err != nil {
		return nil, unixError(spec, path, err)
	}
	if abstract {
		return l, nil
	}
	// The umask may have taken the group's rights away at the bind.
	if err := os.Chmod(path, socketMode); err != nil {
		l.Close() //nolint:errcheck // the error before it is the one to tell
		return nil, fmt.Errorf("setting the mode of %s: %w", path, err)
	}
	return l, nil
}

// bindUnix binds with no moment at which the socket is open to more than
// socketMode: Linux gives the file the mode of the descriptor, less the umask,
// so the descriptor's is set before the bind. The umask itself belongs to the
// whole process and is left alone. Where a descriptor cannot be set so (macOS),
// the directory's own mode has to guard that moment.
func bindUnix(path string) (net.Listener, error) {
	c := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		return conn.Control(func(fd uintptr) {
			syscall.Fchmod(int(fd), socketMode) //nolint:errcheck // see above
		})
	}}
	return c.Listen(context.Background(), "unix", path)
}

// clearSocket removes the socket that a dead process left at path, and refuses
// whatever else is there. Two processes that start on one dead socket at the
// same moment are not kept apart: the later one gets it.
func clearSocket(spec, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unixError(spec, path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s cannot be listened on: %s is there and is not a socket: remove it, or choose another path", spec, path)
	}
	dialer := net.Dialer{Timeout: aliveTimeout}
	conn, err := dialer.DialContext(context.Background(), "unix", path)
	if err == nil {
		conn.Close() //nolint:errcheck // nothing was sent
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("another altagate listens on %s, or something else does: stop it, or choose another path", spec)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unixError(spec, path, err)
	}
	return nil
}

// unixError is err as a sentence.
func unixError(spec, path string, err error) error {
	dir := filepath.Dir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s cannot be listened on: the directory %s is not there: create it, or choose another path", spec, dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s cannot be listened on: this user may not create a socket in %s: "+
			"give it that directory, or choose another path", spec, dir)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s cannot be listened on: %s is not a directory", spec, dir)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("another altagate listens on %s, or something else does: stop it, or choose another path", spec)
	default:
		return fmt.Errorf("listening on %s: %w", spec, err)
	}
}

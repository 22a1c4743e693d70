// Package server opens altagate's listeners, runs what serves on them, and
// stops it without losing a check that was begun.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
)

// Listen opens the listener that spec names: "host:port", "unix:/path", or on
// Linux "unix:@name" for a socket without a file. An empty host means all
// addresses of the machine, port 0 one that is free.
//
// A socket file gets mode 0660, so that its directory's owner and the file's
// group decide who may ask; a name without a file has no mode, and any process
// of the machine (of the network namespace) may connect. A file that a dead
// process left is replaced; one that something listens on, or that is no
// socket, is never touched. It is removed when the listener is closed.
//
// Errors are sentences for the operator.
func Listen(spec string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(spec, "unix:"); ok {
		return listenUnix(spec, path)
	}
	return listenTCP(spec)
}

func listenTCP(spec string) (net.Listener, error) {
	if err := checkTCP(spec); err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", spec)
	var unknown *net.DNSError
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use (is another altagate or its demo running?): stop what listens there, or choose another address", spec)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s may not be listened on by this user: "+
			"choose a port above 1023, or give altagate the capability CAP_NET_BIND_SERVICE", spec)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is no address of this machine: choose one that is, or 127.0.0.1", spec)
	case errors.As(err, &unknown):
		return nil, fmt.Errorf("%s cannot be listened on: its host is not known here: use an IP address", spec)
	default:
		return nil, fmt.Errorf("listening on %s: %w", spec, err)
	}
}

// checkTCP catches what net.Listen would explain worse, or would take: a port
// by the name of its service.
func checkTCP(spec string) error {
	_, port, err := net.SplitHostPort(spec)
	if err != nil {
		return fmt.Errorf("%q is no address to listen on: "+
			"write host:port, for example 127.0.0.1:9180 or [::1]:9180, or unix:/path", spec)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q is no address to listen on: its port %q is not a number from 0 to 65535", spec, port)
	}
	return nil
}

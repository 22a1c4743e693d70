package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// firstInherited is the descriptor that systemd hands over first.
const firstInherited = 3

// Inherited are listeners that outlive the process, by name: whoever started it
// opened them, and hands the same ones to the next process. What connects between
// the two waits in the listener's queue and is not refused.
type Inherited map[string]net.Listener

// Inherit takes over the listening sockets that systemd hands over
// (sd_listen_fds(3)), and removes the variables that tell of them. Each must have
// one of the names (FileDescriptorName= in its .socket unit), and no two the same.
// Without such sockets it gives none.
//
// Closing one of them closes this process's copy alone: the socket itself, and a
// Unix socket's file, stay with whoever opened it.
//
// Errors are sentences for the operator.
func Inherit(names ...string) (Inherited, error) {
	pid, fds, called := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("removing %s from the environment: %w", name, err)
		}
	}
	// What is meant for another process is what a parent left in the environment.
	if fds == "" || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	n, err := strconv.ParseUint(fds, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("LISTEN_FDS is %q: it must be the number of sockets that are handed over", fds)
	}
	return inherit(firstInherited, int(n), strings.Split(called, ":"), names)
}

// inherit takes over n descriptors from the first on, which are called as given.
func inherit(first, n int, called, names []string) (Inherited, error) {
	for fd := first; fd < first+n; fd++ {
		syscall.CloseOnExec(fd)
	}
	all := Inherited{}
	var mistakes []error
	for i := range n {
		name := ""
		if i < len(called) {
			name = called[i]
		}
		l, err := takeOver(first+i, name)
		switch {
		case err != nil:
			mistakes = append(mistakes, err)
			continue
		case !slices.Contains(names, name):
			err = fmt.Errorf("a socket named %q was handed over: name it one of %s, by FileDescriptorName= in its .socket unit",
				name, strings.Join(names, ", "))
		case all[name] != nil:
			err = fmt.Errorf("two sockets named %s were handed over: give its .socket unit one ListenStream= only", name)
		}
		if err != nil {
			l.Close() //nolint:errcheck // the error before it is the one to tell
			mistakes = append(mistakes, err)
			continue
		}
		all[name] = l
	}
	if len(mistakes) > 0 {
		all.Close()
		return nil, errors.Join(mistakes...)
	}
	return all, nil
}

// takeOver makes a listener of a descriptor, which it closes.
func takeOver(fd int, name string) (net.Listener, error) {
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d, named %q, was handed over and is no socket: %w", fd, name, err)
	}
	if listens == 0 {
		return nil, fmt.Errorf("the socket named %q was handed over and does not listen: "+
			"its .socket unit needs ListenStream=, and no Accept=yes", name)
	}
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("the socket named %q was handed over and is neither a TCP nor a Unix socket: %w", name, err)
	}
	return l, nil
}

// Address is where a listener was handed over, as Listen would be told; "" if none
// of that name was.
func (i Inherited) Address(name string) string {
	if l := i[name]; l != nil {
		return Address(l.Addr())
	}
	return ""
}

// Close closes them all.
func (i Inherited) Close() {
	for _, l := range i {
		l.Close() //nolint:errcheck // this process's copy alone, which nothing was served on
	}
}

// Address is a listener's address as Listen would be told.
func Address(a net.Addr) string {
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}

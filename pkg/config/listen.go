package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxSocketPath is what a Unix socket's address holds on Linux, less the
// final NUL.
const maxSocketPath = 107

// readListen reads the listeners. Without callers, or clients that show a
// certificate, none that takes checks may be reached from another machine.
func readListen(v value, callers bool) Listen {
	listen := DefaultListen()
	keys := v.section("listen: {http: "+DefaultHTTP+"}", "http", "grpc", "admin")
	readAddress(keys["http"], &listen.HTTP)
	readAddress(keys["grpc"], &listen.GRPC)
	readAddress(keys["admin"], &listen.Admin)

	all := []string{listen.HTTP, listen.GRPC, listen.Admin}
	for i, name := range []string{"http", "grpc", "admin"} {
		taken := slices.Index(all, all[i]) < i && all[i] != "" && !strings.HasSuffix(all[i], ":0")
		switch {
		case !taken:
		case keys[name].present():
			keys[name].wrong("%s is the address of another listener already", all[i])
		default:
			v.wrong("%s is the address of another listener already, %s by default", all[i], name)
		}
	}
	if listen.HTTP == "" && listen.GRPC == "" {
		v.wrong("http and grpc are both turned off: no proxy could ask")
	}
	if address := NeedsCallers(listen); address != "" && !callers {
		at := keys["grpc"]
		if address == listen.HTTP {
			at = keys["http"]
		}
		at.wrong("%s is neither on loopback nor a Unix socket: say with callers which addresses may ask, as in callers: [10.0.0.0/8], or with listen_tls.client_ca whose certificates", address)
	}
	return listen
}

func readAddress(v value, into *string) {
	if v.present() && isNull(v.node) {
		v.wrong(`has no value: write an address, or "" to turn this listener off`)
		return
	}
	if v.present() && kind(v.node) == "a number" {
		v.wrong("is a port alone: write host:port, as in 127.0.0.1:%s", v.node.Value)
		return
	}
	address, ok := v.text()
	if !ok {
		return
	}
	if err := CheckAddress(address); err != nil {
		v.wrong("%v", err)
		return
	}
	*into = address
}

// CheckAddress says what is wrong with a listen address: "host:port" (port 0
// takes any free one), "unix:/path", "unix:@name", or "" for a listener that
// is off. The host may be empty for every address of the machine.
func CheckAddress(address string) error {
	if address == "" {
		return nil
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		switch {
		case len(path) < 2 || path[0] != '/' && path[0] != '@':
			return errors.New("a Unix socket is written unix:/path, or unix:@name for a Linux abstract socket")
		case len(path) > maxSocketPath:
			return fmt.Errorf("the path of a Unix socket has at most %d bytes", maxSocketPath)
		case strings.ContainsFunc(path, isControl):
			return errors.New("the path of a Unix socket holds a control character")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s is no address to listen on: write host:port, as in %s, or unix:/path", quote(address), DefaultHTTP)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%s has no port from 0 to 65535: write host:port, as in %s", quote(address), DefaultHTTP)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !isHostName(host) {
		return fmt.Errorf("%s has a host that is neither an address nor a name", quote(address))
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// isHostName takes the names that DNS and people use.
func isHostName(host string) bool {
	if host == "" || len(host) > 253 || strings.Trim(host, ".") != host {
		return false
	}
	for _, c := range host {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return true
}

// NeedsCallers gives the first of the addresses for checks that is neither on
// loopback nor a Unix socket, or "". With such an address Config.Callers may
// not be empty unless ListenTLS.ClientCA is set, or whoever reaches it could ask. Ask again after flags changed
// an address.
func NeedsCallers(l Listen) string {
	for _, address := range []string{l.HTTP, l.GRPC} {
		if !isPrivate(address) {
			return address
		}
	}
	return ""
}

// isPrivate tells whether nobody but this machine reaches an address. A name
// other than localhost may resolve to anything.
func isPrivate(address string) bool {
	if address == "" || strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

package config

import (
	"net/netip"
	"strings"
	"testing"
)

func TestOnlyLoopbackAndUnixSocketsNeedNoCallers(t *testing.T) {
	for address, needs := range map[string]bool{
		"":                         false,
		"127.0.0.1:9180":           false,
		"127.8.9.10:0":             false,
		"[::1]:9180":               false,
		"[::ffff:127.0.0.1]:9180":  false,
		"localhost:9180":           false,
		"unix:/run/altagate.sock":  false,
		"unix:@altagate":           false,
		":9180":                    true,
		"0.0.0.0:9180":             true,
		"[::]:9180":                true,
		"10.0.0.5:9180":            true,
		"[fe80::1%eth0]:9180":      true,
		"localhost.evil.test:9180": true,
		"gate:9180":                true,
		"nonsense":                 true,
	} {
		want := ""
		if needs {
			want = address
		}
		if got := NeedsCallers(Listen{HTTP: address}); got != want {
			t.Errorf("http %q: got %q", address, got)
		}
		if got := NeedsCallers(Listen{GRPC: address, HTTP: DefaultHTTP}); got != want {
			t.Errorf("grpc %q: got %q", address, got)
		}
	}
	if got := NeedsCallers(Listen{Admin: ":9182"}); got != "" {
		t.Errorf("admin takes no checks, got %q", got)
	}
}

func TestListenAddresses(t *testing.T) {
	for _, good := range []string{
		"", ":9180", "127.0.0.1:0", "[::1]:9180", "[fe80::1%eth0]:9180", "gate.example.com:65535",
		"unix:/run/altagate.sock", "unix:@altagate", "unix:/" + strings.Repeat("a", 106),
	} {
		if err := CheckAddress(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"9180", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:09180", "127.0.0.1:http", "::1:9180",
		"[::1]", "http://127.0.0.1:9180", "a b:9180", "unix:", "unix:/", "unix:@", "unix:run.sock", "unix:///run\x00",
		"unix:/" + strings.Repeat("a", 107), "[10.0.0.1:9180",
	} {
		if err := CheckAddress(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestCallersAreAddressesOrNetworks(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.5": "10.0.0.5/32", "10.0.0.0/8": "10.0.0.0/8", "0.0.0.0/0": "0.0.0.0/0",
		"fd00::1": "fd00::1/128", "fd00::/8": "fd00::/8", "::ffff:10.0.0.5": "10.0.0.5/32",
	} {
		got, err := ParseCaller(text)
		if err != nil || got != netip.MustParsePrefix(want) {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{
		"", "*", "any", "10.0.0", "10.0.0.5/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "fe80::1%eth0", "fe80::%eth0/64",
		"::ffff:10.0.0.0/104", "10.0.0.5:9180", " 10.0.0.5", "010.0.0.1",
	} {
		if got, err := ParseCaller(bad); err == nil {
			t.Errorf("%q gives %v", bad, got)
		}
	}
}

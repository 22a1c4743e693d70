package country

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/altagate/altagate/test/rig"
)

func opened(t testing.TB) *File {
	t.Helper()
	f, err := Open(rig.Countries(t, map[string]string{
		"192.0.2.0/24": "DE", "198.51.100.0/25": "FR", "2001:db8::/32": "NO", "203.0.113.0/24": "xx",
	}))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAnAddressIsInTheCountryThatTheFileSays(t *testing.T) {
	f := opened(t)
	for addr, want := range map[string]string{
		"192.0.2.0": "DE", "192.0.2.255": "DE", "198.51.100.127": "FR", "2001:db8:ffff::1": "NO",
		"198.51.100.128": "", "10.0.0.1": "", "::1": "", "2001:db9::1": "", "203.0.113.7": "",
	} {
		if got := f.Of(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is in %q, want %q", addr, got, want)
		}
	}
}

func TestAPlainCountryIsReadToo(t *testing.T) {
	entry := func(key string) func(string) []byte {
		return func(code string) []byte {
			return append(append(append([]byte{0xe1, 0x40 | byte(len(key))}, key...), 0x42), code...)
		}
	}
	for _, key := range []string{"country_code", "country"} {
		name := filepath.Join(t.TempDir(), "plain.mmdb")
		if err := os.WriteFile(name, rig.MMDB(map[string]string{"192.0.2.0/24": "DE"}, entry(key)), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(name)
		if err != nil {
			t.Errorf("%s: %v", key, err)
		} else if got := f.Of(netip.MustParseAddr("192.0.2.7")); got != "DE" {
			t.Errorf("%s: got %q", key, got)
		}
	}
}

func TestAFileThatIsOfNoUseIsRefusedWithItsName(t *testing.T) {
	good, err := os.ReadFile(rig.Countries(t, map[string]string{"192.0.2.0/24": "DE"}))
	if err != nil {
		t.Fatal(err)
	}
	number := func(string) []byte { return append([]byte{0xe1, 0x43}, "asn\xc1\x05"...) }
	for what, data := range map[string][]byte{
		"empty":        {},
		"text":         []byte("DE 192.0.2.0/24\n"),
		"cut":          good[:len(good)/2],
		"no countries": rig.MMDB(map[string]string{"192.0.2.0/24": ""}, number),
		"broken":       bytes.Replace(good, []byte("\x47country"), []byte("\x5fcountry"), 1),
	} {
		name := filepath.Join(t.TempDir(), what)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a file that is not there was opened")
	}
}

func TestAskingForACountryAllocatesNothing(t *testing.T) {
	f, addr := opened(t), netip.MustParseAddr("192.0.2.7")
	f.Of(addr)
	if n := testing.AllocsPerRun(100, func() { f.Of(addr) }); n >= 1 { // under the race detector a pool forgets some
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOf(b *testing.B) {
	f, addr := opened(b), netip.MustParseAddr("192.0.2.7")
	b.ReportAllocs()
	for b.Loop() {
		f.Of(addr)
	}
}

// TestADamagedFileIsAnErrorOrAnAnswer changes each byte of a file.
func TestADamagedFileIsAnErrorOrAnAnswer(t *testing.T) {
	good, err := os.ReadFile(rig.Countries(t, map[string]string{"192.0.2.0/24": "DE", "2001:db8::/32": "NO"}))
	if err != nil {
		t.Fatal(err)
	}
	for at := range good {
		for _, with := range []byte{0x01, 0x80, 0xff} {
			data := bytes.Clone(good)
			data[at] ^= with
			f, err := parse(data)
			if err != nil {
				continue
			}
			for _, addr := range []string{"192.0.2.7", "10.0.0.1", "2001:db8::1", "::1"} {
				if code := f.Of(netip.MustParseAddr(addr)); code != "" && !isCode(code) {
					t.Errorf("byte %d: %s is in %q", at, addr, code)
				}
			}
		}
	}
}

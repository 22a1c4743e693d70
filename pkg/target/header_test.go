package target

import (
	"errors"
	"strings"
	"testing"
)

func TestHostGivesOneSpelling(t *testing.T) {
	tests := []struct{ raw, scheme, want string }{
		{"tv.example.com", "https", "tv.example.com"},
		{"TV.Example.COM", "https", "tv.example.com"},
		{"tv.example.com.", "https", "tv.example.com"},
		{"tv.example.com.:8443", "https", "tv.example.com:8443"},
		{"h:443", "https", "h"},
		{"h:80", "http", "h"},
		{"h:80", "https", "h:80"},
		{"h:443", "http", "h:443"},
		{"h:443", "", "h:443"},
		{"h:65535", "http", "h:65535"},
		{"my_host-1", "http", "my_host-1"},
		{"192.0.2.1:8080", "http", "192.0.2.1:8080"},
		{"[2001:DB8::1]", "https", "[2001:db8::1]"},
		{"[2001:db8:0:0:0:0:0:1]:443", "https", "[2001:db8::1]"},
		{"[::1]:8080", "https", "[::1]:8080"},
		{strings.Repeat("a.", 126) + "a:8080", "http", strings.Repeat("a.", 126) + "a:8080"},
	}
	for _, tt := range tests {
		got, err := Host(tt.raw, tt.scheme)
		if err != nil || got != tt.want {
			t.Errorf("Host(%q, %q) = %q, %v; want %q", tt.raw, tt.scheme, got, err, tt.want)
		}
		if again, err := Host(got, tt.scheme); again != got || err != nil {
			t.Errorf("Host(%q, %q) = %q, %v: not its own normal form", got, tt.scheme, again, err)
		}
	}
}

func TestHostRefusesWhatIsNoHost(t *testing.T) {
	if got, err := Host("", "https"); !errors.Is(err, ErrNoHost) || errors.Is(err, ErrMalformed) || got != "" {
		t.Errorf("an empty host: %q, %v", got, err)
	}
	for _, raw := range []string{
		"user@h", "u:p@h", "h/a", `h\a`, "h?x", "h#f", "h h", " h", "h ", "h\t", "h\x00", `x"y`, "<h>", "h,i", "*", "h%41",
		"höst", "h\xff", "h:", "h:0", "h:080", "h:65536", "h:-1", "h:+1", "h:abc", "h:80:80", ":80", ":",
		".", "..", ".h", "h..", "a..b", ".:80", "h.:", "::1", "[::1", "::1]", "[]", "[h]", "[127.0.0.1]", "[::1].", "[::1]x",
		"[::1]:", "[::1]:x", "[fe80::1%eth0]", "[fe80::1%25eth0]", "[::1]]", "[[::1]]", "[2001:db8::5:80", strings.Repeat("a", 261),
	} {
		if got, err := Host(raw, "https"); !errors.Is(err, ErrMalformed) || got != "" {
			t.Errorf("Host(%q) = %q, %v; want it malformed", raw, got, err)
		}
	}
}

func FuzzHost(f *testing.F) {
	for _, raw := range []string{"h", "H.:443", "[::1]:80", "[::ffff:192.0.2.1]", "a@b", "h:080", ""} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := Host(raw, "https")
		if err != nil {
			return
		}
		if again, err := Host(got, "https"); again != got || err != nil {
			t.Fatalf("Host(%q) = %q, which gives %q, %v", raw, got, again, err)
		}
		if strings.ContainsAny(got, "@/\\?#% \"<>") || got != strings.ToLower(got) || strings.HasSuffix(got, ":443") {
			t.Fatalf("Host(%q) = %q", raw, got)
		}
	})
}

func TestUserAgentIsKeptByteForByte(t *testing.T) {
	for _, agent := range []string{"", "VLC/3.0.20 LibVLC/3.0.20", "a\tb", "plé\xffyer", strings.Repeat("a", MaxUserAgent)} {
		if got, err := UserAgent([]string{agent}); err != nil || got != agent {
			t.Errorf("UserAgent(%.40q) = %.40q, %v", agent, got, err)
		}
	}
	if got, err := UserAgent(nil); err != nil || got != "" {
		t.Errorf("no User-Agent: %q, %v", got, err)
	}
}

func TestUserAgentThatCannotBeSentFaithfullyIsMalformed(t *testing.T) {
	for _, values := range [][]string{
		{"a", "a"}, {"", ""}, {"a\x01"}, {"a\x7f"}, {"a\x00b"}, {"a\nb"}, {"a\r"}, {" a"}, {"a "}, {"\ta"}, {"a\t"}, {" "},
		{strings.Repeat("a", MaxUserAgent+1)},
	} {
		if got, err := UserAgent(values); !errors.Is(err, ErrMalformed) || got != "" {
			t.Errorf("UserAgent(%.40q) = %q, %v; want it malformed", values, got, err)
		}
	}
}

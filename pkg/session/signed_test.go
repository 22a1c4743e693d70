package session

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"strings"
	"testing"
	"time"
)

func secret(letter string) []byte { return []byte(strings.Repeat(letter, MinSecret)) }

func keysOf(t testing.TB, secrets ...[]byte) *Keys {
	t.Helper()
	k, err := NewKeys(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// someID and someNow are fixed, so that a failure can be repeated.
func someID() ID         { return ID{1, 2, 3, 0xfe, 0xff, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} }
func someNow() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func TestASignedIDReadsBack(t *testing.T) {
	k := keysOf(t, secret("a"))
	text := k.Sign(someID(), someNow().Add(time.Hour))
	if id, ok := k.Read(text, someNow()); !ok || id != someID() {
		t.Errorf("Read(%q) = %v, %v", text, id, ok)
	}
	if len(text) != 88 || !regexp.MustCompile(`^v1\.[A-Za-z0-9_-]{8}\.[A-Za-z0-9_-]{32}\.[A-Za-z0-9_-]{43}$`).MatchString(text) {
		t.Errorf("%q is not what cookies and queries take as it is", text)
	}
}

// The text was computed apart, with Python's hmac.
func TestASignedIDStaysWhatItWasInEveryVersion(t *testing.T) {
	const text = "v1.hZneLocU.AQID_v8FBgcICQoLDA0ODwAAAABpVzWl.QAWQ4lfcRw4TFWHRn0GmnJFdjSn9InejnlTwjt1aQX0"
	if got := keysOf(t, secret("a")).Sign(someID(), someNow()); got != text {
		t.Errorf("Sign gives %q, and gave %q: what viewers carry no longer reads", got, text)
	}
}

func TestASignedIDIsGoodUntilItsTime(t *testing.T) {
	k := keysOf(t, secret("a"))
	until := someNow().Add(10 * time.Second)
	tests := []struct {
		name       string
		until, now time.Time
		good       bool
	}{
		{"before", until, until.Add(-time.Second), true},
		{"a moment before", until, until.Add(-time.Nanosecond), true},
		{"at it", until, until, false},
		{"after", until, until.Add(time.Second), false},
		{"parts of a second are cut, never added", until.Add(900 * time.Millisecond), until.Add(100 * time.Millisecond), false},
		{"no time", time.Time{}, someNow(), false},
		{"before 1970", time.Unix(-5, 0), someNow(), false},
		{"before 1970, at a time before it", time.Unix(-5, 0), time.Unix(-6, 0), true},
		{"in another zone", until.In(time.FixedZone("", 3600)), until.Add(-time.Second), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if id, ok := k.Read(k.Sign(someID(), tt.until), tt.now); ok != tt.good || ok != (id == someID()) {
				t.Errorf("good until %v, at %v: %v, %v", tt.until, tt.now, id, ok)
			}
		})
	}
}

func TestKeysRotate(t *testing.T) {
	before, between := keysOf(t, secret("a")), keysOf(t, secret("b"), secret("a"))
	after, prepared := keysOf(t, secret("b")), keysOf(t, secret("a"), secret("b"))
	until := someNow().Add(time.Hour)
	tests := []struct {
		name         string
		signs, reads *Keys
		good         bool
	}{
		{"a replica with the same key", before, keysOf(t, secret("a")), true},
		{"a replica that knows the new key already", between, prepared, true},
		{"an id from before the change", before, between, true},
		{"the first key signs", between, after, true},
		{"an id of a key that was removed", before, after, false},
		{"a key that is known only later", between, before, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if id, ok := tt.reads.Read(tt.signs.Sign(someID(), until), someNow()); ok != tt.good || ok != (id == someID()) {
				t.Errorf("read %v, %v", id, ok)
			}
		})
	}
}

func TestWhatIsNoSignedIDIsAsIfThereWereNone(t *testing.T) {
	k := keysOf(t, secret("a"), secret("b"))
	good := k.Sign(someID(), someNow().Add(time.Hour))
	foreign := keysOf(t, secret("z")).Sign(someID(), someNow().Add(time.Hour))
	later := k.Sign(someID(), someNow().Add(2*time.Hour))
	second := keysOf(t, secret("b")).Sign(someID(), someNow().Add(time.Hour))
	for name, text := range map[string]string{
		"empty":                          "",
		"the bare id":                    someID().String(),
		"cut off":                        good[:len(good)-1],
		"longer":                         good + "A",
		"padded":                         good + "=",
		"a space after it":               good + " ",
		"huge":                           strings.Repeat(good, 1000),
		"another version":                "v2" + good[2:],
		"a version in capitals":          "V1" + good[2:],
		"the key's name of another":      foreign[:payloadStart] + good[payloadStart:],
		"of another key":                 foreign,
		"another key, with a known name": good[:payloadStart] + foreign[payloadStart:],
		"signed by one key, named for another of ours": second[:payloadStart] + good[payloadStart:],
		"the MAC of another":                           good[:macStart] + later[macStart:],
		"the payload of another":                       good[:payloadStart] + later[payloadStart:macStart] + good[macStart:],
		"no dot before the MAC":                        good[:macStart-1] + "A" + good[macStart:],
		"no dot after the key":                         good[:payloadStart-1] + "A" + good[payloadStart:],
		"no MAC":                                       good[:macStart] + strings.Repeat("A", macSize),
		"a line break in the MAC":                      good[:len(good)-1] + "\n",
		"the bits that base64 leaves over":             good[:len(good)-1] + string(flipped(good[len(good)-1])),
	} {
		t.Run(name, func(t *testing.T) {
			if id, ok := k.Read(text, someNow()); ok || id != (ID{}) {
				t.Errorf("Read(%.100q) = %v, %v", text, id, ok)
			}
		})
	}
}

// flipped is another base64 digit with the same upper bits.
func flipped(digit byte) byte {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return digits[strings.IndexByte(digits, digit)^1]
}

func TestNoSingleBitOfASignedIDCanChange(t *testing.T) {
	k := keysOf(t, secret("a"))
	good := k.Sign(someID(), someNow().Add(time.Hour))
	for at := range len(good) {
		for bit := range 8 {
			text := []byte(good)
			text[at] ^= 1 << bit
			if id, ok := k.Read(string(text), someNow()); ok || id != (ID{}) {
				t.Errorf("bit %d of byte %d changed, and %q reads", bit, at, text)
			}
		}
	}
}

// TestAPayloadIsReadOnlyInItsForm signs payloads that Sign never makes with the
// right key, as a later version by mistake might.
func TestAPayloadIsReadOnlyInItsForm(t *testing.T) {
	k := keysOf(t, secret("a"))
	good := k.Sign(someID(), someNow().Add(time.Hour))
	none := base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(make([]byte, 16), uint64(someNow().Unix()+3600)))
	for name, payload := range map[string]string{
		"no base64":       strings.Repeat("!", payloadSize),
		"a line break":    good[payloadStart:macStart-2] + "\n",
		"the zero ID":     none,
		"standard base64": strings.Repeat("+", payloadSize),
	} {
		t.Run(name, func(t *testing.T) {
			text := good[:payloadStart] + payload
			maced := [macedSize]byte([]byte(text))
			text += "." + string(k.keys[0].mac(nil, &maced))
			if id, ok := k.Read(text, someNow()); ok || id != (ID{}) {
				t.Errorf("Read(%q) = %v, %v", text, id, ok)
			}
		})
	}
}

func TestTheMACIsHMACSHA256OfTheTextBefore(t *testing.T) {
	for _, letter := range []string{"a", "\x00", "\xff", "ab"} {
		k := keysOf(t, secret(letter))
		text := k.Sign(someID(), someNow())
		h := hmac.New(sha256.New, derive(secret(letter), purposeSign))
		h.Write([]byte(text[:macStart-1]))
		if want := base64.RawURLEncoding.EncodeToString(h.Sum(nil)); text[macStart:] != want {
			t.Errorf("MAC is %q, and crypto/hmac says %q", text[macStart:], want)
		}
	}
}

func TestKeysAreRefusedWithAPlainWord(t *testing.T) {
	many := make([][]byte, MaxKeys+1)
	for i := range many {
		many[i] = bytes.Repeat([]byte{byte(i)}, MinSecret)
	}
	tests := []struct {
		name    string
		secrets [][]byte
		want    string
	}{
		{"none", nil, "there is no key: give at least one"},
		{"too many", many, "there are 17 keys, and 16 is the most: remove the oldest"},
		{"a short one", [][]byte{secret("a"), []byte("hunter2")}, "key 2 has 7 bytes: give at least 32 random ones"},
		{"an empty one", [][]byte{{}}, "key 1 has 0 bytes: give at least 32 random ones"},
		{"one twice", [][]byte{secret("a"), secret("b"), secret("a")}, "key 3 is the same as key 1: remove one of them"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := NewKeys(tt.secrets)
			if k != nil || err == nil || err.Error() != tt.want {
				t.Errorf("%v, %v; want %q", k, err, tt.want)
			}
		})
	}
	if k, err := NewKeys(many[:MaxKeys]); err != nil || len(k.keys) != MaxKeys {
		t.Errorf("%d keys: %v", MaxKeys, err)
	}
}

func TestKeysDoNotHangOnTheSecretsTheyWereGiven(t *testing.T) {
	given := secret("a")
	k := keysOf(t, given)
	clear(given)
	if text := k.Sign(someID(), someNow().Add(1e9)); text != keysOf(t, secret("a")).Sign(someID(), someNow().Add(1e9)) {
		t.Error("the key changed with the caller's slice")
	}
}

func TestWithoutKeysOrIDNothingIsSignedAndNothingReads(t *testing.T) {
	good := keysOf(t, secret("a")).Sign(someID(), someNow().Add(time.Hour))
	for name, k := range map[string]*Keys{"nil": nil, "zero": {}} {
		if text := k.Sign(someID(), someNow().Add(time.Hour)); text != "" {
			t.Errorf("%s Keys sign %q", name, text)
		}
		if id, ok := k.Read(good, someNow()); ok || id != (ID{}) {
			t.Errorf("%s Keys read %v", name, id)
		}
	}
	if text := keysOf(t, secret("a")).Sign(ID{}, someNow().Add(time.Hour)); text != "" {
		t.Errorf("the zero ID is signed: %q", text)
	}
}

func TestNewIDsDiffer(t *testing.T) {
	seen := map[ID]bool{{}: true}
	for range 1000 {
		id := newID()
		if seen[id] {
			t.Fatalf("%v came twice, or is zero", id)
		}
		seen[id] = true
	}
}

func TestAnIDIs32HexDigits(t *testing.T) {
	if got := someID().String(); got != "010203feff05060708090a0b0c0d0e0f" {
		t.Error(got)
	}
}

func TestAnIDIsReadInItsOneSpelling(t *testing.T) {
	text := someID().String()
	if id, ok := parseID(text); !ok || id != someID() {
		t.Errorf("parseID(%q) = %v, %v", text, id, ok)
	}
	for _, wrong := range []string{"", text[1:], text + "0", strings.ToUpper(text), " " + text[1:], text[:31] + "g", "0x" + text[2:]} {
		if id, ok := parseID(wrong); ok || id != (ID{}) {
			t.Errorf("parseID(%q) = %v, %v", wrong, id, ok)
		}
	}
}

func TestReadingASignedIDDoesNotAllocate(t *testing.T) {
	k := keysOf(t, secret("a"), secret("b"))
	good := keysOf(t, secret("b")).Sign(someID(), someNow().Add(time.Hour))
	for name, text := range map[string]string{"good": good, "forged": good[:len(good)-2] + "AA", "none": "x"} {
		if n := testing.AllocsPerRun(100, func() { k.Read(text, someNow()) }); n != 0 {
			t.Errorf("%s: Read allocates %v times", name, n)
		}
	}
}

// FuzzRead holds that nothing reads but what was signed, in its one text.
func FuzzRead(f *testing.F) {
	k := keysOf(f, secret("a"), secret("b"))
	until := someNow().Add(time.Hour)
	good := k.Sign(someID(), until)
	f.Add(good)
	f.Add(keysOf(f, secret("b")).Sign(someID(), until))
	f.Add(keysOf(f, secret("z")).Sign(someID(), until))
	f.Add(good[:len(good)-1] + "\n")
	f.Add("v1...")
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := k.Read(text, someNow())
		if !ok {
			if id != (ID{}) {
				t.Fatalf("Read(%q) gives %v and false", text, id)
			}
			return
		}
		for _, signer := range []*Keys{k, keysOf(t, secret("b"))} {
			if text == signer.Sign(id, until) {
				return
			}
		}
		t.Fatalf("Read(%q) = %v, and nobody signed it", text, id)
	})
}

// FuzzSign holds that whatever is signed reads back until its time, and not when
// one bit is another.
func FuzzSign(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), int64(1), int64(0), uint16(0))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), int64(1<<62), int64(-5), uint16(703))
	f.Add([]byte{}, int64(-1), int64(-1), uint16(100))
	k := keysOf(f, secret("a"))
	f.Fuzz(func(t *testing.T, name []byte, until, now int64, bit uint16) {
		var id ID
		if copy(id[:], name); id == (ID{}) {
			return
		}
		text := k.Sign(id, time.Unix(until, 0))
		if got, ok := k.Read(text, time.Unix(now, 0)); ok != (now < until) || ok && got != id {
			t.Fatalf("%v until %d reads at %d: %v, %v", id, until, now, got, ok)
		}
		changed := []byte(text)
		changed[int(bit)/8%len(changed)] ^= 1 << (bit % 8)
		if got, ok := k.Read(string(changed), time.Unix(until-1, 0)); ok {
			t.Fatalf("%q was signed, and %q reads: %v", text, changed, got)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	k := keysOf(b, secret("a"))
	good := k.Sign(someID(), someNow().Add(time.Hour))
	for name, text := range map[string]string{"good": good, "forged": good[:len(good)-2] + "AA", "none": "x"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.Read(text, someNow())
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	k := keysOf(b, secret("a"))
	b.ReportAllocs()
	for b.Loop() {
		k.Sign(someID(), someNow())
	}
}

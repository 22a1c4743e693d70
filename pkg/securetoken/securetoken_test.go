package securetoken

import (
	"crypto/md5"  //nolint:gosec // As the package.
	"crypto/sha1" //nolint:gosec // As the package.
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/altagate/altagate/pkg/check"
)

// The example of Alta's documentation, whose token is good from 1669810000 to
// 1669890000.
const (
	channel = "/tv/travel-channel/index.m3u8"
	client  = "192.168.88.98"
	token   = "e8bff06f373694dda657e8417fe76f6b54b69807-a5cd6c00-1669890000-1669810000"
)

var secrets = [][]byte{[]byte("secret")}

func request(path, query, addr string) *check.Request {
	return &check.Request{Path: path, Query: query, Addr: netip.MustParseAddr(addr), UserAgent: "VLC/3.0"}
}

func at(seconds int64) time.Time { return time.Unix(seconds, 0) }

// alta makes a token as a portal does.
func alta(path, addr, start, end, secret, salt string) string {
	return fmt.Sprintf("%x-%s-%s-%s", sha1.Sum([]byte(path+addr+start+end+secret+salt)), salt, end, start) //nolint:gosec // As the package.
}

func TestTheTokenOfAltasDocumentationIsGood(t *testing.T) {
	if made := alta(channel, client, "1669810000", "1669890000", "secret", "a5cd6c00"); made != token {
		t.Fatalf("the test makes %s", made)
	}
	until, err := Alta(secrets).Check(request(channel, "token="+token, client), at(1669850000))
	if err != nil || !until.Equal(at(1669890001)) {
		t.Errorf("good until %v, %v", until, err)
	}
}

func TestWhatIsWrongWithATokenOfAlta(t *testing.T) {
	const now = 1669850000
	hash := strings.Split(token, "-")[0]
	for _, test := range []struct {
		name, path, query, addr string
		now                     int64
		want                    error
	}{
		{"nothing", channel, "token=" + token, client, now, nil},
		{"beside others", channel, "a=1&token=" + token + "&b=2", client, now, nil},
		{"the hash in capitals", channel, "token=" + strings.ToUpper(hash) + token[len(hash):], client, now, nil},
		{"its first second", channel, "token=" + token, client, 1669810000, nil},
		{"a minute before", channel, "token=" + token, client, 1669810000 - 60, nil},
		{"more than a minute before", channel, "token=" + token, client, 1669810000 - 61, ErrEarly},
		{"its last second", channel, "token=" + token, client, 1669890000, nil},
		{"the second after", channel, "token=" + token, client, 1669890001, ErrExpired},
		{"another path", "/tv/other/index.m3u8", "token=" + token, client, now, ErrForged},
		{"another viewer", channel, "token=" + token, "192.168.88.99", now, ErrForged},
		{"another end", channel, "token=" + hash + "-a5cd6c00-1669990000-1669810000", client, now, ErrForged},
		{"another start", channel, "token=" + hash + "-a5cd6c00-1669890000-1669800000", client, now, ErrForged},
		{"another salt", channel, "token=" + hash + "-a5cd6c01-1669890000-1669810000", client, now, ErrForged},
		{"another secret", channel, "token=" + alta(channel, client, "1669810000", "1669890000", "other", "s"), client, now, ErrForged},
		{"an empty hash", channel, "token=" + strings.Repeat("0", 40) + "-a5cd6c00-1669890000-1669810000", client, now, ErrForged},
		{"no token", channel, "a=1", client, now, ErrNone},
		{"no query", channel, "", client, now, ErrNone},
		{"a portal's token", channel, "token=123", client, now, ErrNone},
		{"a token of another length", channel, "token=" + token + "0", client, now, ErrNone},
		{"a hash that is none", channel, "token=g" + token[1:], client, now, ErrNone},
		{"an escape in the salt", channel, "token=" + hash + "-a5%3600-1669890000-1669810000", client, now, ErrNone},
		{"a long salt", channel, "token=" + hash + "-" + strings.Repeat("a", 129) + "-1669890000-1669810000", client, now, ErrNone},
		{"another parameter", channel, "tokens=" + token, client, now, ErrNone},
		{"a portal's token first", channel, "token=123&token=" + token, client, now, ErrNone},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Alta(secrets).Check(request(test.path, test.query, test.addr), at(test.now)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestNoDigitsMoveBetweenTheParts has tokens whose hash is right for what they were not
// made for: the texts that are hashed are the same.
func TestNoDigitsMoveBetweenTheParts(t *testing.T) {
	hash := strings.Split(token, "-")[0]
	for name, r := range map[string]*check.Request{
		"an end for ever":            request(channel, "token="+hash+"-a5cd6c00-6698100001669890000-1", client),
		"from start to end":          request(channel, "token="+hash+"-a5cd6c00-01669890000-166981000", client),
		"from address to start":      request(channel, "token="+hash+"-a5cd6c00-1669890000-81669810000", "192.168.88.9"),
		"from start to address":      request(channel, "token="+hash+"-a5cd6c00-1669890000-669810000", "192.168.88.98"),
		"from the secret to the end": request(channel, "token="+hash+"-a5cd6c00-1669890000s-1669810000", client),
	} {
		for _, now := range []int64{1669850000, 1700000000, 4000000000} {
			if until, err := Alta(secrets).Check(r, at(now)); err == nil {
				t.Errorf("%s: good until %v", name, until)
			}
		}
	}
}

func TestNoAddressTakesDigitsOfAPath(t *testing.T) {
	l, err := SecureLink(secrets, DefaultExpression, DefaultHash, DefaultExpires)
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][4]string{
		{"/live/ch", "192.0.2.7", "/live/ch1", "92.0.2.7"},
		{"/live/ch1", "92.0.2.7", "/live/ch", "192.0.2.7"},
		{"/live/ch", "12.0.2.7", "/live/ch1", "2.0.2.7"},
		{"/live/cha", "b:2::7", "/live/ch", "ab:2::7"},
		{"/live/ch", "ab:2::7", "/live/cha", "b:2::7"},
		{"/live/ch.m3u8", "12.0.2.7", "/live/ch.m3u81", "2.0.2.7"},
	} {
		for kind, one := range map[string]struct {
			tokens *Tokens
			query  string
		}{
			"alta": {Alta(secrets), "token=" + alta(pair[0], pair[1], "1669810000", "1669890000", "secret", "x")},
			"link": {l, linkOf("1669890000"+pair[0]+pair[1]+" secret", "1669890000")},
		} {
			_, own := one.tokens.Check(request(pair[0], one.query, pair[1]), at(1669850000))
			_, other := one.tokens.Check(request(pair[2], one.query, pair[3]), at(1669850000))
			if own == nil && other == nil || other != nil && !errors.Is(other, ErrAmbiguous) {
				t.Errorf("%s %v: for its own %v, for the other %v", kind, pair, own, other)
			}
		}
	}
}

func TestAnyOfTheSecretsIsGood(t *testing.T) {
	old, current := []byte("old"), []byte("new")
	for _, made := range []string{"old", "new"} {
		r := request(channel, "token="+alta(channel, client, "1669810000", "1669890000", made, "x"), client)
		if _, err := Alta([][]byte{current, old}).Check(r, at(1669850000)); err != nil {
			t.Errorf("%s: %v", made, err)
		}
		l, err := SecureLink([][]byte{current, old}, DefaultExpression, DefaultHash, DefaultExpires)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Check(request(channel, linkOf("1669890000"+channel+client+" "+made, "1669890000"), client), at(1669850000)); err != nil {
			t.Errorf("%s: %v", made, err)
		}
	}
}

// TestAPathWithEscapesIsSignedInEitherSpelling has a portal that signs what it shows
// and one that signs what it links.
func TestAPathWithEscapesIsSignedInEitherSpelling(t *testing.T) {
	const escaped, plain = "/tv/%D0%9A%20%2B/index.m3u8", "/tv/К +/index.m3u8"
	for _, signed := range []string{escaped, plain} {
		r := request(escaped, "token="+alta(signed, client, "1669810000", "1669890000", "secret", "x"), client)
		if _, err := Alta(secrets).Check(r, at(1669850000)); err != nil {
			t.Errorf("%s: %v", signed, err)
		}
	}
}

func TestATokenIsNotForThePathThatDecodesToItsOwn(t *testing.T) {
	r := request("/tv/a%2525/index.m3u8", "token="+alta("/tv/a%25/index.m3u8", client, "1669810000", "1669890000", "secret", "x"), client)
	if _, err := Alta(secrets).Check(r, at(1669850000)); !errors.Is(err, ErrForged) {
		t.Errorf("got %v", err)
	}
}

func TestATokenOfAnIPv6ViewerIsForTheAddressAsItIsUsuallyWritten(t *testing.T) {
	r := request(channel, "token="+alta(channel, "2001:db8::7", "1669810000", "1669890000", "secret", "x"), "2001:db8:0:0::7")
	if _, err := Alta(secrets).Check(r, at(1669850000)); err != nil {
		t.Error(err)
	}
}

// linkOf is the query of a link whose hashed text is given.
func linkOf(text, end string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // As the package.
	return "md5=" + base64.RawURLEncoding.EncodeToString(sum[:]) + "&expires=" + end
}

func TestWhatIsWrongWithALink(t *testing.T) {
	const end, now = "1669890000", 1669850000
	good := linkOf(end+"/s/link.m3u8127.0.0.1 secret", end)
	for _, test := range []struct {
		name, path, query, addr string
		now                     int64
		want                    error
	}{
		{"nothing", "/s/link.m3u8", good, "127.0.0.1", now, nil},
		{"padded", "/s/link.m3u8", strings.Replace(good, "&", "==&", 1), "127.0.0.1", now, nil},
		{"the time first", "/s/link.m3u8", "expires=" + end + "&" + strings.Split(good, "&")[0], "127.0.0.1", now, nil},
		{"names in capitals", "/s/link.m3u8", strings.NewReplacer("md5=", "MD5=", "expires=", "Expires=").Replace(good), "127.0.0.1", now, nil},
		{"an escaped path", "/s/%6Cink.m3u8", good, "127.0.0.1", now, nil},
		{"its last second", "/s/link.m3u8", good, "127.0.0.1", 1669890000, nil},
		{"the second after", "/s/link.m3u8", good, "127.0.0.1", 1669890001, ErrExpired},
		{"another path", "/s/other.m3u8", good, "127.0.0.1", now, ErrForged},
		{"another viewer", "/s/link.m3u8", good, "127.0.0.2", now, ErrForged},
		{"another time", "/s/link.m3u8", strings.Replace(good, end, "1769890000", 1), "127.0.0.1", now, ErrForged},
		{"no hash of 16 bytes", "/s/link.m3u8", "md5=abcd&expires=" + end, "127.0.0.1", now, ErrForged},
		{"no base64", "/s/link.m3u8", "md5=%21&expires=" + end, "127.0.0.1", now, ErrForged},
		{"no time", "/s/link.m3u8", strings.Replace(good, end, "never", 1), "127.0.0.1", now, ErrForged},
		{"half a link", "/s/link.m3u8", strings.Split(good, "&")[0], "127.0.0.1", now, ErrNone},
		{"no query", "/s/link.m3u8", "", "127.0.0.1", now, ErrNone},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := SecureLink(secrets, DefaultExpression, DefaultHash, DefaultExpires)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Check(request(test.path, test.query, test.addr), at(test.now)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestNoTimeTakesDigitsOfAPath has the path before the time, so that what is hashed
// for /ch9 until 1669890000 is the same as for /ch until 91669890000.
func TestNoTimeTakesDigitsOfAPath(t *testing.T) {
	l, err := SecureLink(secrets, "$uri$secure_link_expires$secret", "st", "e")
	if err != nil {
		t.Fatal(err)
	}
	query := strings.NewReplacer("md5=", "st=", "expires=1669890000", "e=91669890000").Replace(linkOf("/ch91669890000secret", "1669890000"))
	if until, err := l.Check(request("/ch", query, client), at(1700000000)); err == nil {
		t.Errorf("good until %v", until)
	}
}

func TestExpressionsAreReadAsNginxReadsThem(t *testing.T) {
	for expression, want := range map[string]string{
		DefaultExpression: "1669890000" + channel + client + " secret",
		"${secret}|${secure_link_expires}x${uri}-$http_user_agent": "secret|1669890000x" + channel + "-VLC/3.0",
		"$secret$secure_link_expires":                              "secret1669890000",
		"a $secret $secure_link_expires b":                         "a secret 1669890000 b",
	} {
		l, err := SecureLink(secrets, expression, DefaultHash, DefaultExpires)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if _, err := l.Check(request(channel, linkOf(want, "1669890000"), client), at(1669850000)); err != nil {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func TestAnExpressionThatLeavesOutWhatMattersIsRefusedAndNotShown(t *testing.T) {
	for _, expression := range []string{
		"", "$uri$secret", "$secure_link_expires$uri s3cret", "$secure_link_expires $secret $arg_user", "$secure_link_expires ${secret",
		"$secure_link_expires$secret $", "$secure_link_expires$secret${}", "$secure_link_expires $secrets",
		// A link for /live/1, made for the User-Agent "2/x.m3u8", would be one for /live/12/x.m3u8.
		"$secure_link_expires$uri$http_user_agent $secret", "$secret $secure_link_expires ${http_user_agent}${uri}",
	} {
		_, err := SecureLink(secrets, expression, DefaultHash, DefaultExpires)
		if err == nil {
			t.Errorf("%q is taken", expression)
		} else if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "user ") {
			t.Errorf("%q: %v", expression, err)
		}
	}
}

// TestATokenIsGoodForNothingButWhatItWasMadeFor makes a token and changes one thing.
func TestATokenIsGoodForNothingButWhatItWasMadeFor(t *testing.T) {
	paths := rapid.SampledFrom([]string{"/a/index.m3u8", "/a/1/index.m3u8", "/b/index.m3u8", "/live/ch1.m3u8"})
	others := rapid.SampledFrom([]string{"/a/index.m3u81", "/a/index.m3u", "/b/index.m3u8192"})
	addresses := rapid.SampledFrom([]string{"192.0.2.7", "192.0.2.71", "92.0.2.7", "2001:db8::7", "2001:db8::71"})
	times := rapid.Int64Range(1000000000, 9999999999)
	salts := rapid.StringMatching(`[A-Za-z0-9_.~/=-]{0,20}`)
	link, err := SecureLink(secrets, "$secure_link_expires|$uri|$remote_addr|$secret", DefaultHash, DefaultExpires)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		path, addr, start, end := paths.Draw(t, "path"), addresses.Draw(t, "address"), times.Draw(t, "start"), times.Draw(t, "end")
		asked, from, now := rapid.OneOf(paths, others).Draw(t, "asked path"), addresses.Draw(t, "asked from"), times.Draw(t, "now")
		for name, one := range map[string]struct {
			tokens *Tokens
			query  string
			early  bool
		}{
			"alta": {Alta(secrets), "token=" + alta(path, addr, fmt.Sprint(start), fmt.Sprint(end), "secret", salts.Draw(t, "salt")), now+60 < start},
			"link": {link, linkOf(fmt.Sprintf("%d|%s|%s|secret", end, path, addr), fmt.Sprint(end)), false},
		} {
			want := asked == path && from == addr && !one.early && now <= end
			until, err := one.tokens.Check(request(asked, one.query, from), at(now))
			if (err == nil) != want || err == nil && !until.Equal(at(end+1)) {
				t.Fatalf("%s: good until %v, %v; want %v", name, until, err, want)
			}
		}
	})
}

// FuzzCheck puts in what viewers may send: no panic, and nothing is good but what was
// made.
func FuzzCheck(f *testing.F) {
	link, err := SecureLink(secrets, DefaultExpression, DefaultHash, DefaultExpires)
	if err != nil {
		f.Fatal(err)
	}
	good := linkOf("1669890000"+channel+client+" secret", "1669890000")
	f.Add(channel, "token="+token)
	f.Add(channel, good)
	f.Add("/%", "token=-&md5=&expires=")
	f.Fuzz(func(t *testing.T, path, query string) {
		r := request(path, query, client)
		if _, err := Alta(secrets).Check(r, at(1669850000)); err == nil && !(decoded(path) == channel && strings.Contains(strings.ToLower(query), token)) {
			t.Errorf("%q %q is good", path, query)
		}
		if _, err := link.Check(r, at(1669850000)); err == nil && !(decoded(path) == channel && strings.Contains(query, good[4:25])) {
			t.Errorf("%q %q is good", path, query)
		}
	})
}

package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOneURLMakesAConfig(t *testing.T) {
	c, err := Single([]string{"http://10.0.0.5/auth?key=1"}, "")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse([]byte("backends: {backend: {url: 'http://10.0.0.5/auth?key=1'}}\nroutes: [{name: default, backends: [backend]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(show(want), show(c)); diff != "" {
		t.Errorf("(-file +single)\n%s", diff)
	}
}

func TestSeveralURLsAreSeveralBackendsOfOneRoute(t *testing.T) {
	c, err := Single([]string{"http://a", "https://b"}, "allow")
	if err != nil {
		t.Fatal(err)
	}
	r := c.Routes[0]
	if diff := cmp.Diff([]string{"backend-1", "backend-2"}, r.Backends); diff != "" || r.OnUnavailable != Allow || len(c.Routes) != 1 {
		t.Errorf("got %+v", r)
	}
	if c.Backends[1].Name != "backend-2" || c.Backends[1].URLs[0].Host != "b" {
		t.Errorf("got %+v", c.Backends[1])
	}
}

func TestAWrongFlagIsAPlainSentenceWithoutThePassword(t *testing.T) {
	for _, c := range []struct {
		urls          []string
		onUnavailable string
		want          string
	}{
		{nil, "deny", "there is no backend URL: write one, as in http://10.0.0.5/auth"},
		{[]string{"10.0.0.5/auth"}, "deny", "the backend URL has no scheme: write http://10.0.0.5/auth"},
		{[]string{"http//127.0.0.1:6000"}, "deny", "the backend URL begins neither with http:// nor with https://"},
		{[]string{"https:/tv.example.com/auth"}, "deny", "the backend URL begins neither with http:// nor with https://"},
		{[]string{"htp:/10.0.0.5/auth"}, "deny", "the backend URL begins neither with http:// nor with https://"},
		{[]string{"localhost:6000/auth"}, "deny", "the backend URL has no scheme: write http://localhost:6000/auth"},
		{[]string{"http://a", "ftp://user:s3cret@b"}, "", "backend URL 2 begins neither with http:// nor with https://"},
		{[]string{"http://a"}, "pass", `on-unavailable "pass" is neither deny nor allow`},
	} {
		got, err := Single(c.urls, c.onUnavailable)
		if got != nil || err == nil || err.Error() != c.want {
			t.Errorf("%v: got %v, %v", c.urls, got, err)
		}
	}
}

func TestNoURLShowsItsPasswordOrQueryInAMistake(t *testing.T) {
	for _, raw := range []string{
		"user:s3cret@10.0.0.5/auth", "10.0.0.5/auth?key=s3cret", "ftp://user:s3cret@10.0.0.5", "http://user:s3/cret@10.0.0.5",
		"http://user:s3 cret@10.0.0.5", "http://user:s3%zzcret@10.0.0.5", "http://user:s3cret@10.0.0.5:99999/", "http://user:s3cret@",
		"http://10.0.0.5/?key=s3cret#x", "http://us:er:s3cret", "http://[s3cret]/", "//user:s3cret@10.0.0.5",
	} {
		_, err := parseURL(raw)
		if err == nil {
			t.Errorf("%s is taken", raw)
		} else if strings.Contains(err.Error(), "s3") || strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

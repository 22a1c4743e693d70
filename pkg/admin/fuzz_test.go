package admin

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/altagate/altagate/pkg/session"
	"github.com/altagate/altagate/pkg/stream"
)

// FuzzParameters sends queries to each path. Whatever they are, the answer is
// JSON, a list is bounded, and nothing ends that the query does not name: no end
// without a user or a stream, and none where a parameter was passed over.
func FuzzParameters(f *testing.F) {
	for _, query := range []string{
		"", "user=u77&for=10m", "route=live&stream=/live/ch1/&host=tv.example.com", "user=true&for=1h", "limit=1000&after=" + first,
		"address=2001:db8::7&route=vod", "user=a&user=b", "user=%zz", "user=u;for=1s", "stream=~%00", "for=-1ns", "%75ser=u", "user=&route=live",
		"limit=+5", "for=1e3h", "user=\xff",
	} {
		for target := range byte(4) {
			f.Add(target, query)
		}
	}
	f.Fuzz(func(t *testing.T, target byte, query string) {
		store := three()
		a := api{sessions: store}
		var got reply
		switch target % 4 {
		case 0:
			got = a.list(query)
		case 1:
			got = a.endMany(query)
		case 2:
			got = a.end(first, query)
		default:
			got = a.find(first, query)
		}
		body, err := json.Marshal(got.body)
		if err != nil || !json.Valid(visible(body)) {
			t.Fatalf("%v: %q", err, body)
		}
		if ok := got.status == 200; ok != (len(store.calls)+len(store.filters) == 1 || target%4 == 3 && ok) || !ok && got.status != 400 {
			t.Fatalf("%d after %v", got.status, store.calls)
		}
		if got.status != 200 {
			return
		}
		given, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("a query that cannot be read is taken: %v", err)
		}
		for name, values := range given {
			if len(values) != 1 || values[0] == "" {
				t.Fatalf("%s=%q is taken", name, values)
			}
		}
		for _, c := range store.calls {
			checkCall(t, c, given)
		}
	})
}

// checkCall holds what was ended against the query that asked for it.
func checkCall(t *testing.T, c call, given url.Values) {
	t.Helper()
	if c.Hold < 0 || c.Hold > session.MaxHold || c.Hold > 0 && given.Get("for") == "" {
		t.Fatalf("held for %v", c.Hold)
	}
	read := 0
	for _, name := range []string{"user", "route", "stream", "host", "for"} {
		if given.Has(name) {
			read++
		}
	}
	if read != len(given) {
		t.Fatalf("of %v something was passed over", given)
	}
	switch c.Method {
	case "End":
		if c.ID != first || c.All != (given.Get("user") == "true") {
			t.Fatalf("%+v", c)
		}
	case "EndUser":
		if c.User == "" || c.User != given.Get("user") || given.Has("route") || given.Has("stream") || given.Has("host") {
			t.Fatalf("%+v", c)
		}
	case "EndStream":
		if _, err := stream.ParseName(c.Stream); err != nil || c.Route == "" || c.Route != given.Get("route") || c.Stream != given.Get("stream") || given.Has("user") {
			t.Fatalf("%+v: %v", c, err)
		}
	}
}

package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/altagate/altagate/pkg/check"
)

func request(agent string) *check.Request {
	return &check.Request{
		Proxy: "nginx", Method: "GET", Scheme: "http", Host: "tv.example.com", Path: "/live/a.m3u8%3ftoken=s3cret", Query: "token=s3cret",
		Addr: netip.MustParseAddr("192.0.2.7"), UserAgent: agent, IDs: [check.MaxIDs]string{"v1.s3cret"},
	}
}

func decisionsOf(t *testing.T, d *Decisions, query string) (shown []map[string]any, body string) {
	t.Helper()
	w := asking{target: decisionsPath + query}.does(API(three(), two(), d, nil, otherwise()))
	var got struct{ Decisions []map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %v %s", w.Code, err, w.Body)
	}
	return got.Decisions, w.Body.String()
}

func TestDecisionsAreKeptFromTheFirstAskingOn(t *testing.T) {
	d := &Decisions{}
	d.Record(request("before"), check.Decision{Reason: check.Backend})
	if got, body := decisionsOf(t, d, ""); len(got) != 0 || !strings.Contains(body, `{"decisions":[]}`) {
		t.Errorf("before anybody asked: %s", body)
	}
	d.Record(request("one"), check.Decision{Reason: check.Backend, ID: "v1.s3cret", Outcome: check.Outcome{Err: errors.New("s3cret")}})
	d.Record(request("two"), check.Decision{Allow: true, Reason: check.Session, Route: "live", Session: "abc"})
	got, body := decisionsOf(t, d, "")
	if len(got) != 2 || got[0]["user_agent"] != "one" || got[1]["decision"] != "allow" || got[1]["session"] != "abc" {
		t.Errorf("%s", body)
	}
	if got[0]["path"] != "/live/a.m3u8" || got[0]["address"] != "192.0.2.7" || got[0]["reason"] != "backend" {
		t.Errorf("%s", body)
	}
	if strings.Contains(body, "s3cret") {
		t.Errorf("a token or an id that joins is shown: %s", body)
	}
}

func TestDecisionsAboutATextAreItsOwn(t *testing.T) {
	d := &Decisions{}
	decisionsOf(t, d, "?match=nonce")
	for i := range 3 * maxKept {
		d.Record(request("others"), check.Decision{Reason: check.Backend})
		if i == 0 {
			d.Record(request("probe/nonce"), check.Decision{Reason: check.Malformed, Outcome: check.Outcome{Err: errors.New("path has NUL")}})
			withQuery := request("x")
			withQuery.Query = "a=nonce"
			d.Record(withQuery, check.Decision{})
		}
	}
	got, body := decisionsOf(t, d, "?match=nonce")
	if len(got) != 2 || got[0]["user_agent"] != "probe/nonce" || got[0]["error"] != "path has NUL" {
		t.Errorf("%s", body)
	}
	for i := range maxKept + 3 {
		d.Record(request(fmt.Sprintf("nonce %d", i)), check.Decision{})
	}
	if got, _ := decisionsOf(t, d, "?match=nonce"); len(got) != maxKept || got[0]["user_agent"] != "nonce 3" {
		t.Errorf("%d, the oldest %v", len(got), got[0])
	}
}

func TestDecisionsAreForgottenWhenNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Decisions{}
		for i := range maxWatches {
			if _, ok := d.about(fmt.Sprint(i)); !ok {
				t.Fatal("refused")
			}
		}
		if _, ok := d.about("one more"); ok {
			t.Error("there is no bound")
		}
		time.Sleep(watchFor + time.Second)
		d.Record(request("0"), check.Decision{})
		if d.watches.Load() != nil {
			t.Error("they are still kept")
		}
		if kept, ok := d.about("one more"); !ok || len(kept) > 0 {
			t.Errorf("%v %v", kept, ok)
		}
	})
}

// TestADecisionThatNobodyAsksForCostsNothing holds the joined path.
func TestADecisionThatNobodyAsksForCostsNothing(t *testing.T) {
	d, r := &Decisions{}, request("x")
	if n := testing.AllocsPerRun(100, func() { d.Record(r, check.Decision{Allow: true, Reason: check.Session}) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	d.about("nonce")
	if n := testing.AllocsPerRun(100, func() { d.Record(r, check.Decision{Allow: true, Reason: check.Session}) }); n > 0 {
		t.Errorf("%v allocations for others while a doctor looks", n)
	}
}

// TestDecisionsTakeManyAtOnce is for the race detector.
func TestDecisionsTakeManyAtOnce(t *testing.T) {
	d := &Decisions{}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 200 {
				d.Record(request("x"), check.Decision{})
				d.about([]string{"", "x"}[i%2])
			}
		})
	}
	all.Wait()
	if kept, _ := d.about("x"); len(kept) == 0 {
		t.Error("nothing was kept")
	}
}

func TestDecisionsAreOnlyLookedAt(t *testing.T) {
	for _, test := range []struct {
		method, target string
		status         int
	}{
		{"DELETE", decisionsPath, 405},
		{"GET", decisionsPath + "?mach=x", 400},
		{"GET", decisionsPath + "?match=" + strings.Repeat("x", 600), 400},
		{"GET", decisionsPath + "/1", 404},
	} {
		if w := (asking{method: test.method, target: test.target}).does(API(three(), two(), &Decisions{}, nil, otherwise())); w.Code != test.status {
			t.Errorf("%s %s: %d %s", test.method, test.target, w.Code, w.Body)
		}
	}
}

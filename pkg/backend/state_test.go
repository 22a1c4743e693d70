package backend

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/altagate/altagate/pkg/preset"
)

func TestTheStateTellsWhatIsKnownOfEachAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		s := newScript()
		s.set("a:8080", silence, says(404))
		s.set("b", silence, refuse)
		s.set("c", silence, slowly(500*time.Millisecond, says(404)))
		ministra, _ := preset.Find("ministra")
		c := Config{Name: "portal", Preset: ministra}
		for _, u := range []string{"http://user:hunter2@a:8080/secret?key=hunter2", "https://b/secret", "http://c/"} {
			c.URLs = append(c.URLs, mustURL(t, u))
		}
		b, err := assemble(c, s.send)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		time.Sleep(time.Minute)
		b.Watch()
		synctest.Wait()
		asking := ask(t, b)
		synctest.Wait()
		watched := begun.Add(time.Minute)
		refused := "probing: dial tcp: connection refused"
		want := State{Name: "portal", Preset: "ministra", Up: true, Addresses: []AddressState{
			{Address: "http://a:8080", State: "there", Since: watched, Questions: 1},
			{Address: "https://b", State: "away", Since: watched, Why: refused},
			{Address: "http://c", State: "unknown", Since: begun},
		}}
		if diff := cmp.Diff(want, b.State()); diff != "" {
			t.Error(diff)
		}

		s.set("a:8080", silence, silence)
		<-asking
		time.Sleep(time.Second)
		want.Addresses[0].Questions, want.Addresses[0].Why = 0, "probing: context deadline exceeded"
		want.Addresses[2].State, want.Addresses[2].Since = "there", watched.Add(500*time.Millisecond)
		if diff := cmp.Diff(want, b.State()); diff != "" {
			t.Errorf("while an address is silent: %s", diff)
		}
		s.set("a:8080", silence, says(200))
		s.set("b", silence, says(200))
		time.Sleep(3 * time.Second)
		got := b.State().Addresses
		if got[0] != (AddressState{Address: "http://a:8080", State: "there", Since: watched}) {
			t.Errorf("after the silence: %+v", got[0])
		}
		if back := got[1]; back.State != "there" || back.Why != "" || !back.Since.After(watched.Add(time.Second)) {
			t.Errorf("after the return: %+v", back)
		}
	})
}

func TestAProbeThatFindsNothingOutForWantOfDescriptorsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.set("a", nil, noDescriptors)
		b := scripted(t, s, nil, "a")
		want := State{Preset: "custom", Name: "portal", Addresses: []AddressState{
			{Address: "http://a", State: "unknown", Since: s.begun, Why: "probing: dial tcp: too many open files"},
		}}
		if diff := cmp.Diff(want, b.State()); diff != "" {
			t.Error(diff)
		}
	})
}

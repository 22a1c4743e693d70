package cli

import (
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

func TestAConfigFileIsReadAgainWhenItChangesAndOneWithAMistakeIsNotTaken(t *testing.T) {
	allows, denies := portal(t), answering(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	path := file(t, oneRoute(allows.URL, ""))
	s := serving(t, "--config", path)
	const target = "/live/index.m3u8?token=123"
	if got := s.check(t, target); got != 200 {
		t.Errorf("at first: %d", got)
	}
	const other = "/other/index.m3u8?token=123" // no session of the first config's

	write(t, path, oneRoute(denies.URL, ""))
	s.log.until(t, `"message":"now in force: `, 1)
	if _, after, reloaded := strings.Cut(s.log.String(), `"message":"config reloaded"`); !reloaded || !strings.Contains(after, `"message":"now in force: `) {
		t.Errorf("the log does not say first that the config was reloaded:\n%s", s.log)
	}
	if got := s.check(t, other); got != 403 {
		t.Errorf("after the change: %d", got)
	}
	if got := s.check(t, target); got != 200 {
		t.Errorf("a session did not survive the reload: %d", got)
	}

	write(t, path, strings.Replace(oneRoute(allows.URL, ""), "backends: [portal]", "backends: [portl]", 1))
	s.log.until(t, "config not reloaded", 1)
	if got := s.check(t, other+"4"); got != 403 {
		t.Errorf("after the mistake: %d", got)
	}
	line := s.log.line(t, "config not reloaded")
	if line["level"] != "error" || line["error"] != path+`:4:28: routes[0].backends[0]: there is no backend "portl"; did you mean "portal"?` {
		t.Errorf("got %v", line)
	}
	metrics := s.scrape(t)
	for _, want := range []string{`altagate_config_reloads_total{result="ok"} 1`, `altagate_config_reloads_total{result="error"} 1`} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
}

// hangUp sends SIGHUP to this process: every running serve has asked for it. It
// waits until it has come, for one that came after the last serve would end the
// tests.
func hangUp(t *testing.T) {
	t.Helper()
	came := make(chan os.Signal, 1)
	signal.Notify(came, syscall.SIGHUP)
	defer signal.Stop(came)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	<-came
}

func TestAHangupReadsTheFileAgainAndTellsWhatNeedsARestart(t *testing.T) {
	path := file(t, oneRoute(portal(t).URL, ""))
	s := serving(t, "--config", path, "--log-level", "debug")
	hangUp(t)
	s.log.until(t, `"message":"now in force: `, 1)
	if strings.Contains(s.log.String(), "restart") {
		t.Errorf("nothing changed, and a restart is asked for:\n%s", s.log)
	}

	// The flag's log level and addresses stay; the format has no flag.
	write(t, path, "listen: {http: 127.0.0.1:1}\nlog: {level: error, format: console}\n"+oneRoute(portal(t).URL, ""))
	hangUp(t)
	s.log.until(t, "log format changed: it takes effect with a restart", 1)
	s.log.until(t, `"message":"now in force: `, 2)
	if strings.Contains(s.log.String(), "listen addresses changed") {
		t.Errorf("the flags' addresses did not change:\n%s", s.log)
	}
	if got := s.check(t, "/a?token=123"); got != 200 {
		t.Errorf("got %d", got)
	}
	s.log.until(t, `"decision":"allow"`, 1)
}

func TestAReloadChangesTheLogLevel(t *testing.T) {
	path := file(t, oneRoute(portal(t).URL, ""))
	s := serving(t, "--config", path)
	write(t, path, "log: {level: debug}\n"+oneRoute(portal(t).URL, ""))
	hangUp(t)
	s.log.until(t, `"message":"now in force: `, 1)
	if got := s.check(t, "/a?token=123"); got != 200 {
		t.Errorf("got %d", got)
	}
	s.log.until(t, `"decision":"allow"`, 1)
}

func TestAReloadChangesWhoMayAsk(t *testing.T) {
	path := file(t, oneRoute(portal(t).URL, ""))
	s := serving(t, "--config", path)
	if got := s.check(t, "/a?token=123"); got != 200 {
		t.Errorf("before: %d", got)
	}
	write(t, path, "callers: [192.0.2.0/24]\n"+oneRoute(portal(t).URL, ""))
	hangUp(t)
	s.log.until(t, `"message":"now in force: `, 1)
	if got := s.check(t, "/a?token=123"); got != 403 {
		t.Errorf("after: %d", got)
	}
}

func TestAHangupWithoutAFileEndsNothing(t *testing.T) {
	s := serving(t, "--backend", portal(t).URL)
	hangUp(t)
	if got := s.check(t, "/a?token=123"); got != 200 {
		t.Errorf("got %d", got)
	}
	if log := s.log.String(); strings.Contains(log, "reload") {
		t.Errorf("there is nothing to reload:\n%s", log)
	}
}

func TestOtherListenAddressesAskForARestart(t *testing.T) {
	path := file(t, "listen: {http: 'unix:"+t.TempDir()+"/a', grpc: '', admin: ''}\n"+oneRoute(portal(t).URL, ""))
	r := start(t, "serve", "--config", path)
	r.log.until(t, `"serving; `, 1)
	write(t, path, "listen: {http: 'unix:"+t.TempDir()+"/b', grpc: '', admin: ''}\ncallers: [192.0.2.0/24]\n"+oneRoute(portal(t).URL, ""))
	hangUp(t)
	r.log.until(t, "listen addresses changed: they take effect with a restart", 1)
	if r.stop(t) != 0 {
		t.Errorf("ended badly:\n%s", r.log)
	}
}

package cli

import (
	"regexp"
	"strings"
	"testing"
)

func demoArgs(more ...string) []string {
	return append([]string{
		"demo", "--edge", "127.0.0.1:0", "--origin", "127.0.0.1:0", "--demo-backend", "127.0.0.1:0",
		"--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0",
	}, more...)
}

// TestTheDemoIsThereWhenItSaysSo takes the lines that it prints at their word.
func TestTheDemoIsThereWhenItSaysSo(t *testing.T) {
	d := start(t, demoArgs()...)
	d.out.until(t, "End with Ctrl-C.\n", 1)
	if n := strings.Count(d.log.String(), "serving; "); n != 1 {
		t.Errorf("altagate had not begun to serve:\n%s", d.log)
	}
	said := d.out.String()
	for pattern, want := range map[string]struct {
		status int
		body   string
	}{
		`curl -i '(http://\S+token=123)'    # 200`:     {200, "#EXTM3U\n"},
		`curl -i '(http://\S+token=1)'      # 403`:     {403, "403: you may not watch this\n"},
		`curl -s '(http://\S+/metrics)' \| grep altag`: {200, "altagate_checks_total{"},
	} {
		line := regexp.MustCompile(pattern).FindStringSubmatch(said)
		if line == nil {
			t.Fatalf("no %s in\n%s", pattern, said)
		}
		if body := get(t, line[1], want.status); !strings.Contains(body, want.body) {
			t.Errorf("%s: got\n%s", line[1], body)
		}
	}
	origin := regexp.MustCompile(`The sample stream is also at (\S+), `).FindStringSubmatch(said)
	get(t, "http://"+origin[1]+"/live/index.m3u8", 200)
	for _, want := range []string{"/live/index.m3u8 for 127.0.0.1 and said 200 OK\n", "/live/index.m3u8 for 127.0.0.1 and said 403 Forbidden\n"} {
		if !strings.Contains(d.out.String(), want) {
			t.Errorf("no %q in\n%s", want, d.out)
		}
	}
	if line, _, _ := strings.Cut(d.log.String(), "\n"); !strings.Contains(line, " INF serving; ") || !strings.Contains(line, "; --on-unavailable allow chooses that)") {
		t.Errorf("the first line is %q", line)
	}
	if code := d.stop(t); code != 0 || strings.HasPrefix(d.log.String(), "{") {
		t.Errorf("exit code %d, log\n%s", code, d.log)
	}
}

func TestTheDemoSaysWhyItDoesNotStart(t *testing.T) {
	used := taken(t)
	inUse := used + " is in use (is another altagate or its demo running?): stop what listens there, or choose another address"
	for _, test := range []struct{ flag, value, want string }{
		{"edge", used, "--edge: " + inUse},
		{"origin", used, "--origin: " + inUse},
		{"demo-backend", used, "--demo-backend: " + inUse},
		{"http", used, "listening for http: " + inUse},
		{"http", "", "the demo's edge asks over HTTP: give --http an address"},
		{"on-unavailable", "pass", `--on-unavailable: "pass" is none of: deny, allow`},
		{"log-format", "xml", `--log-format: "xml" is none of: json, console`},
	} {
		code, stdout, stderr := ran(t, demoArgs("--"+test.flag, test.value)...)
		if code != 1 || stdout != "" || stderr != "altagate: "+test.want+"\n" {
			t.Errorf("--%s %q: exit code %d\n%s%s", test.flag, test.value, code, stdout, stderr)
		}
	}
}

func TestTheDemoLogsInJSONIfToldSoAndLeavesOutWhatIsOff(t *testing.T) {
	d := start(t, demoArgs("--log-format", "json", "--admin", "")...)
	d.out.until(t, "End with Ctrl-C.\n", 1)
	if line := d.log.line(t, "serving; "); line["admin"] != nil || strings.Contains(d.out.String(), "metrics") {
		t.Errorf("got %v\n%s", line, d.out)
	}
}

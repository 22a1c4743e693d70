package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestFlagsWinOverTheEnvironmentAndTheEnvironmentOverTheFile(t *testing.T) {
	dir := t.TempDir()
	config := file(t, fmt.Sprintf("listen: {http: 'unix:%s/file', grpc: '', admin: ''}\n", dir)+oneRoute("http://"+nobody(t)+"/", ""))
	for _, test := range []struct {
		name, env string
		args      []string
		want      string
	}{
		{"file", "", nil, "file"},
		{"environment", "env", nil, "env"},
		{"flag", "env", []string{"--http", "unix:" + dir + "/flag"}, "flag"},
		{"flag without environment", "", []string{"--http", "unix:" + dir + "/flag"}, "flag"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("ALTAGATE_CONFIG", config)
			if test.env != "" {
				t.Setenv("ALTAGATE_HTTP", "unix:"+dir+"/"+test.env)
			}
			r := start(t, append([]string{"serve"}, test.args...)...)
			r.log.until(t, `"serving; `, 1)
			line := r.log.line(t, `"serving; `)
			if got, want := line["http"], "unix:"+dir+"/"+test.want; got != want {
				t.Errorf("listens on %v, want %s", got, want)
			}
			if line["grpc"] != nil || line["admin"] != nil {
				t.Errorf("what is turned off listens: %v", line)
			}
		})
	}
}

func TestAListInTheEnvironmentIsSeparatedBySpaces(t *testing.T) {
	a, b := nobody(t), nobody(t)
	t.Setenv("ALTAGATE_BACKEND", " http://"+a+"/x  http://"+b+"/y ")
	t.Setenv("ALTAGATE_ON_UNAVAILABLE", "allow")
	s := serving(t)
	want := []any{"backend-1 at http://" + a + "/x", "backend-2 at http://" + b + "/y"}
	if diff := cmp.Diff(want, s.log.line(t, `"serving; `)["asks"]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestAMistakeNamesTheFlagOrTheVariable gives each wrong value both ways.
func TestAMistakeNamesTheFlagOrTheVariable(t *testing.T) {
	for _, test := range []struct{ flag, value, says string }{
		{"backend", "10.0.0.5/auth", "the backend URL has no scheme: write http://10.0.0.5/auth"},
		{"backend", "http://user:s3cret@10.0.0.5:x/", "the backend URL is not a URL: "},
		{"preset", "Ministra", `"Ministra" is none of: custom, ministra`},
		{"on-unavailable", "pass", `"pass" is none of: deny, allow`},
		{"grace", "forever", `"forever" is not a time: write a number and a unit without a space, as in 10m or 24h`},
		{"grace", "10", "has no unit: write 10s if seconds are meant"},
		{"state", "/var/lib/altagate/", "ends with / and so names a directory: write the path of a file"},
		{"http", "9180", `"9180" is no address to listen on: write host:port`},
		{"grpc", "localhost:http", `"localhost:http" has no port from 0 to 65535`},
		{"admin", "unix:relative", "a Unix socket is written unix:/path"},
		{"callers", "10.0.0.1/8", `"10.0.0.1/8" is an address within a network: write 10.0.0.0/8`},
		{"log-level", "loud", `"loud" is none of: debug, info, warn, error`},
		{"log-format", "", `"" is none of: json, console`},
	} {
		for _, environment := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", test.flag, environment), func(t *testing.T) {
				// Whatever is taken by mistake must not listen on a real port.
				t.Setenv("ALTAGATE_HTTP", "127.0.0.1:0")
				t.Setenv("ALTAGATE_GRPC", "127.0.0.1:0")
				t.Setenv("ALTAGATE_ADMIN", "127.0.0.1:0")
				args, by := []string{"serve"}, "--"+test.flag
				if test.flag != "backend" {
					args = append(args, "--backend", "http://"+nobody(t))
				}
				if environment {
					by = variable(test.flag)
					t.Setenv(by, test.value)
				} else {
					args = append(args, by+"="+test.value)
				}
				code, stdout, stderr := ran(t, args...)
				if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "altagate: "+by+": "+test.says) || strings.Count(stderr, "\n") != 1 {
					t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
				}
				if strings.Contains(stderr, "s3cret") {
					t.Errorf("a password is shown: %s", stderr)
				}
			})
		}
	}
}

func TestAVariableThatItsFlagDoesNotTakeIsNamed(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.Bool("fast", false, "")
	err := fromEnvironment(flags, func(name string) (string, bool) { return "perhaps", name == "ALTAGATE_FAST" })
	if err == nil || !strings.HasPrefix(err.Error(), "environment variable ALTAGATE_FAST: ") {
		t.Errorf("got %v", err)
	}
}

func TestAConfigFileAndABackendExcludeEachOther(t *testing.T) {
	config := file(t, oneRoute("http://"+nobody(t), ""))
	for _, test := range []struct {
		name string
		env  map[string]string
		args []string
		says string
	}{
		{"flags", nil, []string{"--config", config, "--backend", "http://a"}, "--config and --backend are both given: "},
		{"policy", nil, []string{"--config", config, "--on-unavailable", "deny"}, "--config and --on-unavailable are both given: "},
		{
			"a variable and a flag", map[string]string{"ALTAGATE_BACKEND": "http://a"}, []string{"--config", config},
			"--config and ALTAGATE_BACKEND are both given: ",
		},
		{
			"variables", map[string]string{"ALTAGATE_CONFIG": config, "ALTAGATE_ON_UNAVAILABLE": "allow"}, nil,
			"ALTAGATE_CONFIG and ALTAGATE_ON_UNAVAILABLE are both given: ",
		},
	} {
		for command, want := range map[string]int{"serve": 1, "check": 3} {
			t.Run(test.name+"/"+command, func(t *testing.T) {
				for name, value := range test.env {
					t.Setenv(name, value)
				}
				args := append([]string{command}, test.args...)
				if command == "check" {
					args = append(args, "http://tv.example.com/")
				}
				code, stdout, stderr := ran(t, args...)
				if code != want || stdout != "" || !strings.HasPrefix(stderr, "altagate: "+test.says) {
					t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
				}
			})
		}
	}
}

func TestAConfigFileExcludesTheFlagsThatGoWithABackend(t *testing.T) {
	config := file(t, oneRoute("http://"+nobody(t), ""))
	for flag, value := range map[string]string{"preset": "ministra", "grace": "10m"} {
		for _, environment := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", flag, environment), func(t *testing.T) {
				args, by := []string{"serve", "--config", config, "--http", "127.0.0.1:0", "--grpc", "", "--admin", ""}, "--"+flag
				if environment {
					by = variable(flag)
					t.Setenv(by, value)
				} else {
					args = append(args, by, value)
				}
				code, stdout, stderr := ran(t, args...)
				if code != 1 || stdout != "" || !strings.HasPrefix(stderr, "altagate: --config and "+by+" are both given: ") {
					t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
				}
			})
		}
	}
}

func TestFlagsSayHowABackendIsAskedAndWhereSessionsAreKept(t *testing.T) {
	var s settings
	cmd := &cobra.Command{}
	s.sourceFlags(cmd)
	s.listenFlags(cmd, "json")
	if err := s.flags.Parse([]string{"--backend", "http://a", "--backend", "http://b", "--preset", "ministra", "--grace", "0s", "--state", "st"}); err != nil {
		t.Fatal(err)
	}
	cfg, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Backends[0].Preset != "ministra" || cfg.Backends[1].Preset != "ministra" || cfg.Routes[0].Grace != 0 || cfg.State != "st" {
		t.Errorf("got %+v", cfg)
	}
}

func TestTheStateFlagWinsOverTheFileAndEmptyTurnsItOff(t *testing.T) {
	path := file(t, "state: of-the-file\n"+oneRoute("http://"+nobody(t), ""))
	for _, test := range []struct {
		args []string
		want string
	}{{nil, "of-the-file"}, {[]string{"--state", "of-the-flag"}, "of-the-flag"}, {[]string{"--state", ""}, ""}} {
		var s settings
		cmd := &cobra.Command{}
		s.sourceFlags(cmd)
		s.listenFlags(cmd, "json")
		if err := s.flags.Parse(append([]string{"--config", path}, test.args...)); err != nil {
			t.Fatal(err)
		}
		if cfg, err := s.load(); err != nil || cfg.State != test.want {
			t.Errorf("%v: got %+v, %v", test.args, cfg, err)
		}
	}
}

func TestServeSaysWhyItDoesNotStart(t *testing.T) {
	used := taken(t)
	wrong := file(t, "backends:\n  portal: {url: 10.0.0.5, tiemout: 2s}\nroutes: [{name: all, backends: [portal]}]\n")
	missing := t.TempDir() + "/none.yaml"
	url := "http://" + nobody(t)
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{
			"a port in use", []string{"--backend", url, "--http", used},
			"listening for http: " + used + " is in use (is another altagate or its demo running?): stop what listens there, or choose another address",
		},
		{
			"an admin port in use", []string{"--backend", url, "--admin", used},
			"listening for admin: " + used + " is in use (is another altagate or its demo running?): stop what listens there, or choose another address",
		},
		{
			"everybody could ask", []string{"--backend", url, "--http", "0.0.0.0:0"},
			"checks are listened for on 0.0.0.0:0, where more than this machine can ask: " +
				"say who may with --callers CIDR (in the config: callers, or listen_tls.client_ca for who shows a certificate), or listen on loopback or a Unix socket",
		},
		{"nobody could ask", []string{"--backend", url, "--http", "", "--grpc", ""}, "no listener for checks: give --http or --grpc an address"},
		{"no backend", nil, "no backend: give --backend URL, or --config FILE ('altagate config example' prints one)"},
		{
			"mistakes in the file", []string{"--config", wrong},
			wrong + ":2:17: backends.portal.url: has no scheme: write http://10.0.0.5\n" +
				wrong + `:2:27: backends.portal: unknown key "tiemout"; did you mean "timeout"?`,
		},
		{"no file", []string{"--config", missing}, "reading the config file: open " + missing + ": no such file or directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			// The log level leaves out what the first probe may find in time.
			args := append([]string{"serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-level", "error"}, test.args...)
			code, stdout, stderr := ran(t, args...)
			if diff := cmp.Diff("altagate: "+test.want+"\n", stderr); code != 1 || stdout != "" || diff != "" {
				t.Errorf("exit code %d, %q (-want +got)\n%s", code, stdout, diff)
			}
		})
	}
}

func TestCallersMakeAnOpenListenerFine(t *testing.T) {
	s := serving(t, "--backend", portal(t).URL, "--http", "0.0.0.0:0", "--callers", "127.0.0.0/8")
	s.http = strings.Replace(s.http, "[::]", "127.0.0.1", 1)
	s.http = strings.Replace(s.http, "0.0.0.0", "127.0.0.1", 1)
	if got := s.check(t, "/live/index.m3u8?token=123"); got != 200 {
		t.Errorf("a caller who may: %d", got)
	}
	closed := serving(t, "--backend", portal(t).URL, "--callers", "192.0.2.0/24")
	if got := closed.check(t, "/live/index.m3u8?token=123"); got != 403 {
		t.Errorf("a caller who may not: %d", got)
	}
}

package cli

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// flagsOf gives the flags of a command by name, with their defaults.
func flagsOf(t *testing.T, command string) map[string]string {
	t.Helper()
	cmd, _, err := rootCommand(Build{}).Find([]string{command})
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]string{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) { flags[f.Name] = f.DefValue })
	return flags
}

func TestServeHasTheFlagsOfTheContract(t *testing.T) {
	want := map[string]string{
		"config": "", "backend": "[]", "preset": "custom", "on-unavailable": "deny", "grace": "10m", "callers": "[]", "state": "",
		"http": "127.0.0.1:9180", "grpc": "127.0.0.1:9181", "admin": "127.0.0.1:9182",
		"log-level": "info", "log-format": "json",
	}
	if diff := cmp.Diff(want, flagsOf(t, "serve")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHelpShowsTheVariableAndTheDefaultOfEachFlag(t *testing.T) {
	for _, command := range []string{"serve", "demo", "check"} {
		code, help, _ := ran(t, command, "--help")
		if code != 0 {
			t.Errorf("%s --help: exit code %d", command, code)
		}
		for name, value := range flagsOf(t, command) {
			i := strings.Index(help, "      --"+name+" ")
			if i < 0 {
				t.Errorf("%s --help does not show --%s", command, name)
				continue
			}
			line, _, _ := strings.Cut(help[i:], "\n")
			if !strings.Contains(line, "(env ALTAGATE_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))) {
				t.Errorf("%s: %q names no variable", command, line)
			}
			if value != "" && value != "[]" && !strings.HasSuffix(line, `(default "`+value+`")`) {
				t.Errorf("%s: %q does not show the default %s", command, line, value)
			}
		}
	}
}

func TestOnlyServeReadsItsConfigAgain(t *testing.T) {
	for command, want := range map[string]bool{"serve": true, "check": false} {
		if _, help, _ := ran(t, command, "--help"); strings.Contains(help, "SIGHUP and when") != want {
			t.Errorf("%s --help speaks of a reload: %v, want %v", command, !want, want)
		}
	}
}

func TestHelpShowsTheTimeoutWithItsUnit(t *testing.T) {
	if _, help, _ := ran(t, "serve", "--help"); !strings.Contains(help, "timeout 2s each") {
		t.Errorf("got\n%s", help)
	}
}

func TestAMistakeInTheCommandLineHasAHintAndAnExitCode(t *testing.T) {
	for _, test := range []struct {
		args string
		code int
		says string
		hint string
	}{
		{"srve", 1, `unknown command "srve"`, "altagate"},
		{"--prot", 1, "unknown flag: --prot", "altagate"},
		{"serve --prot", 1, "unknown flag: --prot", "altagate serve"},
		{"serve --http", 1, "flag needs an argument: --http", "altagate serve"},
		{"serve now", 1, `"now"`, "altagate serve"},
		{"demo --prot", 1, "unknown flag: --prot", "altagate demo"},
		{"demo now", 1, `"now"`, "altagate demo"},
		{"config now", 1, `unknown command "now"`, "altagate config"},
		{"config validate", 1, "takes one FILE", "altagate config validate"},
		{"config validate a b", 1, "takes one FILE", "altagate config validate"},
		{"config example now", 1, `"now"`, "altagate config example"},
		{"config schema --prot", 1, "unknown flag: --prot", "altagate config schema"},
		{"version now", 1, `"now"`, "altagate version"},
		{"check", 3, "takes one URL", "altagate check"},
		{"check http://a/ http://b/", 3, "takes one URL", "altagate check"},
		{"check --prot", 3, "unknown flag: --prot", "altagate check"},
	} {
		code, stdout, stderr := ran(t, strings.Fields(test.args)...)
		hint := "'" + test.hint + " --help' shows what it takes.\n"
		if code != test.code || stdout != "" || !strings.HasPrefix(stderr, "altagate: ") ||
			!strings.Contains(stderr, test.says) || !strings.HasSuffix(stderr, hint) {
			t.Errorf("%s: exit code %d, want %d\n%s%s", test.args, code, test.code, stdout, stderr)
		}
	}
}

func TestASlipInACommandIsPutRight(t *testing.T) {
	if _, _, stderr := ran(t, "srve"); !strings.Contains(stderr, "\tserve\n") {
		t.Errorf("got\n%s", stderr)
	}
}

func TestWithoutACommandTheCommandsAreShown(t *testing.T) {
	for args, want := range map[string][]string{
		"":       {"serve", "demo", "check", "config", "version", "completion"},
		"config": {"validate", "example", "schema"},
	} {
		code, help, _ := ran(t, strings.Fields(args)...)
		for _, command := range want {
			if code != 0 || !strings.Contains(help, "\n  "+command+" ") {
				t.Errorf("%q: exit code %d, no %s in\n%s", args, code, command, help)
			}
		}
	}
}

func TestVersionTellsWhatWasBuilt(t *testing.T) {
	want := "altagate v1.2.3\ncommit 0123abc\n" + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + "\n"
	for _, args := range []string{"version", "--version"} {
		out, errs := newScreen(), newScreen()
		code := run(t.Context(), []string{args}, Build{Version: "v1.2.3", Commit: "0123abc"}, out, errs)
		if code != 0 || out.String() != want || errs.String() != "" {
			t.Errorf("%s: exit code %d: %q, %q", args, code, out, errs)
		}
	}
	if _, stdout, _ := ran(t, "version"); strings.Contains(stdout, "altagate \n") || strings.Contains(stdout, "commit \n") {
		t.Errorf("a build without a name: %q", stdout)
	}
}

func TestEveryShellHasItsCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, script, _ := ran(t, "completion", shell); code != 0 || !strings.Contains(script, "altagate") {
			t.Errorf("%s: exit code %d, %d bytes", shell, code, len(script))
		}
	}
	for command, flags := range map[string]map[string]string{
		"serve": {"preset": "custom ministra iptvportal smarty flussonic astra", "on-unavailable": "deny allow", "log-level": "debug info warn error", "log-format": "json console"},
		"demo":  {"on-unavailable": "deny allow", "log-level": "debug info warn error", "log-format": "json console"},
		"check": {"on-unavailable": "deny allow"},
	} {
		for flag, want := range flags {
			_, offered, _ := ran(t, "__complete", command, "--"+flag, "")
			if values, _, _ := strings.Cut(offered, "\n:"); strings.ReplaceAll(values, "\n", " ") != want {
				t.Errorf("%s --%s: offered %q, want %q", command, flag, values, want)
			}
		}
	}
	_, offered, _ := ran(t, "__complete", "serve", "--o")
	if !slices.ContainsFunc(strings.Split(offered, "\n"), func(line string) bool { return strings.HasPrefix(line, "--on-unavailable\t") }) {
		t.Errorf("offered %q", offered)
	}
}

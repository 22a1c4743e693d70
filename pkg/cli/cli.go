// Package cli is altagate's command line: it reads flags, environment and
// config, and wires the other packages together.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Build says which altagate this is.
type Build struct {
	// Version is a release's name; empty for a build from a work tree.
	Version string
	// Commit is the revision that was built; empty takes it from the Go
	// toolchain's own build information.
	Commit string
}

// exitError ends the process with a code of its own and prints nothing: the
// command has said everything.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// usageError is a mistake in the command line itself, as against one in what it
// names.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

// Main runs the command that args name (without the program's own name) and
// returns the exit code. SIGINT and SIGTERM end it gracefully.
func Main(args []string, build Build) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// net/http's client writes to the standard logger, and quotes replies: serve
	// hands its lines on without that.
	log.SetFlags(0)
	log.SetOutput(io.Discard)
	limitMemory()
	return run(ctx, args, build, os.Stdout, os.Stderr)
}

func run(ctx context.Context, args []string, build Build, stdout, stderr io.Writer) int {
	root := rootCommand(build)
	if slices.Equal(args, []string{"--version"}) {
		args = []string{"version"} // cobra's own flag links text/template, a third of the binary
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	var usage *usageError
	hint := ""
	if errors.As(err, &usage) || !cmd.HasParent() {
		hint = fmt.Sprintf("'%s --help' shows what it takes.\n", cmd.CommandPath())
	}
	fmt.Fprintf(stderr, "altagate: %s\n%s", strings.TrimSpace(err.Error()), hint) //nolint:errcheck // there is nobody else to tell
	if cmd.Name() == checkName || cmd.Name() == doctorName {
		return exitUsage
	}
	return 1
}

func rootCommand(build Build) *cobra.Command {
	root := &cobra.Command{
		Use:   "altagate",
		Short: "The authorization sidecar for streaming edges",
		Long: `altagate answers a proxy (nginx, Envoy, HAProxy, Caddy, Traefik) about each viewer
request, by asking your HTTP backend the way Cesbo Alta does: a GET with the
viewer's query and X-Session-Id, X-Real-Ip, X-Real-Path, X-Real-Origin and
X-Real-Ua. Status 200 allows, anything else denies.

Every flag has an environment variable: --on-unavailable is
ALTAGATE_ON_UNAVAILABLE. Flags win over the environment, the environment over
the config file.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(build), demoCommand(build), checkCommand(), doctorCommand(), configCommand(), versionCommand(build))
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd.Flags(), os.LookupEnv) }
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	prepare(root)
	return root
}

// prepare adds to a command, and to all below it, what they have in common:
// each flag's help names its environment variable, and a wrong argument is a
// usageError.
func prepare(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		note := " (env " + variable(f.Name)
		if isList(f) {
			note += ", several separated by spaces"
		}
		f.Usage += note + ")"
	})
	if take := cmd.Args; take != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := take(cmd, args); err != nil {
				return &usageError{err}
			}
			return nil
		}
	}
	for _, below := range cmd.Commands() {
		prepare(below)
	}
}

// fromVariable marks a flag whose value is that of its environment variable.
const fromVariable = "from the environment"

// fromEnvironment gives each flag that was not on the command line the value of
// its environment variable. A list takes several values separated by spaces.
func fromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var mistakes []error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" {
			return
		}
		name := variable(f.Name)
		text, ok := lookup(name)
		if !ok {
			return
		}
		values := []string{text}
		if isList(f) {
			values = strings.Fields(text)
		}
		for _, v := range values {
			err := errors.Join(flags.Set(f.Name, v), flags.SetAnnotation(f.Name, fromVariable, nil))
			if err != nil {
				mistakes = append(mistakes, fmt.Errorf("environment variable %s: %w", name, err))
			}
		}
	})
	return errors.Join(mistakes...)
}

// isList says whether a flag can be given again.
func isList(f *pflag.Flag) bool {
	_, list := f.Value.(pflag.SliceValue)
	return list
}

// called is what the user gave a flag's value by: "--http", or the name of its
// environment variable.
func called(flags *pflag.FlagSet, name string) string {
	if f := flags.Lookup(name); f != nil {
		if _, ok := f.Annotations[fromVariable]; ok {
			return variable(name)
		}
	}
	return "--" + name
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "ALTAGATE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func versionCommand(build Build) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), build.complete().text())
			return err
		},
	}
}

// text is what the command version prints.
func (b Build) text() string {
	return fmt.Sprintf("altagate %s\ncommit %s\n%s %s/%s\n", b.Version, b.Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// complete fills what the release build did not set from what the Go toolchain
// recorded.
func (b Build) complete() Build {
	info, ok := debug.ReadBuildInfo()
	if ok && b.Version == "" {
		b.Version = info.Main.Version
	}
	if ok && b.Commit == "" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = s.Value
			}
		}
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "unreleased"
	}
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return b
}

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/altagate/altagate/pkg/certs"
	"github.com/altagate/altagate/pkg/config"
	"github.com/altagate/altagate/pkg/country"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check a config, print an example or its schema",
		Args:  knownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		DisableFlagsInUseLine: true,
	}
	cmd.AddCommand(
		&cobra.Command{
			Use:   "validate FILE",
			Short: "Report every mistake of a config at its line and column",
			Long: `validate reads a config as serve would and prints every mistake, unknown keys
included. Exit code 0 if there is none, 1 if there is one. A note tells what is valid
and may not be meant, and which of the files that the config names (certificates,
keys and other secrets, state) this user cannot use on this machine, so that serve
would not start here.`,
			Args: oneFile,
			RunE: validate,
		},
		printCommand("example", "Print an annotated config with every key and its default", config.Example),
		printCommand("schema", "Print the JSON Schema of the config, for editors", config.Schema),
	)
	return cmd
}

func oneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("validate takes one FILE, such as altagate.yaml")
	}
	return nil
}

// knownCommand refuses what is no command below cmd.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	}
	return nil
}

func validate(cmd *cobra.Command, args []string) error {
	file := args[0]
	cfg, err := config.Load(file)
	var mistakes config.Mistakes
	if errors.As(err, &mistakes) {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), inFile(file, err)); err != nil {
			return err
		}
		return &exitError{code: 1}
	}
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s: fine: %s, %s\n", file, count(len(cfg.Backends), "backend"), count(len(cfg.Routes), "route"))
	for _, warning := range append(fileNotes(cfg), cfg.Warnings()...) {
		text += fmt.Sprintf("%s: note: %s\n", file, warning)
	}
	_, err = io.WriteString(cmd.OutOrStdout(), text)
	return err
}

// fileNotes opens the files that a config names, and tells what is wrong with
// them. A config may be validated on a machine that does not have them, so this is
// no mistake of its own.
func fileNotes(cfg *config.Config) []string {
	var notes []string
	if _, err := config.LoadKeys(cfg.Keys); err != nil {
		notes = append(notes, err.Error())
	}
	for i, r := range cfg.Routes {
		if _, err := config.LoadTokenSecrets(r.SecureToken); err != nil {
			notes = append(notes, fmt.Sprintf("routes[%d].%v", i, err))
		}
	}
	if cfg.CountryFile != "" {
		if _, err := country.Open(cfg.CountryFile); err != nil {
			notes = append(notes, "country_file: "+err.Error())
		}
	}
	if directory, err := os.Stat(filepath.Dir(cfg.State)); err != nil {
		notes = append(notes, "state: "+err.Error())
	} else if !directory.IsDir() {
		notes = append(notes, "state: "+filepath.Dir(cfg.State)+" is not a directory")
	}
	if _, err := readSecrets(cfg); err != nil {
		notes = append(notes, err.Error())
	}
	for _, c := range cfg.Backends {
		if _, err := certs.Read(certs.Files{CA: c.CAFile}); err != nil {
			notes = append(notes, "backends."+c.Name+".ca_file: "+err.Error())
		}
		if _, err := certs.Read(certs.Files{Cert: c.ClientCert, Key: c.ClientKey}); err != nil {
			notes = append(notes, "backends."+c.Name+".client_cert: "+err.Error())
		}
	}
	for i, note := range notes {
		notes[i] = "serve would not start here: " + note
	}
	return notes
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func printCommand(name, short string, text func() []byte) *cobra.Command {
	return &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(text())
			return err
		},
	}
}

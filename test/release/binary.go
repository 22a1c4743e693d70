package main

import (
	"debug/elf"
	"debug/macho"
	"errors"
	"fmt"
	"path/filepath"
)

// isWhatItsNameSays reads a binary's header: which system and processor it is for, and
// for Linux that it needs no library.
func isWhatItsNameSays(path string) error {
	var name string
	if f, err := elf.Open(path); err == nil {
		defer f.Close()
		if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
			return fmt.Errorf("%s is not static: it needs %q", path, libraries)
		}
		name = map[elf.Machine]string{elf.EM_X86_64: "altagate-linux-amd64", elf.EM_AARCH64: "altagate-linux-arm64"}[f.Machine]
	} else if f, err := macho.Open(path); err == nil {
		defer f.Close()
		name = map[macho.Cpu]string{macho.CpuAmd64: "altagate-darwin-amd64", macho.CpuArm64: "altagate-darwin-arm64"}[f.Cpu]
	} else {
		return errors.New(path + " is no program for Linux or macOS")
	}
	if filepath.Base(path) != name {
		return fmt.Errorf("%s is %q by its header", path, name)
	}
	return nil
}

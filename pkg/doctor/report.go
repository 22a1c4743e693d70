package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Report is all that was looked at.
type Report struct {
	Sections []*Section `json:"sections"`
	// Findings counts those of all sections.
	Findings int `json:"findings"`
}

// The exit codes of a doctor.
const (
	// Sound: nothing was found.
	Sound = 0
	// Findings: something was found, whatever else.
	Findings = 1
	// Blind: nothing was found, and something that was to be looked at could not be.
	Blind = 2
)

// Count counts the findings, and gives the exit code.
func (r *Report) Count() int {
	r.Findings = 0
	code := Sound
	for _, s := range r.Sections {
		r.Findings += len(s.Findings)
		if s.Failed != "" {
			code = Blind
		}
	}
	if r.Findings > 0 {
		return Findings
	}
	return code
}

// JSON writes the report for programs.
func (r *Report) JSON(to io.Writer) error {
	r.Count()
	out := json.NewEncoder(to)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(r)
}

// Text writes the report for people. What came from a config or from the network
// cannot drive the terminal.
func (r *Report) Text(to io.Writer) error {
	r.Count()
	var b strings.Builder
	for _, s := range r.Sections {
		s.text(&b)
	}
	switch {
	case r.Findings > 0:
		fmt.Fprintf(&b, "%d found. docs/doctor.md explains each.\n", r.Findings)
	case r.Count() == Blind:
		b.WriteString("Nothing was found in what could be looked at; see above for what could not.\n")
	default:
		b.WriteString("Nothing was found.\n")
	}
	_, err := io.WriteString(to, b.String())
	return err
}

func (s *Section) text(b *strings.Builder) {
	line := func(mark, format string, args ...any) {
		fmt.Fprintf(b, "  %-7s  %s\n", mark, printable(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintln(b, printable(s.Title))
	if s.Failed != "" {
		line("FAILED", "%s", s.Failed)
	}
	for _, severity := range []Severity{Error, Warning} {
		for _, f := range s.Findings {
			if f.Severity != severity {
				continue
			}
			line(strings.ToUpper(string(f.Severity)), "%s", f.ID)
			if f.Where != "" {
				line("", "at     %s", f.Where)
			}
			line("", "found  %s", f.What)
			line("", "why    %s", f.Why)
			for i, w := range f.Write {
				line("", "%-5s  %s", []string{"do", ""}[min(i, 1)], w)
			}
		}
	}
	for _, fine := range s.Fine {
		line("ok", "%s", fine)
	}
	for _, unseen := range s.Unseen {
		line("unseen", "%s", unseen)
	}
	b.WriteString("\n")
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, text)
}

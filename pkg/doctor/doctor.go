// Package doctor holds the words for what is wrong with a deployment. The packages
// below it look: nginxconf and envoyconf at the configs of proxies, edge at a
// running edge from outside.
package doctor

import (
	"fmt"
	"slices"
)

// Severity says how bad a finding is.
type Severity string

// The severities of a finding.
const (
	// Error: somebody may watch who must not, or can make altagate or the origin
	// believe what he wrote.
	Error Severity = "error"
	// Warning: it breaks or costs something, or it is one step away from an Error.
	Warning Severity = "warning"
)

// Kind is one thing that can be wrong. Its ID and what it means are in
// docs/doctor.md.
type Kind struct {
	// ID never changes its meaning: pipelines know it.
	ID       string
	Severity Severity
	// Why says what comes of it.
	Why string
}

// Finding is one place where something is wrong.
type Finding struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// Where is "file:line", a URL, or empty if it is nowhere in particular.
	Where string `json:"where,omitempty"`
	What  string `json:"what"`
	Why   string `json:"why"`
	// Write are the lines to put in, or what to do.
	Write []string `json:"write,omitempty"`
}

// Section is what came of looking at one thing.
type Section struct {
	// Title names the thing.
	Title    string    `json:"title"`
	Findings []Finding `json:"findings"`
	// Fine are the things that were looked at and are as they should be.
	Fine []string `json:"ok"`
	// Unseen are the things that could not be looked at, each with the reason.
	Unseen []string `json:"not_seen"`
	// Failed is set where there was nothing to look at, though the operator said
	// that there is: it is why.
	Failed string `json:"failed,omitempty"`
}

// NewSection is a section with nothing in it. Its lists are empty, not nil: as JSON
// they are lists in any case.
func NewSection(title string) *Section {
	return &Section{Title: title, Findings: []Finding{}, Fine: []string{}, Unseen: []string{}}
}

// Add adds a finding, once: the same at the same place is added no second time.
func (s *Section) Add(k Kind, where, what string, write ...string) {
	for _, f := range s.Findings {
		if f.ID == k.ID && f.Where == where && f.What == what {
			return
		}
	}
	s.Findings = append(s.Findings, Finding{ID: k.ID, Severity: k.Severity, Where: where, What: what, Why: k.Why, Write: write})
}

// Is adds a line about something that is as it should be.
func (s *Section) Is(format string, args ...any) {
	s.Fine = append(s.Fine, fmt.Sprintf(format, args...))
}

// Cannot adds a line about something that could not be looked at.
func (s *Section) Cannot(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !slices.Contains(s.Unseen, line) {
		s.Unseen = append(s.Unseen, line)
	}
}

// Found says whether there is a finding of one of the kinds.
func (s *Section) Found(kinds ...Kind) bool {
	return slices.ContainsFunc(s.Findings, func(f Finding) bool {
		return slices.ContainsFunc(kinds, func(k Kind) bool { return k.ID == f.ID })
	})
}

// Facts are what is known of altagate when somebody else's config is read.
type Facts struct {
	// Checks are the addresses on which altagate takes checks, and Admin is that of
	// its admin listener: host:port or unix:/path.
	Checks []string
	Admin  string
	// Timeout is the longest that a backend may take, in seconds.
	Timeout float64
}

// Decided is one decision that altagate made, as its API tells of it.
type Decided struct {
	Time      string `json:"time"`
	Proxy     string `json:"proxy"`
	Route     string `json:"route"`
	Decision  string `json:"decision"`
	Reason    string `json:"reason"`
	Method    string `json:"method"`
	Scheme    string `json:"scheme"`
	Host      string `json:"host"`
	Path      string `json:"path"`
	Address   string `json:"address"`
	UserAgent string `json:"user_agent"`
	Session   string `json:"session"`
	Error     string `json:"error"`
}

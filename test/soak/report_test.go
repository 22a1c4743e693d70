package soak

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// count counts an answer for the report.
func (v *verdict) count(a answer, c checked) {
	name := v.phaseAt(a.start)
	if v.seen[name] == nil {
		v.seen[name] = map[string]int{}
	}
	who := "viewers"
	if a.attack != "" {
		who = "attackers"
		v.attacked[a.attack]++
	}
	v.seen[name][who+" "+word200(a)+" "+c.reason]++
	if a.attack != "" {
		return
	}
	kind := "with a session"
	if a.entry {
		kind = "newcomers"
	}
	v.took[a.edge+", "+kind] = append(v.took[a.edge+", "+kind], a.took)
}

func word200(a answer) string {
	switch {
	case a.status == 200:
		return "200"
	case a.gone:
		return "gone"
	case a.status == 0:
		return "none"
	case a.status == 403:
		return "403"
	default:
		return fmt.Sprint(a.status)
	}
}

// report prints what was seen.
func (v *verdict) report(w io.Writer) {
	fmt.Fprintln(w, "answers by the fault in force when the request began:")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var names []fault
	for _, p := range v.phases {
		if !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	for _, name := range append(names, "afterwards") {
		for _, who := range []string{"viewers", "attackers"} {
			total, parts := v.parts(name, who+" ")
			if total > 0 {
				fmt.Fprintf(table, "  %s\t%s\t%d\t%s\n", name, who, total, parts)
			}
		}
	}
	table.Flush()
	fmt.Fprintln(w, "times of viewers' answers:")
	for _, kind := range slices.Sorted(maps.Keys(v.took)) {
		fmt.Fprintf(table, "  %s\t%s\n", kind, percentiles(v.took[kind]))
	}
	for _, kind := range slices.Sorted(maps.Keys(v.noticed)) {
		fmt.Fprintf(table, "  the backend was found %s\t%s\n", kind, percentiles(v.noticed[kind]))
	}
	table.Flush()
	fmt.Fprintln(w, "attacks:")
	for _, kind := range slices.Sorted(maps.Keys(v.attacked)) {
		fmt.Fprintf(table, "  %s\t%d\n", kind, v.attacked[kind])
	}
	table.Flush()
	fmt.Fprintf(w, "the machine was too busy for %s in all\n", total(v.slow).Round(time.Millisecond))
	fmt.Fprintln(table, "denials that are right:")
	for _, kind := range slices.Sorted(maps.Keys(v.excused)) {
		fmt.Fprintf(table, "  %s\t%d\n", kind, v.excused[kind])
	}
	fmt.Fprintln(table, "wrong answers:")
	for _, kind := range wrongs() {
		fmt.Fprintf(table, "  %s\t%d\n", kind, v.wrong[kind])
	}
	table.Flush()
}

func total(all []span) (sum time.Duration) {
	for _, s := range all {
		sum += s.to.Sub(s.from)
	}
	return sum
}

// parts tells what somebody saw in a phase: by status and reason, the most first.
func (v *verdict) parts(name fault, who string) (total int, text string) {
	var all []string
	counts := v.seen[name]
	for _, key := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return counts[b] - counts[a] }) {
		if rest, ok := strings.CutPrefix(key, who); ok {
			total += counts[key]
			all = append(all, fmt.Sprintf("%s: %d", strings.TrimSpace(rest), counts[key]))
		}
	}
	return total, strings.Join(all, ", ")
}

func percentiles(all []time.Duration) string {
	s := slices.Sorted(slices.Values(all))
	at := func(share float64) time.Duration {
		return s[int(share*float64(len(s)-1))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("%d\tp50 %s\tp99 %s\tmax %s", len(s), at(0.5), at(0.99), at(1))
}

// enough fails the test if what it is about did not happen.
func (v *verdict) enough(t *testing.T) {
	t.Helper()
	all := map[string]int{}
	for _, counts := range v.seen {
		for key, n := range counts {
			all[key] += n
		}
	}
	for _, key := range []string{
		"viewers 200 backend", "viewers 200 session", "viewers 200 grace", "viewers 200 default", "viewers 403 default",
		"attackers 403 backend", "attackers 403 unanswered", "attackers 403 malformed", "attackers 200 default",
	} {
		if all[key] == 0 {
			t.Errorf("nobody saw %q: the round did not test what it is for; it saw %v", key, all)
		}
	}
	for _, a := range attacks() {
		if v.attacked[a.name] == 0 {
			t.Errorf("nobody tried %s", a.name)
		}
	}
	if len(v.aways) == 0 {
		t.Error("the backend was never found away")
	}
}

package target

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// phpProgram reads a query in base64 from each line, and answers each with its
// top-level names, in base64 too: JSON has no room for bytes that are no UTF-8.
const phpProgram = `while (($l = fgets(STDIN)) !== false) {
	$a = []; parse_str(base64_decode($l), $a);
	echo json_encode(array_map(fn($k) => base64_encode((string)$k), array_keys($a))), "\n";
}`

// askPHP gives the names that a real PHP sees in each query.
func askPHP(t *testing.T, queries []string) []map[string]bool {
	t.Helper()
	php, err := exec.LookPath("php")
	if err != nil {
		t.Skip("SKIPPED: no php in PATH, so nothing is compared with a real PHP (Debian: php-cli)")
	}
	var in bytes.Buffer
	for _, q := range queries {
		in.WriteString(base64.StdEncoding.EncodeToString([]byte(q)) + "\n")
	}
	cmd := exec.CommandContext(t.Context(), php, "-n", "-d", "display_errors=stderr", "-r", phpProgram)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("php: %v", err)
	}
	var all []map[string]bool
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var names [][]byte // encoding/json takes base64 for bytes
		if err := json.Unmarshal(lines.Bytes(), &names); err != nil {
			t.Fatal(err)
		}
		keys := map[string]bool{}
		for _, n := range names {
			keys[string(n)] = true
		}
		all = append(all, keys)
	}
	if len(all) != len(queries) {
		t.Fatalf("php answered %d of %d queries", len(all), len(queries))
	}
	return all
}

// oddQueries spell names in the ways that PHP mangles.
func oddQueries() []string {
	return []string{
		"token=1", "+token=1", "%20 token", "%09token=1", "%00token=1", "token%00x=1", "%74oken=1", "tok%65n[]=1",
		"token[", "token[a", "token[a]b[c", "[token=1", "[token]=1", "a.b=1", "a+b", "a%20b=1", "a%2bb=1", "a[b=1",
		"a[b[c=1", "a%5bb=1", "a[b]=1", "a%00[b=1", "a]b=1", "a [b=1", ".a=1", "=1&&a", "a=1;token=2", "token;a=1",
		"a;token=1", "%3Btoken=1", "%zz=1&%=1&%6=1", "\xff=1&%fe=2", "+%20+token=1", "%2btoken=1", "%2b%20a&%2b_a",
		"token%5B" + strings.Repeat("[x]", 70) + "=1", "a[b&a_b&token[x]=1",
	}
}

// randomQuery puts pieces together that are odd beside each other.
func randomQuery(r *rand.Rand) string {
	pieces := []string{
		"token", "a", "b", "_", ".", "+", " ", "[", "]", "%5b", "%5D", "%00", "%20", "%2B", "%2e", "%", "%6",
		"%61", "%74", "T", "&", "&", "=", "=1", ";", "%3b", "%3d", "\xff", "%c3%a9", "\t", "%0a", "0", "7",
	}
	var b strings.Builder
	for range 1 + r.IntN(12) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

func TestNothingThatPHPWouldTakeForADroppedNameIsLeft(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	operators, viewers := []string{}, []string{}
	for _, operator := range []string{"token=s&a_b=2", "a[b=s", "a[b]=s&a.=1", "%2b_a=1&+token=s", "a;b=1;token=2"} {
		for _, viewer := range oddQueries() {
			operators, viewers = append(operators, operator), append(viewers, viewer)
		}
	}
	for range 20000 {
		operators, viewers = append(operators, randomQuery(random)), append(viewers, randomQuery(random))
	}
	kept := make([]string, len(viewers))
	for i := range viewers {
		kept[i] = Without(viewers[i], Names(operators[i]))
	}
	fixed, seen := askPHP(t, operators), askPHP(t, kept)
	for i := range viewers {
		if c := common(seen[i], fixed[i]); len(c) > 0 {
			t.Errorf("operator %q, viewer %q: %q is sent, in which PHP sees %q", operators[i], viewers[i], kept[i], c)
		}
	}
}

func TestTheOracleOfTheFuzzTestReadsNamesAsPHPDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	queries := oddQueries()
	for range 20000 {
		queries = append(queries, randomQuery(random))
	}
	for i, seen := range askPHP(t, queries) {
		oracle := phpKeys(queries[i])
		if !maps.Equal(seen, oracle) && !strings.Contains(queries[i], strings.Repeat("[x]", 65)) {
			t.Errorf("%q: PHP sees %q, the oracle %q", queries[i], slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(oracle)))
		}
	}
}

// valuesProgram reads two queries from each line, in base64, and tells whether all that
// PHP finds in the first is in the second too, as it is.
const valuesProgram = `while (($l = fgets(STDIN)) !== false) {
	[$o, $v] = explode(" ", rtrim($l, "\n"));
	$a = []; $b = []; parse_str(base64_decode($o), $a); parse_str(base64_decode($v), $b);
	echo $a === array_intersect_key($b, $a) ? "" : json_encode([base64_encode(serialize($a)), base64_encode(serialize($b))]), "\n";
}`

// TestWhatTheOperatorWroteIsWhatPHPReads puts a viewer's query behind the operator's, as
// a question does: no viewer changes a value that the operator wrote.
func TestWhatTheOperatorWroteIsWhatPHPReads(t *testing.T) {
	php, err := exec.LookPath("php")
	if err != nil {
		t.Skip("SKIPPED: no php in PATH, so nothing is compared with a real PHP (Debian: php-cli)")
	}
	random := rand.New(rand.NewPCG(5, 6))
	var in bytes.Buffer
	var pairs [][2]string
	add := func(operator, viewer string) {
		whole := operator
		if rest := Without(viewer, Names(operator)); rest != "" {
			whole += "&" + rest
		}
		pairs = append(pairs, [2]string{operator, viewer})
		in.WriteString(base64.StdEncoding.EncodeToString([]byte(operator)) + " " + base64.StdEncoding.EncodeToString([]byte(whole)) + "\n")
	}
	for _, operator := range []string{"token=s&a_b=2", "key=s", "a[b]=s&a[c]=t", "%2b_a=1"} {
		for _, viewer := range oddQueries() {
			add(operator, viewer)
		}
	}
	for range 20000 {
		if operator := strings.Trim(randomQuery(random), "&"); operator != "" {
			add(operator, randomQuery(random))
		}
	}
	cmd := exec.CommandContext(t.Context(), php, "-n", "-d", "display_errors=stderr", "-d", "max_input_vars=100000", "-r", valuesProgram)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("php: %v", err)
	}
	answers := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(answers) != len(pairs) {
		t.Fatalf("php answered %d of %d", len(answers), len(pairs))
	}
	for i, answer := range answers {
		if answer != "" {
			t.Errorf("operator %q, viewer %q: PHP reads another value: %s", pairs[i][0], pairs[i][1], answer)
		}
	}
}

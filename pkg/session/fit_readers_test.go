package session

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// reader reads a query as some origin would: the values of each name, in their
// order. Readers are written apart from the code under test.
type reader struct {
	name string
	read func(query string) map[string][]string
}

// readers split at "&" alone or at ";" too, decode once with "+" as a space or as
// it is, and take names as bytes, as characters (what is no UTF-8 is U+FFFD), or
// as characters without case; one is PHP. Their order is fixed, so that fuzzing
// sees the same way through the code each time.
func readers() []reader {
	all := []reader{{"PHP", readPHP}}
	for _, separators := range []string{"&", "&;"} {
		for _, plus := range []bool{false, true} {
			for what, take := range []func(string) string{strings.Clone, replaceEach, replaceRuns, strings.ToLower} {
				name := fmt.Sprintf("split at %s, plus is a space %v, names taken in way %d", separators, plus, what)
				all = append(all, reader{name, func(query string) map[string][]string {
					return readPlainly(query, separators, plus, take)
				}})
			}
		}
	}
	return all
}

func replaceEach(name string) string { return string([]rune(name)) }
func replaceRuns(name string) string { return strings.ToValidUTF8(name, "\ufffd") }

var escape = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

func decodeOnce(s string, plus bool) string {
	if plus {
		s = strings.ReplaceAll(s, "+", " ")
	}
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	return escape.ReplaceAllStringFunc(s, func(e string) string {
		c, err := url.PathUnescape(e)
		if err != nil {
			panic(err)
		}
		return c
	})
}

func readPlainly(query, separators string, plus bool, take func(string) string) map[string][]string {
	values := map[string][]string{}
	for _, part := range strings.FieldsFunc(query, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		name, value, _ := strings.Cut(part, "=")
		name = take(decodeOnce(name, plus))
		if name != "" {
			values[name] = append(values[name], decodeOnce(value, plus))
		}
	}
	return values
}

var subscript = regexp.MustCompile(`(?s)^([^\[]*)\[[^\]]*\]`)

// readPHP gives the variables of PHP. An array is all its parts as one value.
func readPHP(query string) map[string][]string {
	values, arrays := map[string][]string{}, map[string]bool{}
	for part := range strings.SplitSeq(query, "&") {
		raw, value, _ := strings.Cut(part, "=")
		name, _, _ := strings.Cut(decodeOnce(raw, true), "\x00")
		name = strings.TrimLeft(name, " ")
		if name == "" || name[0] == '[' {
			continue
		}
		rest := ""
		if m := subscript.FindStringSubmatch(name); m != nil {
			name, rest = m[1], name[len(m[1]):]
		}
		name = strings.NewReplacer(".", "_", " ", "_", "[", "_").Replace(name)
		arrays[name] = arrays[name] || rest != ""
		values[name] = append(values[name], rest+"="+decodeOnce(value, true))
	}
	for name, all := range values {
		if arrays[name] {
			values[name] = []string{strings.Join(all, "\x00")}
		} else {
			values[name] = all[len(all)-1:]
		}
	}
	return values
}

// lasting is a query without what is not compared, by its exact spelling.
func lasting(query string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(query, "&"), passing.MatchString), "&")
}

var passing = regexp.MustCompile(`^(_HLS_(msn|part|skip|push|start_offset)|CMCD|altagate_id)(=[^;]*)?$`)

// checkAsked says what a reader finds on the asked path that the backend did not
// allow.
func checkAsked(read func(string) map[string][]string, allowed, raw string) string {
	before, now := read(allowed), read(raw)
	of := read(lasting(allowed))
	maps.Copy(of, read(lasting(raw)))
	for name := range of {
		if !slices.Equal(before[name], now[name]) {
			return fmt.Sprintf("%q is %q, and %q was allowed", name, now[name], before[name])
		}
	}
	return ""
}

// checkOther says what a reader finds on another path by a name of the allowed
// query, or of an archive, that the backend did not allow: be it the reader that
// takes the first of duplicates, the last, or any.
func checkOther(read func(string) map[string][]string, allowed, raw string) string {
	before, now := read(allowed), read(raw)
	names := slices.Collect(maps.Keys(read(lasting(allowed))))
	for _, name := range append(names, "start", "duration", "utc", "lutc") {
		was, is := before[name], now[name]
		if len(is) == 0 {
			continue
		}
		unknown := func(value string) bool { return !slices.Contains(was, value) }
		if len(was) == 0 || was[0] != is[0] || was[len(was)-1] != is[len(is)-1] || slices.ContainsFunc(is, unknown) {
			return fmt.Sprintf("%q is %q, and %q was allowed", name, is, was)
		}
	}
	return ""
}

// checkFit holds one allowed query and one later against all properties. It says
// whether the later one is the same, and whether it fits.
func checkFit(t *testing.T, allowed, raw string) (same, fits bool) {
	t.Helper()
	terms := newTerms(allowed)
	same, fits = terms.same(raw), terms.fits(raw)
	for _, r := range readers() {
		if same {
			if wrong := checkAsked(r.read, allowed, raw); wrong != "" {
				t.Fatalf("allowed %q: %q is the same, but to a reader (%s) %s", allowed, raw, r.name, wrong)
			}
		}
		if fits {
			if wrong := checkOther(r.read, allowed, raw); wrong != "" {
				t.Fatalf("allowed %q: %q fits, but to a reader (%s) %s", allowed, raw, r.name, wrong)
			}
		}
	}
	switch {
	case !terms.same(allowed) || !terms.fits(allowed):
		t.Fatalf("allowed %q: it does not fit itself", allowed)
	case !terms.fits("") || terms.names(""):
		t.Fatalf("allowed %q: no query does not fit", allowed)
	case same && !fits:
		t.Fatalf("allowed %q: %q is the same, and does not fit", allowed, raw)
	case !fits && !terms.names(raw):
		t.Fatalf("allowed %q: %q has none of the names, and does not fit", allowed, raw)
	case same != (stripped(raw) == stripped(allowed)):
		t.Fatalf("allowed %q: same(%q) = %v, and they are %q and %q stripped", allowed, raw, same, stripped(allowed), stripped(raw))
	case stripped(stripped(raw)) != stripped(raw):
		t.Fatalf("%q stripped twice is another", raw)
	case stripped(raw) != raw && stripped(raw) != lasting(raw):
		t.Fatalf("%q stripped is %q, which is neither all nor %q", raw, stripped(raw), lasting(raw))
	}
	return same, fits
}

func FuzzFit(f *testing.F) {
	for _, raw := range confusingQueries() {
		f.Add("token=1&id=1", raw)
		f.Add(raw, "token=1&id=1")
		f.Add(raw, raw+"&CMCD=1")
	}
	f.Fuzz(func(t *testing.T, allowed, raw string) { checkFit(t, allowed, raw) })
}

func confusingQueries() []string {
	return []string{
		"", "&", "=", "token=1", "id=99", "id=1&id=99", "id=99&id=1", "ID=99", "%69d=99", "i%44=1", "id[]=1&id[]=99", "id[=1",
		"+id=99", "%20id=99", "id%00=99", "x=1;id=99", "id=1;x", "id;x=1", "a_b=1", "a.b=2", "a+b=3", "a[b=4", "a%5Bb]=5",
		"start=1", "Start=1", "st%61rt=1", "x;utc=5", "lutc", "duration[]=1", "CMCD=1", "cmcd=1", "cmcd=1&CMCD=2", "CMCD=1;id=99",
		"_HLS_msn=1&token=1&_HLS_part=2", "_hls_msn=1", "_HLS.msn=1", "altagate_id=x&token=1", "altagate_id[a=1", "Altagate.Id=1",
		"altagate_id=1;id=99", "token=1&token=1", "to\u212aen=1", "%e2%84%aa=1&k=1", "\xff=1", "id=%", "id=1%26id=99", "id=1?id=99",
	}
}

// randomPair makes an allowed query and a later one that is not far from it.
func randomPair(r *rand.Rand) (allowed, raw string) {
	pieces := []string{
		"id", "id", "ID", "a_b", "a.b", "a[b", "a[]", "%69d", "+id", "CMCD", "cmcd", "_HLS_msn", "altagate_id", "start", "utc", "token", "Token",
		"id%00", "x;id", "[id", "id[x]",
	}
	part := func() string {
		text := pieces[r.IntN(len(pieces))]
		switch r.IntN(8) {
		case 0:
			return text
		case 1:
			return text + "=1;" + pieces[r.IntN(len(pieces))] + "=2"
		default:
			return text + fmt.Sprintf("=%d", r.IntN(2))
		}
	}
	var parts []string
	for range r.IntN(4) {
		parts = append(parts, part())
	}
	allowed = strings.Join(parts, "&")
	later := slices.Clone(parts)
	for range r.IntN(3) {
		switch at := r.IntN(len(later) + 1); {
		case r.IntN(3) == 0:
			later = slices.Insert(later, at, part())
		case at == len(later):
			later = append(later, "_HLS_msn=5")
		case r.IntN(3) == 0:
			later = slices.Insert(later, r.IntN(len(later)+1), later[at])
		case r.IntN(2) == 0:
			later[at], later[0] = later[0], later[at]
		default:
			later = slices.Delete(later, at, at+1)
		}
	}
	return allowed, strings.Join(later, "&")
}

func TestNoReaderFindsInAQueryThatFitsWhatWasNotAllowed(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sames, fitting, others := 0, 0, 0
	for range 10000 {
		allowed, raw := randomPair(random)
		same, fits := checkFit(t, allowed, raw)
		switch {
		case same:
			sames++
		case fits:
			fitting++
		default:
			others++
		}
	}
	if min(sames, fitting, others) < 500 {
		t.Errorf("%d are the same, %d fit, %d do not: the generator hardly tries", sames, fitting, others)
	}
}

// phpProgram reads a query in base64 from each line, and answers each with its
// variables: base64 of the name to base64 of the value in PHP's own form.
const phpProgram = `while (($l = fgets(STDIN)) !== false) {
	$a = []; parse_str(base64_decode($l), $a); $o = [];
	foreach ($a as $k => $v) { $o[] = [base64_encode((string)$k), base64_encode(serialize($v))]; }
	echo json_encode($o), "\n";
}`

// askPHP gives what a real PHP reads in each query.
func askPHP(t *testing.T, queries []string) []map[string][]string {
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
	var all []map[string][]string
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var pairs [][2][]byte // encoding/json takes base64 for bytes
		if err := json.Unmarshal(lines.Bytes(), &pairs); err != nil {
			t.Fatal(err)
		}
		values := map[string][]string{}
		for _, p := range pairs {
			values[string(p[0])] = []string{string(p[1])}
		}
		all = append(all, values)
	}
	if len(all) != len(queries) {
		t.Fatalf("php answered %d of %d queries", len(all), len(queries))
	}
	return all
}

func TestPHPFindsInAQueryThatFitsNothingThatWasNotAllowed(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var pairs [][2]string
	var queries []string
	for range 4000 {
		allowed, raw := randomPair(random)
		terms := newTerms(allowed)
		if terms.fits(raw) {
			pairs = append(pairs, [2]string{allowed, raw})
			queries = append(queries, allowed, raw, lasting(allowed), lasting(raw))
		}
	}
	seen := map[string]map[string][]string{}
	for i, values := range askPHP(t, queries) {
		seen[queries[i]] = values
	}
	php := func(query string) map[string][]string { return maps.Clone(seen[query]) }
	for _, p := range pairs {
		terms := newTerms(p[0])
		if wrong := checkOther(php, p[0], p[1]); wrong != "" {
			t.Errorf("allowed %q: %q fits, but to PHP %s", p[0], p[1], wrong)
		}
		if wrong := checkAsked(php, p[0], p[1]); terms.same(p[1]) && wrong != "" {
			t.Errorf("allowed %q: %q is the same, but to PHP %s", p[0], p[1], wrong)
		}
	}
}

package telemetry

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/altagate/altagate/pkg/check"
)

// Bounds, in bytes, on what one log field shows.
const (
	maxName     = 20
	maxText     = 256
	maxError    = 512
	maxPath     = 1024
	maxMistakes = 4096
	// maxParams is how many parameters of a query are named.
	maxParams = 16
)

// pathAndQuery is what the log shows of a target. A player that escapes its "?"
// has its token in the path, and some write parameters behind a ";". So the path
// ends where any of these begins, and the rest is shown as a query.
func pathAndQuery(r *check.Request) (path, query string) {
	path, query = r.Path, r.Query
	if i := strings.IndexAny(path, "?#;"); i >= 0 {
		path, query = path[:i], path[i+1:]+"&"+query
	}
	lower := asciiLower(path)
	for _, mark := range []string{"%3f", "%23", "%3b", "%253f", "%2523", "%253b"} {
		if i := strings.Index(lower, mark); i >= 0 {
			path, lower, query = path[:i], lower[:i], path[i+len(mark):]+"&"+query
		}
	}
	return path, redacted(query)
}

// asciiLower keeps the length, which strings.ToLower does not always.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// redacted is a raw query with its values taken out: "token=***&quality=***".
// Nothing is decoded. A part without "=" or without a value may be a token itself,
// and so may a name that is long or has escapes; none is shown.
func redacted(query string) string {
	var b strings.Builder
	shown := 0
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		if shown++; shown > maxParams {
			b.WriteString("…")
			break
		}
		name, value, found := strings.Cut(part, "=")
		isName := found && len(name) <= maxName && value != "" && !strings.Contains(name, "%")
		if isName {
			b.WriteString(name + "=")
		}
		b.WriteString("***")
	}
	return b.String()
}

// printable is s in characters that a terminal shows and does not obey, cut to
// about most bytes. What is not printable, or not UTF-8, appears as in a Go
// string: "\x1b".
func printable(s string, most int) string {
	cut := ""
	if len(s) > most {
		end := most
		for end > most-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s, cut = s[:end], "…"
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		s = strconv.Quote(s)
		s = s[1 : len(s)-1]
	}
	return s + cut
}

// Secrets that an error may quote: a query, and the user and password of a URL.
var (
	anyQuery = regexp.MustCompile(`\?[^\s";,.)][^\s"]*`)
	anyUser  = regexp.MustCompile(`//[^/\s"]*@`)
)

// errorText is what went wrong, for the log: in it no URL shows more than its
// host and path.
func errorText(err error, most int) string {
	text := anyUser.ReplaceAllString(withoutURL(err), "//***@")
	return printable(anyQuery.ReplaceAllString(text, "?***"), most)
}

// withoutURL is the text of err without what net/http and net/url put in front
// of their errors: the whole URL, query and all, quoted so that its end cannot
// be found in the text.
func withoutURL(err error) string {
	if u, ok := err.(*url.Error); ok && u.Err != nil { //nolint:errorlint // each layer is looked at by itself
		return withoutURL(u.Err)
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var texts []string
		for _, one := range many.Unwrap() {
			texts = append(texts, withoutURL(one))
		}
		return strings.Join(texts, "; ")
	}
	inner := errors.Unwrap(err)
	if inner == nil {
		return err.Error()
	}
	raw, clean := inner.Error(), withoutURL(inner)
	if !strings.Contains(err.Error(), raw) {
		return clean
	}
	return strings.Replace(err.Error(), raw, clean, 1)
}

package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Mistake is one thing wrong in a config file. It holds no password, no query
// and no header value.
type Mistake struct {
	// Line and Column are where it is, from 1; a column counts characters.
	Line, Column int
	// Key is the way to the value, such as "routes[0].match.paths[1]"; "" for
	// the file as a whole.
	Key string
	// Text says what is wrong and what would be right, in lower case and
	// without a final dot.
	Text string
}

// String is the mistake as "line:column: key: text".
func (m Mistake) String() string {
	if m.Key == "" {
		return fmt.Sprintf("%d:%d: %s", m.Line, m.Column, m.Text)
	}
	return fmt.Sprintf("%d:%d: %s: %s", m.Line, m.Column, m.Key, m.Text)
}

// Mistakes is the error of a file that was read and is wrong: all mistakes in
// the order of the file, at least one. Get at it with errors.As.
type Mistakes []Mistake //nolint:errname // several mistakes are one error

// Error gives one mistake per line.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

func (m Mistakes) sort() {
	slices.SortStableFunc(m, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// quote shows what the user wrote, unless it may hold a password or a token:
// a URL can end up under any key.
func quote(s string) string {
	if len(s) > 60 || strings.ContainsAny(s, "@?&=") || strings.Contains(s, "://") {
		return "this value"
	}
	return strconv.Quote(s)
}

// home says where a key belongs that is not where it was written; "" if it is no
// key, or one that several places have.
func home(key string) string {
	for _, place := range []struct{ name, keys string }{
		{"to a backend", "preset url urls timeout headers host ca_file server_name client_cert client_key unavailable_statuses probe users"},
		{"to a route", "name match on_unavailable grace deny_status session mode shadow rules secure_token redirect"},
		{"to the match of a route", "hosts paths"},
		{"to the session of a route", "layout join idle max"},
		{"to listen", "http grpc admin"},
		{"to listen_tls", "cert key client_ca client_names"},
		{"to log", "level format"},
		{"to sessions", "limit"},
		{"to the users of a backend", "max_sessions on_exceed reply"},
		{"to a rule of a route", "action user_agents countries"},
		{"to the secure_token of a route", "kind secrets expression parameters"},
		{"at the top of the file", "listen listen_tls admin_token callers log keys state sessions country_file routes"},
	} {
		if slices.Contains(strings.Fields(place.keys), key) {
			return "; it belongs " + place.name
		}
	}
	return ""
}

// near is ", did you mean …?" if one of the words is close to what was
// written, else "".
func near(s string, words []string) string {
	best, least := "", len(s)/3+1
	for _, word := range words {
		if d := distance(strings.ToLower(s), word); d <= least && (best == "" || d < least) {
			best, least = word, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the number of bytes to insert, remove or change that make b of
// a; what is too long to be a slip of the hand is as far away as it is long.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

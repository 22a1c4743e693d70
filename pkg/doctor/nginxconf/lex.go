package nginxconf

import (
	"fmt"
	"strings"
)

// lexer cuts a file into words as nginx does (ngx_conf_read_token).
type lexer struct {
	text string
	at   int
	line int
}

// word is a word of the file, or one of the marks ";", "{" and "}".
type word struct {
	text string
	mark bool
	line int
}

// next gives the next word; ok is false at the end of the file.
func (l *lexer) next() (w word, ok bool, err error) {
	l.space()
	if l.at == len(l.text) {
		return word{line: l.line}, false, nil
	}
	line := l.line
	switch b := l.text[l.at]; b {
	case ';', '{', '}':
		l.at++
		return word{string(b), true, line}, true, nil
	case '"', '\'':
		text, err := l.quoted(b)
		return word{text, false, line}, true, err
	default:
		return word{l.plain(), false, line}, true, nil
	}
}

// space skips white space and comments.
func (l *lexer) space() {
	for ; l.at < len(l.text); l.at++ {
		switch l.text[l.at] {
		case '\n':
			l.line++
		case ' ', '\t', '\r':
		case '#':
			end := strings.IndexByte(l.text[l.at:], '\n')
			if end < 0 {
				l.at = len(l.text)
				return
			}
			l.at += end - 1
		default:
			return
		}
	}
}

func (l *lexer) quoted(quote byte) (string, error) {
	line, start := l.line, l.at+1
	for l.at++; l.at < len(l.text); l.at++ {
		switch l.text[l.at] {
		case '\n':
			l.line++
		case '\\':
			l.skipEscaped()
		case quote:
			text := unescape(l.text[start:l.at])
			l.at++
			return text, nil
		}
	}
	return "", fmt.Errorf("line %d: a quote is not closed", line)
}

// skipEscaped goes to the byte after a backslash.
func (l *lexer) skipEscaped() {
	if l.at+1 < len(l.text) {
		l.at++
		if l.text[l.at] == '\n' {
			l.line++
		}
	}
}

// plain reads a word without quotes. In it only white space, ";" and "{" are
// special, and not the "{" of ${name}.
func (l *lexer) plain() string {
	start := l.at
	for ; l.at < len(l.text); l.at++ {
		switch l.text[l.at] {
		case ' ', '\t', '\r', '\n', ';':
			return unescape(l.text[start:l.at])
		case '{':
			if l.at == start || l.text[l.at-1] != '$' {
				return unescape(l.text[start:l.at])
			}
		case '\\':
			l.skipEscaped()
		}
	}
	return unescape(l.text[start:l.at])
}

// unescape takes off the backslashes that nginx takes off, and no others.
func unescape(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	return strings.NewReplacer(`\"`, `"`, `\'`, `'`, `\\`, `\`, `\t`, "\t", `\r`, "\r", `\n`, "\n").Replace(text)
}

// skipBlock goes behind the "}" that closes a block of another language, whose "{"
// was read. Braces in its strings and comments do not count.
func (l *lexer) skipBlock() error {
	line, depth := l.line, 1
	for ; l.at < len(l.text); l.at++ {
		switch b := l.text[l.at]; b {
		case '\n':
			l.line++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				l.at++
				return nil
			}
		case '"', '\'':
			if _, err := l.quoted(b); err != nil {
				return err
			}
			l.at--
		case '-':
			if rest := l.text[l.at:]; strings.HasPrefix(rest, "--") {
				l.at += max(strings.IndexByte(rest+"\n", '\n')-1, 0)
			}
		}
	}
	return fmt.Errorf("line %d: a block is not closed", line)
}

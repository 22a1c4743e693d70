package config

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const emptyFile = "the file is empty: a config names at least one backend and one route, " +
	"see altagate config example"

// document reads the one YAML document of a file. A mistake in the YAML itself
// ends the reading, so there is at most one.
func document(data []byte) (*yaml.Node, *Mistake) {
	if m := unreadable(data); m != nil {
		return nil, m
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, syntaxMistake(data, err)
	}
	var first, second yaml.Node
	if err := loader.Load(&first); errors.Is(err, io.EOF) {
		return nil, &Mistake{Line: 1, Column: 1, Text: emptyFile}
	} else if err != nil {
		return nil, syntaxMistake(data, err)
	}
	if err := loader.Load(&second); err == nil {
		return nil, &Mistake{Line: max(second.Line, 1), Column: max(second.Column, 1),
			Text: "a second document begins here: a config is one document, without another --- line"}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxMistake(data, err)
	}
	if len(first.Content) == 0 || isNull(first.Content[0]) {
		return nil, &Mistake{Line: 1, Column: 1, Text: emptyFile}
	}
	return first.Content[0], nil
}

// unreadable finds what no YAML file may hold. The YAML library finds it too,
// but not where.
func unreadable(data []byte) *Mistake {
	if len(data) > MaxSize {
		return &Mistake{Line: 1, Column: 1, Text: "the file is longer than 1 MiB"}
	}
	line, column := 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			return &Mistake{Line: line, Column: column, Text: "the file is not UTF-8 text here: save it as UTF-8"}
		case r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return &Mistake{Line: line, Column: column, Text: "a control character is here: remove it"}
		case r == '\n':
			line, column = line+1, 0
		}
		column++
		data = data[size:]
	}
	return nil
}

// syntaxMistake says in words of ours what the YAML library found. It never
// hands on what the library quotes from the file.
func syntaxMistake(data []byte, err error) *Mistake {
	m := &Mistake{Line: 1, Column: 1, Text: "the file is not YAML"}
	var found *yaml.LoadError
	if !errors.As(err, &found) {
		return m
	}
	mark := found.Mark
	if mark.Line < 1 {
		mark = found.ContextMark
	}
	m.Line, m.Column = max(mark.Line, 1), max(mark.Column, 1)
	m.Text = "not YAML: " + syntaxText(data, m, found.Message)
	return m
}

func syntaxText(data []byte, m *Mistake, message string) string {
	switch {
	case strings.HasPrefix(message, "unknown anchor"):
		return "a value that begins with * refers to an anchor, and there is none of this name: put it in quotes"
	case strings.HasPrefix(message, "mapping values are not allowed"):
		return "a second \": \" is not allowed here: check the indentation, or put the value in quotes"
	case strings.HasPrefix(message, "found character that cannot start"):
		if strings.HasPrefix(lineFrom(data, m.Line, m.Column), "\t") {
			return "a tab is not allowed here: indent with spaces"
		}
		return "a value cannot begin with this character: put it in quotes"
	case strings.HasPrefix(message, "could not find expected ':'"):
		return "a key without a colon: write \"key: value\", and check the indentation"
	case strings.HasPrefix(message, "did not find expected"), strings.HasPrefix(message, "found unexpected end"):
		return strings.TrimSpace(message) + ": check brackets, quotes and the indentation above"
	case strings.ContainsAny(message, "'\""):
		return "this cannot be read"
	default:
		return message
	}
}

// lineFrom is what stands in a line of the file from a column on; "" beyond
// its end.
func lineFrom(data []byte, line, column int) string {
	for ; line > 1; line-- {
		_, data, _ = bytes.Cut(data, []byte("\n"))
	}
	text, _, _ := bytes.Cut(data, []byte("\n"))
	runes := []rune(string(text))
	if column > len(runes) {
		return ""
	}
	return string(runes[column-1:])
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

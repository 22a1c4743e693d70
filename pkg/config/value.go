package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// reader gathers the mistakes of one file.
type reader struct {
	mistakes Mistakes
	// noted are the places and texts that were noted, so that a mistake in
	// what aliases repeat is noted once.
	noted  map[place]bool
	values int
	// layouts are the layouts that were tried, with what is wrong with them: an
	// alias can repeat one that takes long to try.
	layouts map[string]string
}

type place struct {
	line, column int
	text         string
}

func newReader() *reader {
	return &reader{noted: make(map[place]bool), layouts: make(map[string]string)}
}

func (r *reader) note(at *yaml.Node, key, text string) {
	line, column := max(at.Line, 1), max(at.Column, 1)
	if here := (place{line, column, text}); !r.noted[here] {
		r.noted[here] = true
		r.mistakes = append(r.mistakes, Mistake{Line: line, Column: column, Key: key, Text: text})
	}
}

// value is what stands under one key. The zero value is a key that is not in
// the file; reading it gives nothing and notes nothing.
type value struct {
	r    *reader
	node *yaml.Node
	key  string
}

func (v value) present() bool { return v.node != nil }

func (v value) wrong(format string, args ...any) {
	v.r.note(v.node, v.key, fmt.Sprintf(format, args...))
}

// resolve gives the node that is read, behind an alias if there is one. It is
// false if there is none or it is null.
func (v value) resolve() (value, bool) {
	if v.node == nil {
		return v, false
	}
	v = v.behindAlias()
	v.r.values += 1 + len(v.node.Content)
	if v.r.values > maxValues {
		v.r.note(&yaml.Node{}, "", "the file has too many values: do aliases repeat aliases?")
		return v, false
	}
	if isNull(v.node) {
		v.wrong("has no value: write one, or leave the key out")
		return v, false
	}
	return v, true
}

func (v value) behindAlias() value {
	if v.node.Kind == yaml.AliasNode {
		v.node = v.node.Alias
	}
	return v
}

// entry is one key of a mapping.
type entry struct {
	name  string
	key   value // the key itself, for its place
	value value
}

// entries reads a mapping in the order of the file. example shows one.
func (v value) entries(example string) []entry {
	v, ok := v.resolve()
	if !ok {
		return nil
	}
	if v.node.Kind != yaml.MappingNode {
		v.wrong("is %s, and must be a mapping: write %s", kind(v.node), example)
		return nil
	}
	var all []entry
	lines := map[string]int{}
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key := v.under(v.node.Content[i], "")
		if key.node.Kind != yaml.ScalarNode {
			key.wrong("has a key that is %s, and must be a word", kind(key.node))
			continue
		}
		name := key.node.Value
		if key.node.ShortTag() == "!!merge" {
			key.wrong("<< is not read: write the keys out, or give a whole value an anchor")
			continue
		}
		if line, twice := lines[name]; twice {
			key.wrong("this key is here twice, first at line %d", line)
			continue
		}
		lines[name] = key.node.Line
		all = append(all, entry{name: name, key: key, value: v.under(v.node.Content[i+1], name)})
	}
	return all
}

// under is a part of v. With a name it has a key of its own.
func (v value) under(n *yaml.Node, name string) value {
	key := v.key
	if name != "" && !strings.HasPrefix(quote(name), `"`) {
		name = "…"
	}
	switch {
	case name != "" && key != "":
		key += "." + name
	case name != "":
		key = name
	}
	return value{r: v.r, node: n, key: key}
}

// section reads a mapping with known keys only. Keys that are not in the file
// give the zero value.
func (v value) section(example string, known ...string) map[string]value {
	keys := map[string]value{}
	for _, e := range v.entries(example) {
		if !slices.Contains(known, e.name) {
			e.key.wrong("unknown key %s%s", quote(e.name),
				cmp.Or(home(e.name)+near(e.name, known), "; the keys here are "+strings.Join(known, ", ")))
			continue
		}
		keys[e.name] = e.value
	}
	return keys
}

// need notes a key that a mapping must have. What is no mapping was noted as
// such.
func (v value) need(keys map[string]value, key, text string) {
	if v.isMapping() && !keys[key].present() {
		v.wrong("%s", text)
	}
}

func (v value) isMapping() bool {
	return v.node != nil && v.behindAlias().node.Kind == yaml.MappingNode
}

// list reads a list with at least one value. example shows one.
func (v value) list(example string) []value {
	all, ok := v.items(example)
	if ok && len(all) == 0 {
		v.behindAlias().wrong("is an empty list: write at least one, as in %s", example)
	}
	return all
}

// items reads a list that may be empty. It is false if there is none.
func (v value) items(example string) ([]value, bool) {
	v, ok := v.resolve()
	if !ok {
		return nil, false
	}
	if v.node.Kind != yaml.SequenceNode {
		v.wrong("is %s, and must be a list: write %s", kind(v.node), example)
		return nil, false
	}
	all := make([]value, 0, len(v.node.Content))
	for i, n := range v.node.Content {
		all = append(all, value{r: v.r, node: n, key: v.key + "[" + strconv.Itoa(i) + "]"})
	}
	return all, true
}

// text reads a string.
func (v value) text() (string, bool) {
	v, ok := v.resolve()
	if !ok {
		return "", false
	}
	switch {
	case v.node.Kind != yaml.ScalarNode:
		v.wrong("is %s, and must be text", kind(v.node))
	case v.node.ShortTag() == "!!str", v.node.ShortTag() == "!!timestamp" && v.node.Style&yaml.TaggedStyle == 0:
		return v.node.Value, true
	default:
		v.wrong("is %s, and must be text: put it in quotes", kind(v.node))
	}
	return "", false
}

// oneOf reads one of the words.
func (v value) oneOf(words ...string) (string, bool) {
	resolved, ok := v.resolve()
	if !ok {
		return "", false
	}
	if resolved.node.Kind != yaml.ScalarNode {
		resolved.wrong("is %s, and must be one of: %s", kind(resolved.node), strings.Join(words, ", "))
		return "", false
	}
	if word := resolved.node.Value; !slices.Contains(words, word) {
		resolved.wrong("%s is none of: %s%s", quote(word), strings.Join(words, ", "), near(word, words))
		return "", false
	}
	return resolved.node.Value, true
}

// number reads a whole number as it is usually written.
func (v value) number() (int, bool) {
	v, ok := v.resolve()
	if !ok {
		return 0, false
	}
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!int" {
		v.wrong("is %s, and must be a whole number, without quotes", kind(v.node))
		return 0, false
	}
	n, err := strconv.Atoi(v.node.Value)
	if err != nil || strconv.Itoa(n) != v.node.Value {
		v.wrong("is not a whole number in plain digits, as in 403")
		return 0, false
	}
	return n, true
}

// kind is what a node is, in a user's words.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
	default:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!str":
		return "text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "empty"
	default:
		return "a value with a tag"
	}
}

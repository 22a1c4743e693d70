package envoyconf

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The bounds on what is read.
const (
	maxSize  = 16 << 20
	maxDepth = 200
	maxNodes = 1_000_000
)

// node is a part of a YAML document. The zero value is a part that is not there;
// what is looked up in it is not there either.
type node struct{ yaml *yaml.Node }

// load reads one YAML or JSON document.
func load(text string) (node, error) {
	if len(text) > maxSize {
		return node{}, errors.New("it is longer than 16 MiB")
	}
	loader, err := yaml.NewLoader(bytes.NewReader([]byte(text)))
	if err != nil {
		return node{}, fmt.Errorf("it is not YAML: %w", err)
	}
	var document yaml.Node
	if err := loader.Load(&document); err != nil {
		return node{}, fmt.Errorf("it is not YAML: %w", err)
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return node{}, errors.New("it is no mapping")
	}
	count := 0
	if err := bounded(document.Content[0], 0, &count); err != nil {
		return node{}, err
	}
	return node{document.Content[0]}, nil
}

// bounded refuses a document that is endless, or close to it, by its aliases.
func bounded(n *yaml.Node, depth int, count *int) error {
	if *count++; *count > maxNodes || depth > maxDepth {
		return errors.New("it has more values, or nests them deeper, than any config of Envoy: do aliases repeat aliases?")
	}
	if n.Kind == yaml.AliasNode {
		return bounded(n.Alias, depth+1, count)
	}
	for _, c := range n.Content {
		if err := bounded(c, depth+1, count); err != nil {
			return err
		}
	}
	return nil
}

func (n node) there() bool { return n.yaml != nil }

func (n node) resolved() *yaml.Node {
	y := n.yaml
	for y != nil && y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	return y
}

// line is where it is in the file, from 1; 0 if it is not there.
func (n node) line() int {
	if n.yaml == nil {
		return 0
	}
	return n.yaml.Line
}

// get looks up one key in the other's value, and so on. A key may also be written
// as JSON has it, as in failureModeAllow.
func (n node) get(keys ...string) node {
	for _, key := range keys {
		n = n.key(key)
	}
	return n
}

func (n node) key(key string) node {
	found := node{}
	n.each(func(name string, value node) {
		if !found.there() && (name == key || name == camel(key)) {
			found = value
		}
	})
	return found
}

// each calls f for the entries of a mapping.
func (n node) each(f func(name string, value node)) {
	y := n.resolved()
	if y == nil || y.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(y.Content); i += 2 {
		f(node{y.Content[i]}.text(), node{y.Content[i+1]})
	}
}

// items are those of a list.
func (n node) items() (all []node) {
	y := n.resolved()
	if y == nil || y.Kind != yaml.SequenceNode {
		return nil
	}
	for _, c := range y.Content {
		all = append(all, node{c})
	}
	return all
}

// text is a value as it is written; empty for a list or a mapping.
func (n node) text() string {
	if y := n.resolved(); y != nil && y.Kind == yaml.ScalarNode {
		return y.Value
	}
	return ""
}

func (n node) isTrue() bool { return n.text() == "true" }

func (n node) number() int {
	i, err := strconv.Atoi(n.text())
	if err != nil {
		return 0
	}
	return i
}

// seconds reads a duration such as 0.2s.
func (n node) seconds() (float64, bool) {
	digits, ok := strings.CutSuffix(n.text(), "s")
	f, err := strconv.ParseFloat(digits, 64)
	return f, ok && err == nil
}

// isType says whether it is of a type, by the end of its name.
func (n node) isType(suffix string) bool {
	return strings.HasSuffix(n.get("@type").text(), suffix)
}

// walk calls f for every mapping in it, itself first.
func (n node) walk(f func(node)) {
	f(n)
	n.each(func(_ string, v node) { v.walk(f) })
	for _, i := range n.items() {
		i.walk(f)
	}
}

// camel is a key as JSON has it.
func camel(key string) string {
	parts := strings.Split(key, "_")
	for i := range parts[1:] {
		if p := parts[i+1]; p != "" {
			parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

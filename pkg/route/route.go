// Package route finds what belongs to a host and a path.
package route

import (
	"maps"
	"slices"
	"strings"
)

// Rule says which requests get Value.
type Rule[T any] struct {
	// Name is what a proxy may ask for by name; empty if it cannot.
	Name string
	// Hosts are spelled as target.Host gives them. One without a port matches
	// the host on every port, one with a port only that. None means any host.
	Hosts []string
	// Paths are whole segments at the beginning of a normalized path: "/live"
	// matches "/live" and all below "/live/", "/live/" only the latter. They
	// begin with "/". None means "/".
	Paths []string
	Value T
}

// Table is a set of rules. It never changes and is safe for concurrent use.
type Table[T any] struct {
	named map[string]T
	hosts map[string]*tree[T]
	any   *tree[T]
}

// New makes a table. Of two rules with the same name, or the same host and
// path, the first stands.
func New[T any](rules []Rule[T]) *Table[T] {
	t := &Table[T]{named: map[string]T{}, hosts: map[string]*tree[T]{}, any: newTree[T]()}
	for _, r := range rules {
		if _, taken := t.named[r.Name]; !taken {
			t.named[r.Name] = r.Value
		}
		paths := r.Paths
		if len(paths) == 0 {
			paths = []string{"/"}
		}
		if len(r.Hosts) == 0 {
			t.any.add(paths, r.Value)
		}
		for _, host := range r.Hosts {
			if t.hosts[host] == nil {
				t.hosts[host] = newTree[T]()
			}
			t.hosts[host].add(paths, r.Value)
		}
	}
	return t
}

// Find gives the value of the rule that a request belongs to. A name decides
// alone, and one that no rule has finds nothing. Without a name the longest
// path wins among the rules that name the host, where a host with its port
// goes before one without at the same path; then among those that name no
// host. Host and path are as package target gives them.
func (t *Table[T]) Find(name, host, path string) (T, bool) {
	if name != "" {
		value, ok := t.named[name]
		return value, ok
	}
	value, length := t.hosts[host].find(path)
	if bare := withoutPort(host); len(bare) < len(host) {
		if v, n := t.hosts[bare].find(path); n > length {
			value, length = v, n
		}
	}
	if length == 0 {
		value, length = t.any.find(path)
	}
	return value, length > 0
}

// Names gives the names of the rules that have one, in order.
func (t *Table[T]) Names() []string {
	names := slices.Sorted(maps.Keys(t.named))
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

func withoutPort(host string) string {
	at := strings.LastIndexByte(host, ':')
	if at < 0 || strings.HasSuffix(host, "]") {
		return host
	}
	return host[:at]
}

// tree holds the paths of one host.
type tree[T any] struct {
	values  map[string]T
	longest int
}

func newTree[T any]() *tree[T] { return &tree[T]{values: map[string]T{}} }

func (t *tree[T]) add(paths []string, value T) {
	for _, p := range paths {
		if _, taken := t.values[p]; !taken {
			t.values[p] = value
			t.longest = max(t.longest, len(p))
		}
	}
}

// find gives the value of the longest path that matches and that path's
// length, 0 if none does. It walks up the segments, and looks at nothing
// longer than the longest path it holds, so that a viewer's long path costs
// nothing.
func (t *tree[T]) find(path string) (value T, length int) {
	if t == nil {
		return value, 0
	}
	if len(path) <= t.longest {
		if v, ok := t.values[path]; ok {
			return v, len(path)
		}
	}
	rest := path[:min(len(path), t.longest+1)]
	for {
		slash := strings.LastIndexByte(rest, '/')
		if slash < 0 {
			return value, 0
		}
		if v, ok := t.values[path[:slash+1]]; ok {
			return v, slash + 1
		}
		if v, ok := t.values[path[:slash]]; ok {
			return v, slash
		}
		rest = path[:slash]
	}
}

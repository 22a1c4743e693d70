package nginxconf

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// The bounds on what is read: what is beyond them is no config of nginx.
const (
	maxSize       = 16 << 20
	maxDepth      = 64
	maxDirectives = 200_000
)

// directive is one directive of a config, with what is in its block.
type directive struct {
	name string
	args []string
	file string
	line int
	// block is set for a directive with { }, also an empty one.
	block bool
	body  []*directive
	// parent is the block that it is in; nil for the whole.
	parent *directive
}

func (d *directive) where() string { return fmt.Sprintf("%s:%d", d.file, d.line) }

// arg is the i-th argument, or empty.
func (d *directive) arg(i int) string {
	if 0 <= i && i < len(d.args) {
		return d.args[i]
	}
	return ""
}

// String is the directive as it is written, without its block.
func (d *directive) String() string {
	return strings.TrimSpace(d.name + " " + strings.Join(d.args, " "))
}

// dump is the output of "nginx -T": files, the main one first.
type dump struct {
	files map[string]string
	order []string
	// whole is unset for a file that came alone, whose includes are not there.
	whole bool
}

var fileLine = regexp.MustCompile(`(?m)^# configuration file (.*):\r?$`)

// split takes the output of "nginx -T" apart. What nginx prints before its first
// file, as with 2>&1, is left out.
func split(name, text string) dump {
	marks := fileLine.FindAllStringSubmatchIndex(text, -1)
	if len(marks) == 0 {
		return dump{files: map[string]string{name: text}, order: []string{name}}
	}
	d := dump{files: map[string]string{}, whole: true}
	for i, m := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		file := text[m[2]:m[3]]
		if _, twice := d.files[file]; !twice {
			d.order = append(d.order, file)
			// The rest of the line of the mark is where line 1 would be.
			d.files[file] = strings.TrimPrefix(strings.TrimPrefix(text[m[1]:end], "\r"), "\n")
		}
	}
	return d
}

// parser reads a dump into one tree.
type parser struct {
	dump  dump
	count int
	// missing are includes that are not in the dump.
	missing []string
}

// parse gives a directive without a name, whose body is the whole config.
func parse(name, text string) (*directive, *parser, error) {
	if len(text) > maxSize {
		return nil, nil, errors.New("it is longer than 16 MiB")
	}
	p := &parser{dump: split(name, text)}
	top := &directive{file: p.dump.order[0], block: true}
	if err := p.file(p.dump.order[0], top, 0); err != nil {
		return nil, nil, err
	}
	return top, p, nil
}

// file reads a file's directives into a block.
func (p *parser) file(name string, into *directive, depth int) error {
	return p.body(&lexer{text: p.dump.files[name], line: 1}, name, into, depth, true)
}

// body reads directives until the block is closed, or, of a whole file, until that
// ends.
func (p *parser) body(l *lexer, file string, into *directive, depth int, whole bool) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: line %d: blocks or includes are nested too deep", file, l.line)
	}
	for {
		d, closes, err := p.directive(l, file, into)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", file, err)
		case d == nil && closes == whole && whole:
			return fmt.Errorf("%s: line %d: a } is here that closes nothing", file, l.line)
		case d == nil && closes == whole:
			return fmt.Errorf("%s: line %d: the block of %s is not closed", file, into.line, into.name)
		case d == nil:
			return nil
		}
		if err := p.place(l, d, into, depth); err != nil {
			return err
		}
	}
}

// directive reads up to a ";", or up to the "{" of a block. It is nil at the end of
// the file, and at a "}": closes tells which.
func (p *parser) directive(l *lexer, file string, into *directive) (d *directive, closes bool, err error) {
	for {
		w, ok, err := l.next()
		switch {
		case err != nil:
			return nil, false, err
		case !ok && d != nil:
			return nil, false, fmt.Errorf("line %d: %s is not closed by a semicolon", d.line, d.name)
		case !ok:
			return nil, false, nil
		case w.mark && w.text == "}" && d == nil:
			return nil, true, nil
		case w.mark && (d == nil || w.text == "}"):
			return nil, false, fmt.Errorf("line %d: a %s is not expected here", w.line, w.text)
		case w.mark:
			d.block = w.text == "{"
			return d, false, nil
		case d == nil:
			d = &directive{name: w.text, file: file, line: w.line, parent: into}
		default:
			d.args = append(d.args, w.text)
		}
	}
}

// place puts a directive into its block, and reads its own.
func (p *parser) place(l *lexer, d, into *directive, depth int) error {
	if p.count++; p.count > maxDirectives {
		return fmt.Errorf("%s: more directives than any config has: does a file include itself?", d.where())
	}
	if d.name == "include" && len(d.args) == 1 && !d.block {
		return p.include(d, into, depth)
	}
	into.body = append(into.body, d)
	switch {
	case !d.block:
		return nil
	case strings.HasSuffix(d.name, "_by_lua_block"):
		if err := l.skipBlock(); err != nil {
			return fmt.Errorf("%s: %w", d.file, err)
		}
		return nil
	default:
		return p.body(l, d.file, d, depth+1, false)
	}
}

// include reads the files that an include names, if they came along. nginx takes
// a relative name from the directory of the main file.
func (p *parser) include(d, into *directive, depth int) error {
	pattern := d.args[0]
	if !path.IsAbs(pattern) {
		pattern = path.Join(path.Dir(p.dump.order[0]), pattern)
	}
	found := false
	for _, file := range p.dump.order {
		if fits, err := path.Match(pattern, file); err != nil || !fits && file != pattern {
			continue
		}
		found = true
		if err := p.file(file, into, depth+1); err != nil {
			return err
		}
	}
	if !found && !p.dump.whole {
		p.missing = append(p.missing, d.args[0])
	}
	return nil
}

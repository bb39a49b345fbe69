package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	yamlparser "github.com/goccy/go-yaml/parser"
	"github.com/rs/zerolog"
)

// The file is walked as a tree and not unmarshalled: unmarshalling stops at the first
// mistake and quotes the lines around it, which hold keys, and takes a key of digits
// for a number.

// read reads the whole file; what is wrong in it becomes problems.
func (f *streamsFile) read(text string) {
	text = strings.TrimPrefix(text, "\ufeff") // some editors of Windows begin files with it
	tree, err := parseYAML(text)
	if err != nil {
		line := 1
		if broken, ok := errors.AsType[*yaml.SyntaxError](err); ok && broken.Token != nil {
			line = broken.Token.Position.Line
		}
		f.problem(line, "is where the file stops to be YAML", "look at the indentation, and quote what has a colon or a # in it")
		return
	}
	var root ast.Node
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			f.problem(lineOf(doc.Body), "begins a second document", "put everything into one")
			return
		}
		root = doc.Body
	}
	if root == nil {
		return
	}
	f.mapping(root, "the file", []string{"streams", "log_level"}, func(line int, field string, value ast.Node) {
		if field == "log_level" {
			if text, ok := f.text(line, field, value); ok {
				level := parsed(f, line, func(p *parser) zerolog.Level { return p.level(field, text) })
				f.logLevel = &level
			}
			return
		}
		f.list(line, value)
	})
}

// parseYAML is the parser without its panics: a file that is read again while streams run
// must not end them.
func parseYAML(text string) (tree *ast.File, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the parser failed") // with what, might quote a key
		}
	}()
	return yamlparser.ParseBytes([]byte(text), 0, yamlparser.AllowDuplicateMapKey())
}

// list reads the entries.
func (f *streamsFile) list(line int, node ast.Node) {
	if _, isEmpty := node.(*ast.NullNode); isEmpty {
		return
	}
	entries, ok := node.(*ast.SequenceNode)
	if !ok {
		f.problem(line, "has streams that are no list", "begin each with a - below streams:")
		return
	}
	for _, entry := range entries.Values {
		s := Stream{line: lineOf(entry)}
		before := len(f.p.problems)
		isMapping := f.mapping(entry, "an entry", fields(), func(line int, field string, value ast.Node) {
			s.line = min(s.line, line)
			f.field(&s, line, field, value)
		})
		if isMapping && len(f.p.problems) == before {
			f.complete(&s)
		}
		f.streams = append(f.streams, s)
	}
}

// field reads one field of an entry; allow may be a list.
func (f *streamsFile) field(s *Stream, line int, field string, value ast.Node) {
	items, isList := value.(*ast.SequenceNode)
	if field != "allow" || !isList {
		if text, ok := f.text(line, field, value); ok {
			f.set(s, line, field, text)
		}
		return
	}
	if len(items.Values) == 0 {
		f.problem(line, "has an empty allow", "list addresses, or leave it out for any")
	}
	for _, item := range items.Values {
		if text, ok := f.text(lineOf(item), field, item); ok {
			f.set(s, lineOf(item), field, text)
		}
	}
}

// printableField is what of a file may be quoted as the name of a field: a key that is
// on the wrong line may not.
var printableField = regexp.MustCompile(`^[a-z_]{1,24}$`)

// mapping calls each for the fields of a node, of which known are the ones there are. It
// reports false for a node that has no fields.
func (f *streamsFile) mapping(node ast.Node, what string, known []string, each func(line int, field string, value ast.Node)) bool {
	var values []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		f.problem(lineOf(node), "has "+what+" without fields", "write one a line, like stream_id: cam1")
		return false
	}
	seen := make(map[string]bool)
	for _, v := range values {
		line, field := lineOf(v.Key), v.Key.GetToken().Value
		switch {
		case !slices.Contains(known, field):
			name := "a field"
			if printableField.MatchString(field) {
				name = fmt.Sprintf("the field %q", field)
			}
			f.problem(line, "has "+name+" that is none of "+what+"'s", "use "+strings.Join(known, ", "))
		case seen[field]:
			f.problem(line, "has the field "+field+" once more", "keep one of the two")
		default:
			seen[field] = true
			each(line, field, v.Value)
		}
	}
	return true
}

// text is a value as it is written, whatever YAML would make of it: a key may be all
// digits.
func (f *streamsFile) text(line int, field string, node ast.Node) (text string, ok bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		text = n.GetToken().Value
	case *ast.NullNode:
	default:
		f.problem(line, "has a "+field+" that is no plain text", "write it on the same line, in quotes if need be")
		return "", false
	}
	if text == "" {
		f.problem(line, "has "+field+" without a value", "give it one, or leave the line out")
		return "", false
	}
	return text, true
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// maxTemplate limits the length of one template in bytes.
const maxTemplate = 4096

// expander expands the templates in patches. Files may come from anywhere, so templates can neither
// loop nor make much of little.
type expander struct {
	config *yaml.Node        // the metadata before all patches
	values map[string]string // of the custom params
	data   map[string]any    // the data of the templates
	left   int               // bytes that may still be written
	failed error             // why a function failed
}

func newExpander(config *yaml.Node, values map[string]string) *expander {
	e := &expander{config: config, values: values, left: maxSize}
	e.data = map[string]any{"Value": "", "getParamValue": e.paramValue, "getConfig": e.configValue}
	return e
}

// templateFuncs are the functions that templates may call.
func templateFuncs() []string { return []string{"call", "eq", "ne", "and", "or", "not"} }

// expand copies a patch, in which it expands the templates in all values. The places stay.
func (e *expander) expand(r *reader, n *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Line: n.Line, Column: n.Column}
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "{{") {
		text, err := e.text(n.Value)
		if err != nil {
			r.report(n, fmt.Errorf("template %s: %w", annotation.Quote(n.Value), err))
		}
		out.Tag, out.Value = "!!str", text
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			key := *child // keys stay as they are
			out.Content = append(out.Content, &key)
			continue
		}
		out.Content = append(out.Content, e.expand(r, child))
	}
	return out
}

func (e *expander) text(text string) (string, error) {
	if len(text) > maxTemplate {
		return "", fmt.Errorf("it has %d bytes; at most %d are accepted", len(text), maxTemplate)
	}
	t, err := template.New("patch").Parse(text)
	if err != nil {
		return "", err
	}
	if t.Tree == nil || len(t.Templates()) > 1 {
		return "", errors.New("define is not accepted in a patch")
	}
	if err := e.check(t.Tree.Root); err != nil {
		return "", err
	}
	var b limitedText
	b.left = &e.left
	e.failed = nil
	if err := t.Execute(&b, e.data); err != nil {
		if e.failed != nil {
			err = e.failed // says the same in fewer words
		}
		return "", err
	}
	return b.String(), nil
}

// check accepts texts, values, conditions and calls of a few functions. Loops, variables and
// templates in templates are left out: they can turn a short file into endless work.
func (e *expander) check(n parse.Node) error {
	switch n := n.(type) {
	case *parse.ListNode:
		return e.checkAll(asNodes(n.Nodes)...)
	case *parse.ActionNode:
		return e.check(n.Pipe)
	case *parse.IfNode:
		nodes := []parse.Node{n.Pipe, n.List}
		if n.ElseList != nil {
			nodes = append(nodes, n.ElseList)
		}
		return e.checkAll(nodes...)
	case *parse.PipeNode:
		if len(n.Decl) == 0 {
			return e.checkAll(asNodes(n.Cmds)...)
		}
	case *parse.CommandNode:
		return e.checkAll(n.Args...)
	case *parse.TextNode, *parse.StringNode, *parse.NumberNode, *parse.BoolNode:
		return nil
	case *parse.FieldNode:
		if len(n.Ident) == 1 {
			return known("value", n.Ident[0], slices.Sorted(maps.Keys(e.data)))
		}
	case *parse.IdentifierNode:
		return known("function", n.Ident, templateFuncs())
	}
	return fmt.Errorf("%s is not accepted in a patch", annotation.Quote(n.String()))
}

func (e *expander) checkAll(nodes ...parse.Node) error {
	var errs []error
	for _, n := range nodes {
		errs = append(errs, e.check(n))
	}
	return errors.Join(errs...)
}

func asNodes[N parse.Node](list []N) []parse.Node {
	nodes := make([]parse.Node, len(list))
	for i, n := range list {
		nodes[i] = n
	}
	return nodes
}

func known(what, name string, names []string) error {
	if slices.Contains(names, name) {
		return nil
	}
	return &annotation.UnknownError{What: what, Name: name, Known: names}
}

// paramValue is getParamValue of templates.
func (e *expander) paramValue(name string) (string, error) {
	short, ok := strings.CutPrefix(name, keyCustom+".")
	if value, there := e.values[short]; ok && there {
		return value, nil
	}
	var names []string
	for _, n := range slices.Sorted(maps.Keys(e.values)) {
		names = append(names, keyCustom+"."+n)
	}
	e.failed = &annotation.UnknownError{What: "custom param", Name: name, Known: names}
	return "", e.failed
}

// configValue is getConfig of templates.
func (e *expander) configValue(path string) (string, error) {
	n := lookup(e.config, path)
	switch {
	case n == nil:
		e.failed = fmt.Errorf("the file says nothing at %s", annotation.Quote(path))
	case n.Kind != yaml.ScalarNode:
		e.failed = fmt.Errorf("%s is not a single value", annotation.Quote(path))
	default:
		return n.Value, nil
	}
	return "", e.failed
}

// lookup returns the node at a path of keys with dots between them, or nil. Keys may contain dots,
// too.
func lookup(n *yaml.Node, path string) *yaml.Node {
	if i := indexKey(n, path); i >= 0 {
		return n.Content[i+1]
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		rest, ok := strings.CutPrefix(path, n.Content[i].Value+".")
		if !ok || n.Content[i+1].Kind != yaml.MappingNode {
			continue
		}
		if found := lookup(n.Content[i+1], rest); found != nil {
			return found
		}
	}
	return nil
}

// limitedText is a text with a limit of its length.
type limitedText struct {
	strings.Builder
	left *int
}

// Write implements io.Writer.
func (b *limitedText) Write(p []byte) (int, error) {
	if *b.left -= len(p); *b.left < 0 {
		return 0, fmt.Errorf("the texts of all patches have more than %d bytes", maxSize)
	}
	return b.Builder.Write(p)
}

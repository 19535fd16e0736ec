// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// CustomFlag is a custom param as users see it.
type CustomFlag struct {
	// Name is the param's key in params.custom. WithCustom wants it.
	Name string
	// Key is the name that users know: Name, unless the file says otherwise.
	Key         string
	Description string
	// Default is the value when the user gives none; empty for none.
	Default string
	// Values are the only values allowed, in the order to show them; empty for any.
	Values []string
	// Mandatory says that the user must give a value.
	Mandatory bool
	// Switch says that the value is true or false (typeHint: bool), so that a flag needs none.
	Switch bool
}

// CustomParams returns the custom params in the order of their names, which is the order in which
// WithCustom lays their patches.
func (m *Metadata) CustomParams() []CustomFlag {
	list := make([]CustomFlag, 0, len(m.Params.Custom))
	for _, name := range slices.Sorted(maps.Keys(m.Params.Custom)) {
		p := m.Params.Custom[name]
		f := CustomFlag{Name: name, Key: name, Description: p.Description, Values: p.PossibleValues, Mandatory: p.IsMandatory}
		f.Switch = p.TypeHint == "bool"
		if p.Key != "" {
			f.Key = p.Key
		}
		if p.DefaultValue != nil {
			f.Default = *p.DefaultValue
		}
		if len(f.Values) == 0 {
			f.Values = slices.Sorted(maps.Keys(p.Values))
		}
		list = append(list, f)
	}
	return list
}

// WithCustom returns the metadata with the patches of its custom params: for each param first the
// patch of the param, which applies to all values, then the patch of its value. values are the values that the
// user gave, by CustomFlag.Name; the others have their defaults. WithCustom does not change m.
//
// Mappings of a patch are merged key by key with those of the metadata; other values replace
// those of the metadata. Texts may hold templates (see docs/gadget-yaml.md).
//
// Like the errors of Parse, an error about a patch consists of Problems, with the param in the message. If
// all of them are about unknown names, WithCustom returns the error and the metadata
// without these names.
func (m *Metadata) WithCustom(values map[string]string) (*Metadata, error) {
	if n := len(m.Params.Custom); n > maxCustomParams {
		return nil, fmt.Errorf("%d custom params; at most %d are accepted", n, maxCustomParams)
	}
	chosen, err := m.chooseCustom(values)
	if err != nil {
		return nil, err
	}
	c := customizer{from: m, out: m, tree: m.tree(), expander: newExpander(m.tree(), chosen), seen: make(map[Pos]bool)}
	for _, name := range slices.Sorted(maps.Keys(m.Params.Custom)) {
		if err := c.apply(name, chosen[name]); err != nil {
			return nil, errors.Join(append(c.unknown, err)...)
		}
	}
	out := *c.out // not m, even if there was nothing to do
	return &out, errors.Join(c.unknown...)
}

// tree returns a new tree of the metadata.
func (m *Metadata) tree() *yaml.Node {
	if n := metadataShape().write(m); n != nil {
		return n
	}
	return newMapping()
}

// chooseCustom returns the value of each custom param.
func (m *Metadata) chooseCustom(values map[string]string) (map[string]string, error) {
	chosen := make(map[string]string)
	var errs []error
	for _, f := range m.CustomParams() {
		value, given := values[f.Name]
		if given {
			if err := f.check(value); err != nil {
				errs = append(errs, fmt.Errorf("param %q: %w", f.Key, err))
			}
		} else if value = f.Default; value != "" {
			if err := f.check(value); err != nil {
				err = fmt.Errorf("custom param %s: %w", annotation.Quote(f.Name), err)
				errs = append(errs, m.problem(err, []string{keyParams, keyCustom, f.Name, keyDefault}))
			}
		} else if f.Mandatory {
			errs = append(errs, fmt.Errorf("param %q: the gadget needs a value", f.Key))
		}
		chosen[f.Name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, ok := chosen[name]; !ok {
			errs = append(errs, &annotation.UnknownError{What: "custom param", Name: name, Known: slices.Sorted(maps.Keys(chosen))})
		}
	}
	return chosen, errors.Join(errs...)
}

// check reports a value that the param does not take.
func (f *CustomFlag) check(value string) error {
	if len(f.Values) > 0 && !slices.Contains(f.Values, value) {
		return &annotation.UnknownError{What: "value", Name: value, Known: f.Values}
	}
	return annotation.Value{Kind: annotation.Line}.Check(value)
}

// customizer lays patches over metadata.
type customizer struct {
	from, out *Metadata
	tree      *yaml.Node // of out
	expander  *expander
	unknown   []error      // about names that do not exist
	seen      map[Pos]bool // the places of these
}

// apply lays the patches of a param.
func (c *customizer) apply(name, value string) error {
	p := c.from.Params.Custom[name]
	c.expander.data["Value"] = value
	changed := false
	for _, patch := range []*yaml.Node{p.Patch, p.Values[value].Patch} {
		if patch == nil {
			continue
		}
		changed = true
		r := &reader{}
		patch = c.expander.expand(r, patch)
		metadataShape().fold(patch)
		r.preparePatch(patch)
		if err := r.blame(name, c.from.file); err != nil {
			return err
		}
		lay(c.tree, patch)
	}
	if !changed {
		return nil
	}
	out, r := readMetadata(c.from.file, c.tree)
	for path, pos := range out.positions {
		if pos == (Pos{}) { // not from a patch
			out.positions[path] = c.from.positions[path]
		}
	}
	c.out = out
	return c.tolerate(name, r)
}

// tolerate keeps the problems of the reader if they are all about unknown names, and returns
// them otherwise. The tree still has such names, so they are reported again with each further patch.
func (c *customizer) tolerate(name string, r *reader) error {
	r.problems = slices.DeleteFunc(r.problems, func(p *Problem) bool { return c.seen[p.Pos] })
	bad := false
	for _, p := range r.problems {
		c.seen[p.Pos] = true
		bad = bad || !p.Unknown()
	}
	err := r.blame(name, c.from.file)
	if bad {
		return err
	}
	c.unknown = append(c.unknown, err)
	return nil
}

// preparePatch converts a patch to the spelling of Encode, and refuses changes to custom params, which are being processed.
func (r *reader) preparePatch(patch *yaml.Node) {
	if params := childOf(patch, keyParams); params != nil {
		if i := indexKey(params, keyCustom); i >= 0 {
			r.report(params.Content[i], errors.New("a patch cannot change custom params"))
		}
	}
	programs := childOf(patch, keyPrograms)
	if programs == nil {
		return
	}
	for i := 1; i < len(programs.Content); i += 2 {
		programs.Content[i] = r.nest(programs.Content[i], programShape().names())
	}
}

// childOf returns the mapping at a key, or nil.
func childOf(n *yaml.Node, key string) *yaml.Node {
	if i := indexKey(n, key); i >= 0 && n.Content[i+1].Kind == yaml.MappingNode {
		return n.Content[i+1]
	}
	return nil
}

// blame joins the problems to one error, in which each names the custom param.
func (r *reader) blame(param, file string) error {
	if len(r.problems) == 0 {
		return nil
	}
	for _, p := range r.problems {
		p.Err = fmt.Errorf("custom param %s: %w", annotation.Quote(param), p.Err)
	}
	return r.err(file)
}

// lay merges the mapping over into the mapping base. Values of over win.
func lay(base, over *yaml.Node) {
	index := make(map[string]int, len(base.Content)/2) // there may be very many keys
	for i := 0; i+1 < len(base.Content); i += 2 {
		index[base.Content[i].Value] = i
	}
	for i := 0; i+1 < len(over.Content); i += 2 {
		key, value := over.Content[i], over.Content[i+1]
		j, there := index[key.Value]
		switch {
		case !there:
			base.Content = append(base.Content, key, value)
		case base.Content[j+1].Kind != yaml.MappingNode:
			base.Content[j], base.Content[j+1] = key, value
		case value.Kind == yaml.MappingNode:
			lay(base.Content[j+1], value)
		case !isNull(value): // nothing at all is the head of an empty mapping
			base.Content[j], base.Content[j+1] = key, value
		}
	}
}

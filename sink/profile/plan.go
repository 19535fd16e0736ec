// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// maxStacks limits the stacks of an event: those of the kernel and of the process, and as many of another process.
const maxStacks = 4

// plan says which fields of a data source make up a profile.
type plan struct {
	stacks   []stackField // the innermost first
	explicit bool         // the annotations say in which order
	labels   []labelField
	value    *event.Reader // nil: an event counts as 1
	reads    event.FieldSet
}

// stackField is a field with a stack.
type stackField struct {
	index  int // in Schema.Fields
	column event.Column
	stacks symbol.Stacks
}

// labelField is a field that becomes a label, a frame, or both.
type labelField struct {
	key     string
	reader  event.Reader
	number  bool
	unit    string
	isLabel bool
	level   int // of the frame; noLevel: it is none
}

const noLevel = -1

func newPlan(s *event.Schema, settings *annotation.Profile) (*plan, error) {
	p := &plan{}
	if err := p.findStacks(s, settings); err != nil {
		return nil, err
	}
	for i := range p.stacks {
		p.reads.Add(p.stacks[i].index)
	}
	if err := p.findValue(s, settings.ValueField); err != nil {
		return nil, err
	}
	return p, p.findLabels(s)
}

// stacksOf returns the fields with stacks, one for each column: the one that has the names of the functions, if there is one.
func stacksOf(s *event.Schema) []stackField {
	var all []stackField
	for i := range s.Fields {
		f := &s.Fields[i]
		column, ok := f.Column()
		stacks, isStacks := f.Table.(symbol.Stacks)
		if !ok || !isStacks {
			continue
		}
		found := stackField{i, column, stacks}
		at := slices.IndexFunc(all, func(other stackField) bool { return other.column == column })
		switch {
		case at < 0:
			all = append(all, found)
		case f.Base() == "symbols":
			all[at] = found
		}
	}
	return all
}

// findStacks decides which stacks a sample has, and in which order.
func (p *plan) findStacks(s *event.Schema, settings *annotation.Profile) error {
	all := stacksOf(s)
	if len(all) == 0 {
		return errors.New("its events have no stacks")
	}
	names := settings.StackFields
	if len(names) == 0 {
		names = stacksByLevel(s)
	}
	p.stacks, p.explicit = all, len(names) > 0
	if p.explicit {
		p.stacks = nil
		for _, name := range names {
			found, ok := lookupStack(s, all, name)
			if !ok {
				return fmt.Errorf("%s: %q is no field with a stack; those are %s", annotation.StackFieldsKey, name, namesOf(s, all))
			}
			if !slices.ContainsFunc(p.stacks, func(other stackField) bool { return other.column == found.column }) {
				p.stacks = append(p.stacks, found)
			}
		}
	}
	if len(p.stacks) > maxStacks {
		return fmt.Errorf("%s: a sample can have %d stacks, and these are %d: %s", annotation.StackFieldsKey, maxStacks, len(p.stacks), namesOf(s, p.stacks))
	}
	return nil
}

// stacksByLevel returns the names of the stacks that have a level in flame graphs, the innermost first.
func stacksByLevel(s *event.Schema) []string {
	var fields []*event.Field
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Ann.Profile != nil && f.Ann.Profile.Level != nil && f.Ann.Profile.Type == event.StackType {
			fields = append(fields, f)
		}
	}
	slices.SortStableFunc(fields, func(a, b *event.Field) int { return *b.Ann.Profile.Level - *a.Ann.Profile.Level })
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}

// lookupStack finds the stack that authors call by the name: of the field itself, of the id or the struct in the record from which it comes, or
// of the struct without "_raw".
func lookupStack(s *event.Schema, all []stackField, name string) (stackField, bool) {
	plain := strings.TrimSuffix(name, "_raw")
	names := []string{name, plain, plain + ".symbols", plain + "_raw.symbols"}
	if i, ok := s.Lookup(name); ok && s.Fields[i].Ann.Target != "" {
		names = append(names, s.Fields[i].Ann.Target)
	}
	for _, candidate := range names {
		i, ok := s.Lookup(candidate)
		if !ok {
			continue
		}
		column, ok := s.Fields[i].Column()
		if !ok {
			continue
		}
		for _, found := range all {
			if found.column == column {
				return found, true
			}
		}
	}
	return stackField{}, false
}

func namesOf(s *event.Schema, stacks []stackField) string {
	var names []string
	for _, f := range stacks {
		names = append(names, s.Fields[f.index].Name)
	}
	return strings.Join(names, ", ")
}

func (p *plan) findValue(s *event.Schema, name string) error {
	if name == "" {
		return nil
	}
	i, ok := s.Lookup(name)
	if raw, found := s.Lookup(name + "_raw"); found && (!ok || s.Fields[i].Added) {
		i, ok = raw, true // the number, not its text
	}
	if !ok {
		return fmt.Errorf("%s: there is no field %q", annotation.ValueFieldKey, name)
	}
	reader, err := s.RecordReader(i)
	if err != nil {
		return fmt.Errorf("%s: %w", annotation.ValueFieldKey, err)
	}
	if form := reader.Form(); form != event.FormUint && form != event.FormInt {
		return fmt.Errorf("%s: field %q is no whole number of at most 64 bits", annotation.ValueFieldKey, s.Fields[i].Name)
	}
	p.value = &reader
	p.reads.Add(i)
	return nil
}

// usualLabel is a label that samples have if the data source has one of the fields.
type usualLabel struct {
	key    string
	fields []string
}

const commLabel = "comm"

func usualLabels() []usualLabel {
	return []usualLabel{
		{commLabel, []string{"comm", "proc.comm"}},
		{"pid", []string{"pid", "proc.pid"}},
		{"container", []string{"runtime.containerName", "k8s.containerName"}},
		{"pod", []string{"k8s.podName"}},
	}
}

// findLabels finds the fields that are labels, and those that are frames of flame graphs.
func (p *plan) findLabels(s *event.Schema) error {
	taken := make(map[int]string) // fields that are labels, by index
	for _, usual := range usualLabels() {
		for _, name := range usual.fields {
			if i, ok := s.Lookup(name); ok {
				taken[i] = usual.key
				if err := p.addLabel(s, i, usual.key); err != nil {
					return err
				}
				break
			}
		}
	}
	framed := false
	for i := range s.Fields {
		in := s.Fields[i].Ann.Profile
		if in == nil {
			continue
		}
		isFrame := in.Level != nil && in.Type != event.StackType
		if !in.Attribute && !isFrame {
			continue
		}
		if _, ok := taken[i]; !ok {
			if err := p.addLabel(s, i, s.Fields[i].Name); err != nil {
				return err
			}
			p.labels[len(p.labels)-1].isLabel = in.Attribute
			taken[i] = s.Fields[i].Name
		}
		if isFrame {
			framed = true
			at := slices.IndexFunc(p.labels, func(l labelField) bool { return l.key == taken[i] })
			p.labels[at].level = *in.Level
		}
	}
	if !framed {
		if at := slices.IndexFunc(p.labels, func(l labelField) bool { return l.key == commLabel }); at >= 0 {
			p.labels[at].level = 0
		}
	}
	return nil
}

func (p *plan) addLabel(s *event.Schema, i int, key string) error {
	reader, err := s.Reader(i)
	if err != nil {
		return err
	}
	l := labelField{key: key, reader: reader, isLabel: true, level: noLevel, unit: unitOf(&s.Fields[i])}
	l.number = reader.Form() == event.FormUint || reader.Form() == event.FormInt
	p.labels = append(p.labels, l)
	p.reads.Add(i)
	return nil
}

// unitOf returns the unit of a field's number, if its C type has one.
func unitOf(f *event.Field) string {
	switch {
	case f.HasType("gadget_bytes"):
		return "bytes"
	case f.HasType("gadget_duration"):
		return "nanoseconds"
	}
	return ""
}

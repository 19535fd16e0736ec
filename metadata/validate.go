// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"maps"
	"slices"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// Known lists the names that a gadget really has.
type Known struct {
	// DataSources holds the names of all fields of each data source, those included that enriched
	// types and stages add.
	DataSources map[string][]string
	// Params are the C variables of the gadget's params.
	Params []string
	// Programs are the names of the functions of its BPF programs.
	Programs []string
	// BuiltInFields are the names that "operator.process.fields" may list. Nil: it may list any.
	BuiltInFields []string
	// OutputModes are the supported ones. Nil: a file may name any.
	OutputModes []string
}

// Validate reports all entries of m for things that the gadget does not have, in the order
// of the lines. Every problem is about an unknown name.
func (m *Metadata) Validate(known Known) error {
	v := validator{m: m}
	sources := slices.Sorted(maps.Keys(known.DataSources))
	for _, name := range slices.Sorted(maps.Keys(m.DataSources)) {
		if v.check("data source", name, sources, keyDataSources, name) {
			source, _ := knownName(name, sources)
			if known.OutputModes != nil {
				v.modes(name, known.OutputModes)
			}
			v.fields(name, known.DataSources[source])
		}
	}
	v.settings(known)
	for _, name := range slices.Sorted(maps.Keys(m.Params.EBPF)) {
		v.check("param", name, known.Params, keyParams, keyEBPF, name)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Programs)) {
		v.check("program", name, known.Programs, keyPrograms, name)
	}
	return join(v.problems)
}

// validator collects the problems of Validate.
type validator struct {
	m        *Metadata
	problems []*Problem
}

// check reports whether name is known. If not, it adds a problem about the entry at path.
func (v *validator) check(what, name string, known []string, path ...string) bool {
	if _, ok := knownName(name, known); ok {
		return true
	}
	err := &annotation.UnknownError{What: what, Name: name, Known: known}
	v.problems = append(v.problems, v.m.problem(err, path))
	return false
}

// settings checks the settings of built-in data sources.
func (v *validator) settings(known Known) {
	all, r := v.m.readBuiltIns()
	for _, p := range r.problems {
		if p.Pos == (Pos{}) && v.m.file != "" {
			continue // WithCustom has copied the tree: the problem is one of the file, and has a place there
		}
		p.File = v.m.file
		v.problems = append(v.problems, p)
	}
	for _, name := range all.processes.Fields {
		if known.BuiltInFields != nil {
			v.check("field", name, known.BuiltInFields, keyOperator, BuiltInProcesses, keyFields)
		}
	}
}

func (v *validator) fields(source string, known []string) {
	fields := v.m.DataSources[source].Fields
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		path := []string{keyDataSources, source, keyFields, name}
		if !v.check("field", name, known, path...) {
			continue
		}
		if other, ok := fields[name][annotation.ReplaceKey]; ok {
			v.check("field", other, known, append(path, keyAnnotations, annotation.ReplaceKey)...)
		}
	}
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// PendingError says that a gadget.yaml asks for something that gizmo does not do yet.
type PendingError struct {
	// Feature is the feature that gizmo does not have: "metrics".
	Feature string
	// Name is the first name that does so.
	Name string
}

// Error names the feature and the setting that uses it.
func (e *PendingError) Error() string {
	return fmt.Sprintf("%s: gizmo does not support %s yet, so this setting has no effect", annotation.Quote(e.Name), e.Feature)
}

// Pending returns a problem for each feature that m uses and that gizmo does not have yet, at the place
// of the first use. None of the problems is a mistake.
func (m *Metadata) Pending() []*Problem {
	p := pending{m: m, first: make(map[string]*Problem)}
	for _, source := range slices.Sorted(maps.Keys(m.DataSources)) {
		p.source(source)
	}
	if names := slices.Sorted(maps.Keys(m.Params.Wasm)); len(names) > 0 {
		p.add("Wasm modules", names[0], keyParams, keyWasm, names[0])
	}
	var list []*Problem
	for _, feature := range slices.Sorted(maps.Keys(p.first)) {
		list = append(list, p.first[feature])
	}
	slices.SortStableFunc(list, comparePlaces)
	return list
}

// pending collects the problems of Pending.
type pending struct {
	m     *Metadata
	first map[string]*Problem // by feature
}

func (p *pending) source(name string) {
	spec := p.m.DataSources[name]
	p.set(spec.Source, keyDataSources, name, keyAnnotations)
	for _, field := range slices.Sorted(maps.Keys(spec.Fields)) {
		p.set(spec.Fields[field], keyDataSources, name, keyFields, field, keyAnnotations)
	}
}

// set adds the features that the annotations at path use.
func (p *pending) set(set annotation.Set, path ...string) {
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if feature, ok := annotation.Pending(key); ok {
			p.add(feature, key, append(slices.Clip(path), key)...)
		}
	}
}

func (p *pending) add(feature, name string, path ...string) {
	problem := p.m.problem(&PendingError{Feature: feature, Name: name}, path)
	if old := p.first[feature]; old == nil || comparePlaces(problem, old) < 0 {
		p.first[feature] = problem
	}
}

// modesOf returns the output modes that one of the annotations in modeKeys names.
func modesOf(set annotation.Set, key string) []string {
	text, ok := set[key]
	if !ok {
		return nil
	}
	modes := strings.Split(text, ",")
	for i := range modes {
		modes[i] = strings.TrimSpace(modes[i])
	}
	return modes
}

// modeKeys are the annotations of data sources that name output modes.
func modeKeys() []string { return []string{annotation.SupportedModesKey, annotation.DefaultModeKey} }

// modes checks the output modes that a data source's annotations name, each once.
func (v *validator) modes(source string, known []string) {
	set := v.m.DataSources[source].Source
	seen := make(map[string]bool)
	for _, key := range modeKeys() {
		for _, mode := range modesOf(set, key) {
			if !seen[mode] {
				v.check("output mode", mode, known, keyDataSources, source, keyAnnotations, key)
			}
			seen[mode] = true
		}
	}
}

// fitModes removes the unknown output modes. A data source without a list has all modes.
func fitModes(set annotation.Set, known []string, changed *bool) annotation.Set {
	out := set
	for _, key := range modeKeys() {
		var left []string
		for _, mode := range modesOf(set, key) {
			if now, ok := knownName(mode, known); ok {
				left = append(left, now)
			}
		}
		if slices.Equal(left, modesOf(set, key)) {
			continue
		}
		*changed = true
		out = maps.Clone(out)
		delete(out, key)
		if len(left) > 0 {
			out[key] = strings.Join(left, ",")
		}
	}
	return out
}

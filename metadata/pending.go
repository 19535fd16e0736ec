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

// pendingField returns the feature that adds the fields of that name, if gizmo does not have it yet.
func pendingField(name string) (feature string, ok bool) {
	first, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch first {
	case "k8s", "runtime":
		return "containers", true
	}
	for _, last := range []string{".symbols", ".addresses", ".buildid"} {
		if strings.HasSuffix(strings.ToLower(name), last) {
			return "symbols of stacks", true
		}
	}
	return "", false
}

// Pending returns a problem for each feature that m uses and that gizmo does not have yet, at the place
// of the first use. known is what the gadget has: its fields exist already. None of the
// problems is a mistake.
func (m *Metadata) Pending(known Known) []*Problem {
	p := pending{m: m, first: make(map[string]*Problem)}
	for _, source := range slices.Sorted(maps.Keys(m.DataSources)) {
		p.source(source, known.DataSources[source])
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

func (p *pending) source(name string, known []string) {
	spec := p.m.DataSources[name]
	p.set(spec.Source, keyDataSources, name, keyAnnotations)
	p.modes(name)
	for _, field := range slices.Sorted(maps.Keys(spec.Fields)) {
		feature, ok := pendingField(field)
		if _, there := knownName(field, known); ok && !there {
			p.add(feature, field, keyDataSources, name, keyFields, field)
			continue
		}
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

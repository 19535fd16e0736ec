// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"maps"
	"slices"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// Fit returns m without what it says about things that the gadget does not have, beside the problems that
// Validate reports about these. m itself stays as it is.
func (m *Metadata) Fit(known Known) (*Metadata, error) {
	out := *m
	out.DataSources = only(m.DataSources, slices.Collect(maps.Keys(known.DataSources)))
	for name, spec := range out.DataSources {
		spec.Fields = fitFields(spec.Fields, known.DataSources[name])
		out.DataSources[name] = spec
	}
	out.Params.EBPF = only(m.Params.EBPF, known.Params)
	out.Programs = only(m.Programs, known.Programs)
	return &out, m.Validate(known)
}

// fitFields leaves out fields that are not known, and their names as the fields that take another's place.
func fitFields(fields map[string]annotation.Set, known []string) map[string]annotation.Set {
	fields = only(fields, known)
	for name, set := range fields {
		if other, ok := set[annotation.ReplaceKey]; ok && !slices.Contains(known, other) {
			set = maps.Clone(set)
			delete(set, annotation.ReplaceKey)
			fields[name] = set
		}
	}
	return fields
}

// only returns the entries of m that have one of the names.
func only[V any](m map[string]V, names []string) map[string]V {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(name string, _ V) bool { return !slices.Contains(names, name) })
	return out
}

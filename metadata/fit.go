// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"maps"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// Fit returns m without entries for things that the gadget does not have, and the problems that
// Validate reports about them. It replaces names that differ from those of the gadget only in case by
// the gadget's names. Fit does not change m; it returns m itself if there is nothing to change.
func (m *Metadata) Fit(known Known) (*Metadata, error) {
	out := *m
	sources := slices.Collect(maps.Keys(known.DataSources))
	changed := false
	out.DataSources = fitNames(m.DataSources, sources, &changed)
	for name, spec := range out.DataSources {
		spec.Fields = fitFields(spec.Fields, known.DataSources[name], &changed)
		if known.OutputModes != nil {
			spec.Source = fitModes(spec.Source, known.OutputModes, &changed)
		}
		out.DataSources[name] = spec
	}
	out.Params.EBPF = fitNames(m.Params.EBPF, known.Params, &changed)
	out.Programs = fitNames(m.Programs, known.Programs, &changed)
	err := m.Validate(known)
	if !changed {
		return m, err
	}
	return &out, err
}

// fitFields leaves out fields that are not known, and their names as the fields that take another's place.
func fitFields(fields map[string]annotation.Set, known []string, changed *bool) map[string]annotation.Set {
	fields = fitNames(fields, known, changed)
	for name, set := range fields {
		other, ok := set[annotation.ReplaceKey]
		if !ok {
			continue
		}
		now, ok := knownName(other, known)
		if ok && now == other {
			continue
		}
		*changed = true
		set = maps.Clone(set)
		delete(set, annotation.ReplaceKey)
		if ok {
			set[annotation.ReplaceKey] = now
		}
		fields[name] = set
	}
	return fields
}

// fitNames returns the entries of m that are known, under the names by which they are.
func fitNames[V any](m map[string]V, known []string, changed *bool) map[string]V {
	if m == nil {
		return nil
	}
	out := make(map[string]V, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		now, ok := knownName(name, known)
		*changed = *changed || !ok || now != name
		if _, twice := out[now]; ok && (!twice || now == name) {
			out[now] = m[name]
		}
	}
	return out
}

// knownName returns the known name that is meant: the same name, or else the only one that
// differs only in case.
func knownName(name string, known []string) (string, bool) {
	if slices.Contains(known, name) {
		return name, true
	}
	found := ""
	for _, k := range known {
		switch {
		case !strings.EqualFold(k, name):
		case found != "":
			return "", false
		default:
			found = k
		}
	}
	return found, found != ""
}

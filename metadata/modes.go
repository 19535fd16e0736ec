// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"maps"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

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
			if _, pending := annotation.PendingMode(mode); !pending && !seen[mode] {
				v.check("output mode", mode, known, keyDataSources, source, keyAnnotations, key)
			}
			seen[mode] = true
		}
	}
}

// fitModes leaves out the output modes that are not known. Without a list, all modes are those of the data source.
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

// modes adds the output modes that the annotations of a data source ask for.
func (p *pending) modes(source string) {
	set := p.m.DataSources[source].Source
	for _, key := range modeKeys() {
		for _, mode := range modesOf(set, key) {
			if feature, ok := annotation.PendingMode(mode); ok {
				p.add(feature, mode, keyDataSources, source, keyAnnotations, key)
			}
		}
	}
}

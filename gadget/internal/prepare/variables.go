// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package prepare prepares a parsed object for loading: it sets the types, sizes and number
// of buffers, adds second maps for maps that are emptied while programs write to them, and sets variables.
package prepare

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// FixVariables writes the values of variables into their data sections. The library would do so, too,
// but also map the sections into memory, for changing variables in a running program. That would keep
// them in the kernel after Close, until the garbage collector comes by.
func FixVariables(spec *ebpf.CollectionSpec) error {
	sections := make(map[string][]byte)
	for _, v := range spec.Variables {
		data, ok := sections[v.SectionName]
		if !ok {
			contents, err := dataOf(spec.Maps[v.SectionName])
			if err != nil {
				return fmt.Errorf("section %s: %w", v.SectionName, err)
			}
			data = slices.Clone(contents) // copies of a spec share them
			sections[v.SectionName] = data
		}
		if uint64(v.Offset)+uint64(len(v.Value)) > uint64(len(data)) {
			return fmt.Errorf("variable %s lies outside of section %s", v.Name, v.SectionName)
		}
		copy(data[v.Offset:], v.Value)
	}
	for name, data := range sections {
		spec.Maps[name].Contents = []ebpf.MapKV{{Key: uint32(0), Value: data}}
	}
	spec.Variables = nil
	return nil
}

// dataOf returns the contents of the map of a data section.
func dataOf(m *ebpf.MapSpec) ([]byte, error) {
	if m != nil && len(m.Contents) == 1 {
		if data, ok := m.Contents[0].Value.([]byte); ok {
			return data, nil
		}
	}
	return nil, errors.New("its contents are missing")
}

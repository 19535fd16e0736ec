// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// Spec returns a copy of the parsed object, which the caller may change
// and load. The params have the given values, or else their defaults; the constants, which are the
// "const volatile" globals that are not params, have the given values, or else their initial ones. The keys of both
// maps are the names of the variables.
func (img *Image) Spec(params, constants map[string]Value) (*ebpf.CollectionSpec, error) {
	spec := img.spec.Copy()
	if err := img.setParams(spec, params); err != nil {
		return nil, err
	}
	if err := img.setConstants(spec, constants); err != nil {
		return nil, err
	}
	return spec, nil
}

// setParams gives the variables of params their values: those of the caller, or the metadata's
// defaults.
func (img *Image) setParams(spec *ebpf.CollectionSpec, values map[string]Value) error {
	for variable := range values {
		if !slices.ContainsFunc(img.Params, func(p Param) bool { return p.Var == variable }) {
			return fmt.Errorf("the gadget has no param variable %q%s", variable, nearest.Hint(variable, img.paramVars()))
		}
	}
	for i := range img.Params {
		p := &img.Params[i]
		if p.packets {
			continue
		}
		v := spec.Variables[p.Var]
		value, ok := values[p.Var]
		if !ok {
			value = p.initial
		}
		if value != nil {
			if err := v.Set([]byte(value)); err != nil {
				return fmt.Errorf("param %q: %w", p.Key, err)
			}
		}
		if err := p.sizeMap(spec, v.Value); err != nil {
			return fmt.Errorf("param %q: %w", p.Key, err)
		}
	}
	return nil
}

func (img *Image) paramVars() []string {
	var names []string
	for _, p := range img.Params {
		names = append(names, p.Var)
	}
	return names
}

// setConstants gives constants that are no params their values.
func (img *Image) setConstants(spec *ebpf.CollectionSpec, values map[string]Value) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v, ok := spec.Variables[name]
		switch {
		case !ok || !v.Constant():
			return fmt.Errorf("the gadget has no constant %q (a \"const volatile\" global)%s", name, nearest.Hint(name, constantsOf(spec)))
		case slices.Contains(img.paramVars(), name):
			return fmt.Errorf("constant %q is a param of the gadget: set it as a param", name)
		case uint64(len(values[name])) != uint64(v.Size()):
			return fmt.Errorf("constant %q has %d bytes, but its new value has %d", name, v.Size(), len(values[name]))
		}
		if err := v.Set([]byte(values[name])); err != nil {
			return fmt.Errorf("constant %q: %w", name, err)
		}
	}
	return nil
}

func constantsOf(spec *ebpf.CollectionSpec) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(spec.Variables)) {
		if spec.Variables[name].Constant() {
			names = append(names, name)
		}
	}
	return names
}

// HasVariable reports whether the object has a global of that name.
func (img *Image) HasVariable(name string) bool { return img.spec.Variables[name] != nil }

// HasMap reports whether the object has a map of this name.
func (img *Image) HasMap(name string) bool { return img.spec.Maps[name] != nil }

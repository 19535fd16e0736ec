// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// addCondition records that a program is loaded only if a param is set. list returns the program's list
// to which the param is added.
func (img *Image) addCondition(program, variable string, list func(*Program) *[]string) error {
	if err := img.mustHaveProgram(program); err != nil {
		return err
	}
	param, err := newParam(img.spec, variable)
	if err != nil {
		return err
	}
	if !param.IsBool() {
		return fmt.Errorf("only a bool can decide whether a program is loaded, and %q is not a bool", variable)
	}
	conditions := list(img.Program(program))
	*conditions = append(*conditions, variable)
	return nil
}

// WithParams returns the image as the values of params, by variable, make it: with the programs disabled
// that are loaded only if certain params are set, and of these none is, and without the data sources that depend on params
// in the same way. If that leaves no program, the error is a *NothingToDoError.
func (img *Image) WithParams(values map[string]Value) (*Image, error) {
	sources := img.SourcesWith(values)
	dependsOn := func(p Program) bool { return p.isConditional() || p.Settings.Sampler.Param != "" }
	if len(sources) == len(img.DataSources) && !slices.ContainsFunc(img.Programs, dependsOn) {
		return img, nil
	}
	isSet := func(variable string) bool { return img.isSet(variable, values) }
	out := *img
	out.DataSources = sources
	out.Programs = slices.Clone(img.Programs)
	for i := range out.Programs {
		p := &out.Programs[i]
		if err := img.setFrequency(p, values); err != nil {
			return nil, err
		}
		wanted := !p.isConditional() || slices.ContainsFunc(p.LoadIf, isSet)
		p.Optional = !wanted && slices.ContainsFunc(p.TryIf, isSet)
		p.Disabled = p.Disabled || !wanted && !p.Optional
	}
	if !slices.ContainsFunc(out.Programs, func(p Program) bool { return !p.Disabled }) {
		return nil, img.nothingToDo()
	}
	return &out, nil
}

// SourcesWith returns the data sources that a run with these values of params has, with the annotations that depend on them.
func (img *Image) SourcesWith(values map[string]Value) []DataSource {
	sources := slices.DeleteFunc(slices.Clone(img.DataSources), func(d DataSource) bool {
		variable, unless := strings.CutPrefix(d.Settings.OnlyIf, "!")
		return variable != "" && img.isSet(variable, values) == unless
	})
	for i := range sources {
		sources[i].Annotations = img.withUnits(sources[i].Annotations, values)
	}
	return sources
}

// withUnits returns annotations with the units of metrics that a run with these values of params has.
func (img *Image) withUnits(all *annotation.Spec, values map[string]Value) *annotation.Spec {
	if all == nil {
		return nil
	}
	changed := all
	for field, set := range all.Fields {
		variable, unit, ok := strings.Cut(set[annotation.UnitWithKey], "=")
		if !ok || !img.isSet(variable, values) {
			continue
		}
		extra := &annotation.Spec{}
		extra.SetField(field, annotation.UnitKey, unit)
		changed = annotation.Merge(changed, extra)
	}
	return changed
}

// checkUnits returns an error unless the units of metrics depend on params of the type bool.
func (img *Image) checkUnits(d *DataSource) error {
	if d.Annotations == nil {
		return nil
	}
	var errs []error
	for _, field := range slices.Sorted(maps.Keys(d.Annotations.Fields)) {
		text, given := d.Annotations.Fields[field][annotation.UnitWithKey]
		if !given {
			continue
		}
		variable, _, ok := strings.Cut(text, "=")
		err := img.checkBool(variable)
		if !ok {
			err = fmt.Errorf("%q is not VARIABLE=UNIT", text)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("field %q: %s: %w", field, annotation.UnitWithKey, err))
		}
	}
	return errors.Join(errs...)
}

// checkOnlyIf returns an error unless what a data source depends on is a param of the type bool.
func (img *Image) checkOnlyIf(d *DataSource) error {
	if d.Settings.OnlyIf == "" {
		return nil
	}
	if err := img.checkBool(strings.TrimPrefix(d.Settings.OnlyIf, "!")); err != nil {
		return fmt.Errorf("%s: %w", annotation.OnlyIfKey, err)
	}
	return nil
}

// checkBool returns an error unless a variable is a param of the type bool.
func (img *Image) checkBool(variable string) error {
	i := slices.IndexFunc(img.Params, func(p Param) bool { return p.Var == variable })
	if i < 0 {
		return fmt.Errorf("the gadget has no param variable %q%s", variable, nearest.Hint(variable, img.paramVars()))
	}
	if !img.Params[i].IsBool() {
		return fmt.Errorf("%q is not a bool", variable)
	}
	return nil
}

// setFrequency makes a program run as often as a param says.
func (img *Image) setFrequency(p *Program, values map[string]Value) (err error) {
	s := &p.Settings.Sampler
	if s.Param == "" {
		return nil
	}
	if s.Frequency, err = img.Frequency(s.Param, values); err != nil {
		return fmt.Errorf("program %s: gadget.yaml: programs.%s.sampler.param: %w", p.Name, p.SettingsKey, err)
	}
	return nil
}

// Frequency returns the value of a param that says how many times a second to sample, with these values of params.
func (img *Image) Frequency(variable string, values map[string]Value) (uint64, error) {
	param, ok := img.Param(variable)
	value := img.value(variable, values)
	if !ok || len(value) != 4 {
		return 0, fmt.Errorf("%q is no param of the type __u32", variable)
	}
	n := uint64(binary.LittleEndian.Uint32(value))
	if n == 0 || n > annotation.MaxFrequency {
		return 0, fmt.Errorf("the param %s is %d: say how many times a second to sample, from 1 to %d", param.Key, n, annotation.MaxFrequency)
	}
	return n, nil
}

// isConditional reports whether params decide if the program is loaded.
func (p Program) isConditional() bool { return len(p.LoadIf)+len(p.TryIf) > 0 }

// Bool returns the value of a variable that is a bool, with these values of params. It returns false if there is no such variable.
func (img *Image) Bool(variable string, values map[string]Value) (value, ok bool) {
	if img.spec == nil || img.spec.Variables[variable] == nil { // an image may have no object
		return false, false
	}
	return img.isSet(variable, values), true
}

// isSet reports whether a bool is true.
func (img *Image) isSet(variable string, values map[string]Value) bool {
	return slices.ContainsFunc(img.value(variable, values), func(b byte) bool { return b != 0 })
}

// value returns the value of a variable: what the caller says, or else the metadata or the object. It is nil if there is no such variable.
func (img *Image) value(variable string, values map[string]Value) Value {
	if value, given := values[variable]; given {
		return value
	}
	if p, ok := img.Param(variable); ok && p.initial != nil {
		return p.initial
	}
	if v := img.spec.Variables[variable]; v != nil {
		return v.Value
	}
	return nil
}

// nothingToDo says which params would have programs loaded.
func (img *Image) nothingToDo() error {
	var keys []string
	for _, p := range img.Programs {
		for _, v := range slices.Concat(p.LoadIf, p.TryIf) {
			if param, ok := img.Param(v); ok && !slices.Contains(keys, param.Key) {
				keys = append(keys, param.Key)
			}
		}
	}
	if len(keys) == 0 {
		return errors.New("all programs of the gadget are disabled")
	}
	slices.Sort(keys)
	return &NothingToDoError{Params: keys}
}

// NothingToDoError says that the values of params leave no program to load.
type NothingToDoError struct {
	// Params are the keys of the params that would have programs loaded, sorted.
	Params []string
}

// Error says what the gadget needs.
func (e *NothingToDoError) Error() string {
	const some = 3
	text := strings.Join(e.Params[:min(some, len(e.Params))], ", ")
	if more := len(e.Params) - some; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return "nothing to do: the gadget needs one or more of its params " + text
}

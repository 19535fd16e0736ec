// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// addCondition notes that a program is loaded only if a param is set. The list is the one of the
// program's in which the param is noted.
func (img *Image) addCondition(program, variable string, list func(*Program) *[]string) error {
	if err := img.mustHaveProgram(program); err != nil {
		return err
	}
	param, err := newParam(img.spec, variable)
	if err != nil {
		return err
	}
	if !param.IsBool() {
		return fmt.Errorf("whether a program is loaded can be said by a bool only, and %q is none", variable)
	}
	conditions := list(img.program(program))
	*conditions = append(*conditions, variable)
	return nil
}

// withParams returns the image as the values of params make it: with the programs disabled that are
// loaded only if certain params are set, and of these none is.
func (img *Image) withParams(values map[string]Value) (*Image, error) {
	if !slices.ContainsFunc(img.Programs, Program.isConditional) {
		return img, nil
	}
	isSet := func(variable string) bool { return img.isSet(variable, values) }
	out := *img
	out.Programs = slices.Clone(img.Programs)
	for i := range out.Programs {
		p := &out.Programs[i]
		wanted := !p.isConditional() || slices.ContainsFunc(p.LoadIf, isSet)
		p.Optional = !wanted && slices.ContainsFunc(p.TryIf, isSet)
		p.Disabled = p.Disabled || !wanted && !p.Optional
	}
	if !slices.ContainsFunc(out.Programs, func(p Program) bool { return !p.Disabled }) {
		return nil, img.nothingToDo()
	}
	return &out, nil
}

// isConditional reports whether params decide if the program is loaded.
func (p Program) isConditional() bool { return len(p.LoadIf)+len(p.TryIf) > 0 }

// isSet reports whether a bool is true: as the caller says, or else the metadata or the object.
func (img *Image) isSet(variable string, values map[string]Value) bool {
	value, given := values[variable]
	if p, ok := img.Param(variable); ok && !given && p.initial != nil {
		value, given = p.initial, true
	}
	if !given {
		value = img.spec.Variables[variable].Value
	}
	return slices.ContainsFunc(value, func(b byte) bool { return b != 0 })
}

// nothingToDo says which params would have programs loaded.
func (img *Image) nothingToDo() error {
	var flags []string
	for _, p := range img.Programs {
		for _, v := range slices.Concat(p.LoadIf, p.TryIf) {
			if param, ok := img.Param(v); ok && !slices.Contains(flags, "--"+param.Key) {
				flags = append(flags, "--"+param.Key)
			}
		}
	}
	if len(flags) == 0 {
		return errors.New("all programs of the gadget are disabled")
	}
	const some = 3
	slices.Sort(flags)
	text := strings.Join(flags[:min(some, len(flags))], ", ")
	if more := len(flags) - some; more > 0 {
		text += fmt.Sprintf(" and %d more (see --help)", more)
	}
	return fmt.Errorf("there is nothing to do: the gadget needs one or more of its flags %s", text)
}

// checkOptional returns an error if the gadget would have to do without all of its programs.
func (g *Gadget) checkOptional(k *kernel) error {
	if len(g.programs) > 0 {
		return nil
	}
	var why error
	more := 0
	for _, c := range g.choices {
		switch {
		case !c.Program.Optional:
		case why == nil:
			why = cmp.Or(c.Program.explain(k, c.Why), c.Why)
		default:
			more++
		}
	}
	if more > 0 {
		return fmt.Errorf("%w (nor can it run %d more of the gadget's programs)", why, more)
	}
	return why
}

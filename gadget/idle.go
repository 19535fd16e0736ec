// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"slices"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/idle"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
)

// errIdle is the reason for not loading a program that would do nothing.
var errIdle = errors.New("the params leave it nothing to do")

// findIdle returns the programs that would do nothing, by their names, with the keys of the params that decide it. A program
// that a param switches off does not need a hook, which the kernel may lack, nor the verifier's time.
func (g *Gadget) findIdle(o *LoadOptions) (map[string][]string, error) {
	spec, err := g.image.Spec(o.Params, o.Constants)
	if err != nil {
		return nil, err
	}
	if o.edit != nil {
		o.edit(spec)
	}
	found := make(map[string][]string)
	finder := idle.New(spec, prepare.IsSetByLoading)
	for i := range g.image.Programs {
		p := &g.image.Programs[i]
		answer, reads := finder.Find(p.Name)
		if keys := g.keysOf(reads); len(keys) > 0 && hook.MayBeLeftOut(p, answer) {
			found[p.Name] = keys
		}
	}
	return found, nil
}

// keysOf returns the keys of the variables that are params.
func (g *Gadget) keysOf(variables []string) (keys []string) {
	for i := range g.image.Params {
		if p := &g.image.Params[i]; slices.Contains(variables, p.Var) {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

// leaveOut removes programs that would do nothing from the chosen ones. It fails if that leaves none.
func (g *Gadget) leaveOut(idle map[string][]string) error {
	left := 0
	var keys []string
	for i := range g.choices {
		c := &g.choices[i]
		if c.Why != nil {
			continue
		}
		if on := idle[c.Program.Name]; len(on) > 0 {
			c.Why = errIdle
			keys = append(keys, on...)
			continue
		}
		left++
	}
	if left > 0 || len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	return &image.NothingToDoError{Params: slices.Compact(keys)}
}

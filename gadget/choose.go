// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"slices"
)

// addPreference notes that of two programs for the same events the second runs only where the
// kernel cannot run the first.
func (img *Image) addPreference(first, second string) error {
	if err := errors.Join(img.mustHaveProgram(first), img.mustHaveProgram(second)); err != nil {
		return err
	}
	p := img.program(second)
	p.StandsInFor = append(p.StandsInFor, first)
	if img.standsInForItself(p, nil) {
		return fmt.Errorf("program %s would stand in for itself", second)
	}
	return nil
}

func (img *Image) program(name string) *Program {
	i := slices.IndexFunc(img.Programs, func(p Program) bool { return p.Name == name })
	return &img.Programs[i]
}

func (img *Image) standsInForItself(p *Program, seen []string) bool {
	if slices.Contains(seen, p.Name) {
		return true
	}
	seen = append(seen, p.Name)
	return slices.ContainsFunc(p.StandsInFor, func(name string) bool {
		return img.standsInForItself(img.program(name), seen)
	})
}

// choose returns the programs to load: all that are not disabled, but of those that stand in for
// each other the best that the kernel can run. A program with a stand-in is left out where its hook
// is missing; without one it stays, and loading it says why it cannot be.
func (img *Image) choose(k *kernel) []*Program {
	hasStandIn := make(map[string]bool)
	for i := range img.Programs {
		if p := &img.Programs[i]; !p.Disabled {
			for _, name := range p.StandsInFor {
				hasStandIn[name] = true
			}
		}
	}
	var runs, replaced func(p *Program) bool
	runs = func(p *Program) bool {
		return !p.Disabled && !replaced(p) && (!hasStandIn[p.Name] || p.missing(k) == nil)
	}
	// replaced: by a better program, or by one that is better than that.
	replaced = func(p *Program) bool {
		return slices.ContainsFunc(p.StandsInFor, func(name string) bool {
			better := img.program(name)
			return runs(better) || replaced(better)
		})
	}
	var chosen []*Program
	for i := range img.Programs {
		if p := &img.Programs[i]; runs(p) {
			chosen = append(chosen, p)
		}
	}
	return chosen
}

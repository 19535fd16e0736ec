// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// addPreference notes that of two programs for the same events the second runs only where the
// kernel cannot run the first.
func (img *Image) addPreference(first, second string) error {
	if err := errors.Join(img.mustHaveProgram(first), img.mustHaveProgram(second)); err != nil {
		return err
	}
	if img.standsInFor(first, second, make(map[string]bool)) {
		return fmt.Errorf("program %s would stand in for itself", second)
	}
	p := img.program(second)
	p.StandsInFor = append(p.StandsInFor, first)
	return nil
}

func (img *Image) program(name string) *Program {
	i := slices.IndexFunc(img.Programs, func(p Program) bool { return p.Name == name })
	return &img.Programs[i]
}

// standsInFor reports whether a program may run in place of another, or is it. It passes over those
// that it has seen.
func (img *Image) standsInFor(name, other string, seen map[string]bool) bool {
	if name == other {
		return true
	}
	if seen[name] {
		return false
	}
	seen[name] = true
	return slices.ContainsFunc(img.program(name).StandsInFor, func(name string) bool {
		return img.standsInFor(name, other, seen)
	})
}

// Choice is what loading decided about a program.
type Choice struct {
	Program *Program
	// Why says why the program was not loaded: it is disabled, it cannot run and is optional or has a
	// stand-in, or it stands in for one that runs. Nil if it was loaded.
	Why error
}

// loaded returns the programs to load.
func loaded(choices []Choice) []*Program {
	var list []*Program
	for _, c := range choices {
		if c.Why == nil {
			list = append(list, c.Program)
		}
	}
	return list
}

// chooser remembers what it has found out about programs, by their names: asking the kernel takes its
// time, and there may be many ways to the same one.
type chooser struct {
	img      *Image
	kernel   *kernel
	standIns map[string][]*Program
	unable   map[string]error
	replaced map[string]bool
	yields   map[string]*Program
}

func newChooser(img *Image, k *kernel) *chooser {
	c := &chooser{
		img: img, kernel: k, standIns: make(map[string][]*Program),
		unable: make(map[string]error), replaced: make(map[string]bool), yields: make(map[string]*Program),
	}
	for i := range img.Programs {
		if p := &img.Programs[i]; !p.Disabled {
			for _, name := range p.StandsInFor {
				c.standIns[name] = append(c.standIns[name], p)
			}
		}
	}
	return c
}

// choose decides which programs to load: all that are not disabled, but of those that stand in for
// others either they or these. The better ones are taken if the kernel can run all of them, since
// together they make what the stand-in makes. A program that has no stand-in and is not optional stays
// whatever the kernel can do, and loading it says why it cannot be.
func (c *chooser) choose() []Choice {
	list := make([]Choice, len(c.img.Programs))
	for i := range c.img.Programs {
		p := &c.img.Programs[i]
		list[i] = Choice{Program: p, Why: c.why(p)}
	}
	return list
}

// refuse notes that the kernel has the program's hook and yet cannot run the program. It returns false
// if none stands in for it: then choosing again makes no difference.
func (c *chooser) refuse(p *Program, why error) bool {
	if len(c.standIns[p.Name]) == 0 {
		return false
	}
	c.unable[p.Name] = why
	clear(c.replaced)
	clear(c.yields)
	return true
}

var errDisabled = errors.New("it is disabled")

// why returns the reason for not loading a program, or nil.
func (c *chooser) why(p *Program) error {
	switch {
	case p.Disabled:
		return errDisabled
	case c.isReplaced(p):
		return fmt.Errorf("it would stand in for %s", strings.Join(p.StandsInFor, " and "))
	}
	standIn := c.yieldsTo(p)
	switch {
	case standIn == nil && !p.Optional:
		return nil
	case standIn == nil:
		return c.whyUnable(p)
	}
	if err := c.whyUnable(p); err != nil {
		return err
	}
	return fmt.Errorf("%s stands in for it and for others that cannot run", standIn.Name)
}

// whyUnable returns the reason why a program cannot run here, or nil.
func (c *chooser) whyUnable(p *Program) error {
	err, known := c.unable[p.Name]
	if !known {
		if err = errDisabled; !p.Disabled {
			err = p.missing(c.kernel)
		}
		c.unable[p.Name] = err
	}
	return err
}

// isReplaced reports whether better programs run, or those that are better than they.
func (c *chooser) isReplaced(p *Program) bool {
	replaced, known := c.replaced[p.Name]
	if !known {
		replaced = len(p.StandsInFor) > 0 && !slices.ContainsFunc(p.StandsInFor, func(name string) bool {
			better := c.img.program(name)
			return !c.isReplaced(better) && c.whyUnable(better) != nil
		})
		c.replaced[p.Name] = replaced
	}
	return replaced
}

// yieldsTo returns the stand-in that runs in place of a program, or the stand-in of that; nil if there
// is none.
func (c *chooser) yieldsTo(p *Program) *Program {
	to, known := c.yields[p.Name]
	if known {
		return to
	}
	for _, standIn := range c.standIns[p.Name] {
		if !c.isReplaced(standIn) {
			to = standIn
		} else if to = c.yieldsTo(standIn); to == nil {
			continue
		}
		break
	}
	c.yields[p.Name] = to
	return to
}

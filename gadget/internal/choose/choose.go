// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package choose decides which programs of a gadget to load: among programs that stand in for each other it
// takes the best that the kernel can run.
package choose

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// Choice says whether a program is loaded.
type Choice struct {
	Program *image.Program
	// Why says why the program was not loaded: it is disabled, it cannot run and is optional or has a
	// stand-in, or it stands in for one that runs. Nil if it was loaded.
	Why error
}

// Loaded returns the programs to load.
func Loaded(choices []Choice) []*image.Program {
	var list []*image.Program
	for _, c := range choices {
		if c.Why == nil {
			list = append(list, c.Program)
		}
	}
	return list
}

// Chooser remembers what it has found out about programs, by their names: trying a program takes time,
// and the choice may depend on the same program in several ways.
type Chooser struct {
	img      *image.Image
	missing  func(*image.Program) error
	standIns map[string][]*image.Program
	unable   map[string]error
	replaced map[string]bool
	yields   map[string]*image.Program
}

// New returns a Chooser among the programs of an image. The function missing returns an error if the
// kernel is known not to have the hook of a program.
func New(img *image.Image, missing func(*image.Program) error) *Chooser {
	c := &Chooser{
		img: img, missing: missing, standIns: make(map[string][]*image.Program),
		unable: make(map[string]error), replaced: make(map[string]bool), yields: make(map[string]*image.Program),
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

// Choose decides which programs to load: all that are not disabled, except that it loads either a stand-in or the
// programs that it stands in for. It takes these if the kernel can run all of them, because
// together they make the same events as the stand-in. It always keeps a program that has no stand-in and is not
// optional; if the kernel cannot run it, loading it returns the reason.
func (c *Chooser) Choose() []Choice {
	list := make([]Choice, len(c.img.Programs))
	for i := range c.img.Programs {
		p := &c.img.Programs[i]
		list[i] = Choice{Program: p, Why: c.why(p)}
	}
	return list
}

// Refuse records that the kernel cannot run the program although it has the hook. It returns false
// if there is no stand-in: then choosing again makes no difference.
func (c *Chooser) Refuse(p *image.Program, why error) bool {
	if len(c.standIns[p.Name]) == 0 {
		return false
	}
	c.unable[p.Name] = why
	clear(c.replaced)
	clear(c.yields)
	return true
}

// ErrDisabled is why a program is not loaded that is switched off.
var ErrDisabled = errors.New("it is disabled")

// why returns the reason for not loading a program, or nil.
func (c *Chooser) why(p *image.Program) error {
	switch {
	case p.Disabled:
		return ErrDisabled
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
func (c *Chooser) whyUnable(p *image.Program) error {
	err, known := c.unable[p.Name]
	if !known {
		if err = ErrDisabled; !p.Disabled {
			err = c.missing(p)
		}
		c.unable[p.Name] = err
	}
	return err
}

// isReplaced reports whether better programs run, or those that are better than they.
func (c *Chooser) isReplaced(p *image.Program) bool {
	replaced, known := c.replaced[p.Name]
	if !known {
		replaced = len(p.StandsInFor) > 0 && !slices.ContainsFunc(p.StandsInFor, func(name string) bool {
			better := c.img.Program(name)
			return !c.isReplaced(better) && c.whyUnable(better) != nil
		})
		c.replaced[p.Name] = replaced
	}
	return replaced
}

// yieldsTo returns the stand-in that runs in place of a program, or the stand-in of the stand-in; nil if there
// is none.
func (c *Chooser) yieldsTo(p *image.Program) *image.Program {
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

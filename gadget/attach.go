// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
)

// ErrDetached is wrapped by errors of what was asked of a gadget after Detach.
var ErrDetached = errors.New("the gadget is detached")

// attachment is a program at one of its targets.
type attachment struct{ program, target string }

// closer ends an attachment.
type closer = io.Closer

// nothing is what a program is attached to that the params have left nothing to do.
type nothing struct{}

func (nothing) Close() error { return nil }

// Attach attaches the programs that were loaded, each to its own target: events come from now on. It
// leaves out those of which the params have left nothing, those that LoadOptions.ManualAttach names, and
// those that AttachTo has attached to this target already.
func (g *Gadget) Attach() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.attached == nil {
		return fmt.Errorf("attach: %w", ErrDetached)
	}
	var missing missingFiles
	for _, p := range g.programs {
		p = g.onInterface(p)
		_, done := g.attached[attachment{p.Name, p.Target}]
		if done || !hook.IsAttachable(p) || slices.Contains(g.manual, p.Name) {
			continue
		}
		err := g.attach(p)
		if missing.note(p, err) {
			continue
		}
		if err != nil {
			return g.explainAttach(p, err)
		}
	}
	return missing.report(g.log)
}

// onInterface returns the program with the network interface that the caller has chosen, if it takes one.
func (g *Gadget) onInterface(p *image.Program) *image.Program {
	if g.iface == "" || !hook.TakesInterface(p) {
		return p
	}
	other := *p
	other.Target = g.iface
	return &other
}

// attach attaches a program to its target.
func (g *Gadget) attach(p *image.Program) error {
	prog := g.coll.Programs[p.Name]
	at := attachment{p.Name, p.Target}
	if hook.IsIdle(p, prog) {
		g.attached[at] = nothing{}
		return nil
	}
	l, err := hook.Attach(g.loaded, p, prog)
	if err != nil {
		return err
	}
	g.attached[at] = l
	return nil
}

// AttachTo attaches a program to a target, which is text in the form of the program's attach_to in
// gadget.yaml: the name of a network interface, the folder of a control group, FILE:SYMBOL for probes in
// user space, and so on. A program can be attached to any number of targets, but to each once only.
// Programs that are loaded for their target (tp_btf, fentry, fexit, lsm) and samples take no other.
//
// It is safe for use by several goroutines, also while the gadget runs.
func (g *Gadget) AttachTo(program, target string) error {
	p, err := g.find(program)
	if err != nil {
		return err
	}
	if p, err = hook.WithTarget(p, target); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.attached == nil {
		return fmt.Errorf("attach program %s to %s: %w", program, target, ErrDetached)
	}
	if _, ok := g.attached[attachment{program, target}]; ok {
		return fmt.Errorf("program %s is attached to %s already", program, target)
	}
	if err := g.attach(p); err != nil {
		return g.explainAttach(p, err)
	}
	return nil
}

// DetachFrom takes a program from a target that Attach or AttachTo has attached it to. What it produced
// before can still be read.
func (g *Gadget) DetachFrom(program, target string) error {
	if _, err := g.find(program); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.attached == nil {
		return fmt.Errorf("detach program %s from %s: %w", program, target, ErrDetached)
	}
	at := attachment{program, target}
	l, ok := g.attached[at]
	if !ok {
		return fmt.Errorf("program %s is not attached to %s", program, target)
	}
	delete(g.attached, at)
	if err := l.Close(); err != nil {
		return fmt.Errorf("detach program %s from %s: %w", program, target, err)
	}
	return nil
}

// find returns a program that is loaded and can be attached.
func (g *Gadget) find(name string) (*image.Program, error) {
	for _, c := range g.choices {
		p := c.Program
		switch {
		case p.Name != name:
		case c.Why != nil:
			return nil, fmt.Errorf("program %s is not loaded: %w", name, c.Why)
		case !hook.IsAttachable(p):
			return nil, fmt.Errorf("program %s is run by a data source, and is attached to nothing", name)
		default:
			return p, nil
		}
	}
	return nil, noProgram(g.image, name)
}

// Detach detaches all programs from all their targets, for good. What they produced before can still be
// read.
func (g *Gadget) Detach() error {
	g.mu.Lock()
	links := slices.Collect(maps.Values(g.attached))
	g.attached = nil
	g.mu.Unlock()
	errs := make([]error, len(links))
	var wg sync.WaitGroup
	for i, l := range links { // at once: the kernel waits for each to come to rest
		wg.Go(func() { errs[i] = l.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// missingFiles are the programs that were not attached because the files are not there to which they are
// to be attached. A gadget may name several libraries of which a machine has one.
type missingFiles struct {
	programs []string
	errs     []error
	found    bool // there was a file for another program
}

// note remembers what became of a program, and reports whether the gadget may do without it.
func (m *missingFiles) note(p *image.Program, err error) bool {
	var missing *hook.MissingFileError
	if errors.As(err, &missing) {
		m.programs = append(m.programs, p.Name)
		m.errs = append(m.errs, err)
		return true
	}
	m.found = m.found || err == nil && hook.IsForUserSpace(p)
	return false
}

// report fails if there was no file for any program, and else says for which there was none.
func (m *missingFiles) report(log *slog.Logger) error {
	var errs []error
	for i, err := range m.errs {
		if m.found {
			log.Warn("optional program not attached", "program", m.programs[i], "reason", err)
			continue
		}
		errs = append(errs, fmt.Errorf("program %s: %w", m.programs[i], err))
	}
	return errors.Join(errs...)
}

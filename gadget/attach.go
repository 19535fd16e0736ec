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
	"strings"
	"sync"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
)

// ErrDetached is wrapped by errors of calls after Detach.
var ErrDetached = errors.New("the gadget is detached")

// attachment is a program at one of its targets.
type attachment struct{ program, target string }

// attached holds a program at its target.
type attached struct {
	link io.Closer
	// gone is nil until the program is being taken away, and closed when that is done.
	gone chan struct{}
}

// nothing stands in for the link of a program that does nothing because of the params.
type nothing struct{}

func (nothing) Close() error { return nil }

// Attach attaches the programs that were loaded, each to its own target: events come from now on. It
// leaves out those of which the params have left nothing, those that LoadOptions.ManualAttach names,
// those that AttachTo has attached to this target already, and those that LoadOptions.Places leaves to AttachIn and AttachInNetwork.
func (g *Gadget) Attach() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	missing := missingFiles{found: g.where == InContainersToo}
	for _, p := range g.programs {
		p = g.onInterface(p)
		at := g.settled(attachment{p.Name, p.Target})
		if g.attached == nil { // maybe only now
			break
		}
		elsewhere := g.where == InContainersOnly && (hook.InFile(p) || hook.InNetwork(p))
		if elsewhere || at != nil || !hook.IsAttachable(p) || slices.Contains(g.manual, p.Name) {
			missing.found = missing.found || elsewhere || at != nil || !hook.IsAttachable(p)
			if err := g.readyElsewhere(p, elsewhere); err != nil {
				return g.explainAttach(p, err)
			}
			continue
		}
		err := g.attach(p)
		if !g.strict && missing.note(p, err) {
			continue
		}
		if err != nil {
			return g.explainAttach(p, err)
		}
		missing.found = missing.found || g.attached[attachment{p.Name, p.Target}].link != nothing{}
	}
	if g.attached == nil {
		return fmt.Errorf("attach: %w", ErrDetached)
	}
	return missing.report(g.log)
}

// readyElsewhere readies a program for packets that AttachInNetwork attaches, so that an error comes now, and later calls need less of the
// kernel.
func (g *Gadget) readyElsewhere(p *image.Program, elsewhere bool) error {
	if !elsewhere || !slices.ContainsFunc(g.inNetworks(), func(q *image.Program) bool { return q.Name == p.Name }) {
		return nil
	}
	return hook.ReadyForNetworks(g.loaded, p, g.coll.Programs[p.Name])
}

// onInterface returns the program with the network interface that the caller has chosen, if it takes one.
func (g *Gadget) onInterface(p *image.Program) *image.Program {
	if g.iface == "" || !hook.TakesInterface(p) {
		return p
	}
	other := *p
	other.Target, other.Settings.AttachTo = g.iface, g.iface
	return &other
}

// attach attaches a program to its target.
func (g *Gadget) attach(p *image.Program) error {
	prog := g.coll.Programs[p.Name]
	at := attachment{p.Name, p.Target}
	if hook.IsIdle(p, prog) {
		g.attached[at] = &attached{link: nothing{}}
		return nil
	}
	l, err := hook.Attach(g.loaded, p, prog)
	if err != nil {
		return err
	}
	g.attached[at] = &attached{link: l}
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
	switch at := g.settled(attachment{program, target}); {
	case g.attached == nil:
		return fmt.Errorf("attach program %s to %s: %w", program, target, ErrDetached)
	case at != nil:
		return fmt.Errorf("program %s is attached to %s already", program, target)
	}
	if err := g.attach(p); err != nil {
		return g.explainAttach(p, err)
	}
	return nil
}

// DetachFrom detaches a program from a target that Attach or AttachTo has attached it to. Events that it
// produced before can still be read.
func (g *Gadget) DetachFrom(program, target string) error {
	if _, err := g.find(program); err != nil {
		return err
	}
	g.mu.Lock()
	a := g.settled(attachment{program, target})
	switch {
	case g.attached == nil:
		g.mu.Unlock()
		return fmt.Errorf("detach program %s from %s: %w", program, target, ErrDetached)
	case a == nil:
		g.mu.Unlock()
		return fmt.Errorf("program %s is not attached to %s", program, target)
	}
	a.gone = make(chan struct{})
	g.mu.Unlock()
	err := a.link.Close() // without the lock: several calls at once take no longer than one
	g.mu.Lock()
	delete(g.attached, attachment{program, target})
	close(a.gone)
	g.mu.Unlock()
	if err != nil {
		return fmt.Errorf("detach program %s from %s: %w", program, target, err)
	}
	return nil
}

// DetachWritesFiles reports whether detaching the gadget may have to open a file for writing. That is so for probes: on some
// kernels gizmo removes them by writing to tracefs. A process needs to know before it gives up the right to do that.
func (g *Gadget) DetachWritesFiles() bool {
	return slices.ContainsFunc(g.programs, hook.DetachWritesFiles)
}

// settled returns what is attached to a target; nil if nothing is. It waits for a program that is being detached,
// and meanwhile releases the lock, which the caller holds.
func (g *Gadget) settled(at attachment) *attached {
	for {
		a := g.attached[at]
		if a == nil || a.gone == nil {
			return a
		}
		g.mu.Unlock()
		<-a.gone
		g.mu.Lock()
	}
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
			return nil, fmt.Errorf("program %s is run by a data source and cannot be attached", name)
		default:
			return p, nil
		}
	}
	return nil, noProgram(g.names, name)
}

// Detach detaches all programs from all their targets, for good. Events that they produced before can still be
// read.
func (g *Gadget) Detach() error {
	g.mu.Lock()
	all := slices.Collect(maps.Values(g.attached))
	places := slices.Collect(maps.Keys(g.places))
	g.attached = nil
	g.mu.Unlock()
	errs := make([]error, len(all)+len(places))
	var wg sync.WaitGroup
	for i, r := range places {
		wg.Go(func() { errs[len(all)+i] = r.Close() })
	}
	for i, a := range all { // at once: the kernel waits for a grace period for each
		if a.gone != nil {
			wg.Go(func() { <-a.gone })
			continue
		}
		wg.Go(func() { errs[i] = a.link.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// missingFiles are the programs that were not attached because their files do not exist
// or lack the function. A gadget may name several libraries although a machine has only one of them.
type missingFiles struct {
	programs []string
	errs     []error
	found    bool // another program has its hook, or may find it in another root
}

// note records the result of attaching a program, and reports whether the gadget can run without it.
func (m *missingFiles) note(p *image.Program, err error) bool {
	var missing *hook.MissingFileError
	if errors.As(err, &missing) {
		m.programs = append(m.programs, p.Name)
		m.errs = append(m.errs, err)
		return true
	}
	return false
}

// report fails if no program of the gadget has a hook. Otherwise it logs the programs that have none: once for each
// reason, because a library that is missing keeps many programs from being attached.
func (m *missingFiles) report(log *slog.Logger) error {
	if !m.found {
		errs := make([]error, len(m.errs))
		for i, err := range m.errs {
			errs[i] = fmt.Errorf("program %s: %w", m.programs[i], err)
		}
		return errors.Join(errs...)
	}
	var reasons []string
	programs := make(map[string][]string)
	for i, err := range m.errs {
		reason := err.Error()
		if programs[reason] == nil {
			reasons = append(reasons, reason)
		}
		programs[reason] = append(programs[reason], m.programs[i])
	}
	for _, reason := range reasons {
		names := programs[reason]
		if len(names) == 1 {
			log.Warn("optional program not attached", "program", names[0], "reason", reason)
			continue
		}
		log.Warn("optional programs not attached", "programs", strings.Join(names, " "), "reason", reason)
	}
	return nil
}

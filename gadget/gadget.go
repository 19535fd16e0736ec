// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/choose"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// Choice is what loading decided about a program: Why is nil for one that was loaded.
type Choice = choose.Choice

// Gadget is an image in the kernel.
type Gadget struct {
	// image is there while it is loaded. It takes more memory than all else, so a gadget does not keep it.
	image *image.Image
	names []string // of the image's programs
	coll  *ebpf.Collection
	// programs are those that were loaded.
	programs []*image.Program
	choices  []Choice
	// takesStacks says that programs take stacks, ownStacks that they use gizmo's table.
	takesStacks, ownStacks bool
	userStacks             bool // programs take stacks of processes
	iface                  string
	manual                 []string
	where                  Places
	strict                 bool
	log                    *slog.Logger

	sources  []pipeline.Source
	builtIns []builtIn
	lost     lostByMount
	stacks   *Stacks // nil: the programs use none
	// inFiles and inNetworks are the programs of AttachIn and of AttachInNetwork.
	inFiles, inNetworks func() []*image.Program

	mu       sync.Mutex // guards the fields below: several goroutines attach and detach programs
	loaded   *hook.Loaded
	attached map[attachment]*attached // nil from Detach on
	places   map[*inPlace]bool        // what AttachIn and AttachInNetwork have attached
	known    map[string]ProgramStats  // what Stats has found out
}

// Programs returns, for each program of the image, whether it was loaded and, if it was not, why.
func (g *Gadget) Programs() []Choice { return slices.Clone(g.choices) }

// Map returns a map of the gadget by the name that it has in the object. It belongs to the gadget and ends
// with it. Programs use a map that is a data source alternately with another while it is read at
// intervals, so it has a part of the entries only.
func (g *Gadget) Map(name string) (*ebpf.Map, bool) {
	m, ok := g.coll.Maps[name]
	return m, ok
}

// Sources returns one source for each data source, in the order of the image. They belong to the
// gadget and end with it. Their schemas are copies: extending them before the run does not change the
// image.
func (g *Gadget) Sources() []pipeline.Source { return g.sources }

// Close detaches the programs and takes all that is the gadget's out of the kernel. The sources
// must no longer be in use.
func (g *Gadget) Close() error {
	errs := []error{g.Detach()}
	for _, s := range g.sources {
		errs = append(errs, s.Close())
	}
	g.sources = nil
	if g.loaded != nil {
		errs = append(errs, g.loaded.Close())
	}
	if g.stacks != nil {
		errs = append(errs, g.stacks.Close())
		g.stacks = nil
	}
	g.coll.Close()
	return errors.Join(errs...)
}

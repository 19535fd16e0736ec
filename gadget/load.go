// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/choose"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/tc"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/usdt"
	"github.com/gizmo-ebpf/gizmo/host/bpfprogs"
	"github.com/gizmo-ebpf/gizmo/internal/cpus"
)

// Load puts the maps and programs of an image into the kernel. Nothing happens there until Attach. The
// options may be nil. The caller must Close the gadget.
func Load(img *image.Image, o *LoadOptions) (*Gadget, error) {
	o = o.withDefaults()
	img, err := o.withParams(img)
	if err != nil {
		return nil, err
	}
	if err := Supported(img); err != nil {
		return nil, err
	}
	if err := o.check(img); err != nil {
		return nil, err
	}
	if len(img.Programs) == 0 {
		return loadWithoutPrograms(img, o)
	}
	if err := PrepareProcess(); err != nil {
		return nil, err
	}
	k, err := kernel.New(o.Types, o.KernelTypes)
	if err != nil {
		return nil, err
	}
	g := &Gadget{
		image: img, names: namesOf(img), iface: o.Interface, strict: o.Strict, manual: o.ManualAttach, where: o.Places, log: o.Logger,
		attached: make(map[attachment]*attached), places: make(map[*inPlace]bool), known: make(map[string]ProgramStats),
	}
	g.inFiles = sync.OnceValue(func() []*image.Program { return g.findAttachable(hook.InFile) })
	g.inNetworks = sync.OnceValue(g.findInNetworks)
	pins, err := g.loadChosen(k, o)
	g.logChoices()
	if err != nil {
		return nil, err
	}
	defer pins.close()
	schemas := schemasOf(img, k.Types)
	o.AfterPrograms()
	if err := errors.Join(g.openSources(schemas, o), g.openLostByMount(), g.openStacks(o)); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if o.trial {
		return g, nil
	}
	label := bpfprogs.NewLabel(img.Metadata.Name, o.Reference)
	if err := label.Bind(g.coll.Programs); err != nil { // before Linux 5.10
		g.log.Debug("the gadget's programs do not carry its name", "error", err)
	}
	if err := pins.pin(g.coll.Maps); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	g.image = nil
	return g, nil
}

// loadWithoutPrograms is Load for a gadget that has only built-in data sources: it puts nothing into the kernel.
func loadWithoutPrograms(img *image.Image, o *LoadOptions) (*Gadget, error) {
	g := &Gadget{
		image: img, coll: &ebpf.Collection{}, log: o.Logger, loaded: &hook.Loaded{},
		attached: make(map[attachment]*attached), places: make(map[*inPlace]bool), known: make(map[string]ProgramStats),
	}
	g.inFiles = func() []*image.Program { return nil }
	g.inNetworks = g.inFiles
	var schemas []*event.Schema
	for i := range img.DataSources {
		schemas = append(schemas, img.DataSources[i].Schema.Clone())
	}
	o.AfterPrograms()
	if err := g.openSources(schemas, o); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	g.image = nil
	return g, nil
}

// Try finds out whether the kernel accepts an image: it loads it without pinning anything, and unloads it again.
func Try(img *image.Image, o *LoadOptions) error {
	o = o.withDefaults()
	o.trial = true
	g, err := Load(img, o)
	if err != nil {
		return err
	}
	return g.Close()
}

// Supported returns an error for the first part of the image that this version of gizmo cannot run. It
// does not ask the kernel.
func Supported(img *image.Image) error {
	if err := img.CheckPins(); err != nil {
		return err
	}
	for i := range img.Programs {
		if img.Programs[i].Disabled {
			continue
		}
		if err := hook.Check(&img.Programs[i]); err != nil {
			return err
		}
	}
	return nil
}

// PrepareProcess returns an error if this process cannot load anything at all, and lifts a limit. Load calls it before it tries out
// the kernel.
func PrepareProcess() error {
	if err := kernel.CheckPrivileges(); err != nil {
		return err
	}
	if err := kernel.CheckPlace(); err != nil {
		return err
	}
	if possible, err := cpus.Possible(); err == nil { // else the library will return the error
		if err := checkPossibleCPUs(possible); err != nil {
			return err
		}
	}
	return kernel.RaiseMemlock()
}

// checkPossibleCPUs refuses machines on which numbers of CPUs that may come are missing between others. The
// kernel then returns the values for each CPU in another order than that of the numbers, for which the
// library has no way.
func checkPossibleCPUs(possible []int) error {
	if last := len(possible) - 1; possible[last] != last {
		return fmt.Errorf("%w: the numbers of this machine's possible CPUs have holes (/sys/devices/system/cpu/possible): %v", ErrNotYetSupported, possible)
	}
	return nil
}

// loadChosen loads the maps, and the programs that the kernel can run. If the kernel refuses a program
// although it has the hook, loadChosen replaces it by its stand-in, if there is one.
func (g *Gadget) loadChosen(k *kernel.Kernel, o *LoadOptions) (*pins, error) {
	idle, err := g.findIdle(o)
	if err != nil {
		return nil, err
	}
	c := choose.New(g.image, func(p *image.Program) error { return hook.Missing(k, p) })
	for {
		g.choices = c.Choose()
		if err := g.leaveOut(idle); err != nil {
			return nil, err
		}
		g.programs = choose.Loaded(g.choices)
		if err := g.checkOptional(k); err != nil {
			return nil, err
		}
		spec, err := g.prepare(o)
		if err != nil {
			return nil, err
		}
		pins, err := openPins(spec.Maps)
		if err != nil {
			return nil, err
		}
		if g.coll, err = g.newCollection(spec, k, pins, o); err == nil {
			if g.loaded, err = g.toAttach(spec, o); err != nil {
				g.coll.Close()
				pins.close()
				return nil, err
			}
			return pins, nil
		}
		pins.close()
		p := programOf(g.programs, err)
		if p == nil || !c.Refuse(p, explainLoad(p, err)) {
			return nil, g.explainHooks(k, p, err)
		}
	}
}

// checkOptional returns an error if the gadget would have to do without all of its programs.
func (g *Gadget) checkOptional(k *kernel.Kernel) error {
	if len(g.programs) > 0 {
		return nil
	}
	var why error
	more := 0
	for _, c := range g.choices {
		switch {
		case !c.Program.Optional:
		case why == nil:
			why = cmp.Or(hook.Explain(k, c.Program, c.Why), c.Why)
		default:
			more++
		}
	}
	if more > 0 {
		return fmt.Errorf("%w (nor can it run %d more of the gadget's programs)", why, more)
	}
	return why
}

// logChoices logs which programs were not loaded, and why.
func (g *Gadget) logChoices() {
	for _, c := range g.choices {
		if c.Why != nil && !errors.Is(c.Why, choose.ErrDisabled) {
			g.log.Debug("program not loaded", "program", c.Program.Name, "hook", c.Program.Place(), "why", c.Why)
		}
	}
}

// prepare makes the copy of the spec that is loaded.
func (g *Gadget) prepare(o *LoadOptions) (*ebpf.CollectionSpec, error) {
	spec, err := g.image.Spec(o.Params, o.Constants)
	if err != nil {
		return nil, err
	}
	if o.edit != nil {
		o.edit(spec)
	}
	all := spec.Programs
	if err := preparePrograms(spec, g.programs); err != nil {
		return nil, err
	}
	prepare.ShrinkUnused(spec, all, func(name string) bool { return o.Maps[name] != nil })
	if err := prepare.SetPacketFilters(spec, g.image.PacketFilters(o.Params), kernel.HasStackOffsets); err != nil {
		return nil, err
	}
	image.SetCookieFlag(spec, kernel.HasCookies)
	prepare.DropUnusedLosses(spec)
	if g.lost.counted, err = prepare.CountLostByMount(spec, o.LostByMount); err != nil {
		return nil, err
	}
	if err := share(spec, g.image, o.Maps); err != nil {
		return nil, err
	}
	if err := o.buffersOf(g.image).Set(spec); err != nil {
		return nil, err
	}
	g.findStacks(spec)
	return spec, prepare.FixVariables(spec)
}

// preparePrograms leaves those in the spec that are to be loaded.
func preparePrograms(spec *ebpf.CollectionSpec, chosen []*image.Program) error {
	all := spec.Programs
	spec.Programs = make(map[string]*ebpf.ProgramSpec, len(chosen))
	for _, p := range chosen {
		if err := hook.Prepare(p, all[p.Name]); err != nil {
			return fmt.Errorf("program %s: %w", p.Name, err)
		}
		spec.Programs[p.Name] = all[p.Name]
	}
	return nil
}

// newCollection puts maps and programs into the kernel.
func (g *Gadget) newCollection(spec *ebpf.CollectionSpec, k *kernel.Kernel, pins *pins, o *LoadOptions) (*ebpf.Collection, error) {
	replaced := make(map[string]*ebpf.Map)
	maps.Copy(replaced, pins.found)
	maps.Copy(replaced, o.Maps)
	options := ebpf.CollectionOptions{
		Programs:        ebpf.ProgramOptions{KernelTypes: k.Types, ExtraRelocationTargets: o.ExtraTypes},
		MapReplacements: replaced, // which are cloned
		Cache:           k.Cache,
	}
	if err := g.linkSockets(spec, o, &options); err != nil {
		return nil, err
	}
	linked, err := g.linkStacks(spec, o)
	if err != nil {
		return nil, err
	}
	coll, err := g.loadCollection(spec, options, o)
	if err != nil && linked.Own {
		linked.Undo()
		var withoutErr error
		if coll, withoutErr = g.loadCollection(spec, options, o); withoutErr == nil {
			g.log.Warn("the gadget uses the kernel's table of stacks, in which some stacks take the place of others, because its programs do not load with gizmo's", "why", err)
		}
		err = withoutErr // about the code that the author wrote
	}
	g.ownStacks = linked.Own
	return coll, err
}

// loadCollection is newCollection for programs that are linked.
func (g *Gadget) loadCollection(spec *ebpf.CollectionSpec, options ebpf.CollectionOptions, o *LoadOptions) (*ebpf.Collection, error) {
	if alternating, ok := prepare.Alternate(spec, g.alternating(o)); ok {
		coll, err := ebpf.NewCollectionWithOptions(alternating, options)
		if err == nil {
			return coll, nil
		}
		// The unchanged program may load. If not, the error is about the code that the author wrote.
		g.log.Debug("the programs do not load with a second map to alternate with; loading them as they are", "error", err)
	}
	return ebpf.NewCollectionWithOptions(spec, options)
}

// alternating lists the maps that are emptied while programs write to them, and that only the gadget's own
// programs use: other users would see only half of the entries.
func (g *Gadget) alternating(o *LoadOptions) []string {
	var names []string
	for i := range g.image.DataSources {
		d := &g.image.DataSources[i]
		if d.Kind != image.MapIterator || o.fetchOf(d).Interval < 0 || g.image.IsPinned(d.Map) || o.Maps[d.Map] != nil {
			continue
		}
		if !slices.ContainsFunc(g.image.Programs, func(p image.Program) bool { return p.IterMap == d.Map }) {
			names = append(names, d.Map)
		}
	}
	return names
}

// toAttach returns the facts that attaching needs.
func (g *Gadget) toAttach(spec *ebpf.CollectionSpec, o *LoadOptions) (*hook.Loaded, error) {
	types := make(map[string]ebpf.AttachType, len(spec.Programs))
	for name, p := range spec.Programs {
		types[name] = p.AttachType
	}
	loaded := &hook.Loaded{
		ProbeSpecs: spec.Maps[usdt.SpecMap], AttachTypes: types, Maps: g.coll.Maps,
		Cookies: kernel.HasCookies(), UprobeMulti: kernel.HasUprobeMulti(),
		Log: g.log,
	}
	if !slices.ContainsFunc(g.programs, hook.ForPackets) {
		return loaded, nil
	}
	loaded.Containers = g.where != OnHost
	loaded.TCLinks = !o.withoutTCLinks && slices.ContainsFunc(g.programs, hook.IsClassifier) && tc.HasLinks()
	var err error
	if loaded.Home, err = netns.Open(netns.Own); err != nil {
		return nil, fmt.Errorf("find this process's network namespace: %w", err)
	}
	return loaded, nil
}

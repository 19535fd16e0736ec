// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/gizmo-ebpf/gizmo/internal/cpus"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// LoadOptions are the choices of one run. The zero value is useful.
type LoadOptions struct {
	// Params are the values of params by variable, as Param.Parse returns them. Others keep their
	// defaults.
	Params map[string]Value
	// BufferSize is the size in bytes of each ring buffer, at most MaxBufferSize and what the memory
	// allows; 0 means DefaultBufferSize(), or less if several share little memory. It is rounded up to a
	// power of two. Perf buffers share it out among the CPUs; 0: 1 MiB for each.
	BufferSize int
	// Latency bounds how long an event may wait in the buffer for others to come; 0 means
	// DefaultLatency, and AtOnce that each event wakes the reader, if it sleeps. Objects that were built
	// against other headers wake it for each event anyway.
	Latency time.Duration
	// Shards is the number of ring buffers into which each buffer is split, each for a group of CPUs, up
	// to 64; it is rounded up to a power of two, and 0 means DefaultShards(). BufferSize is shared out
	// among them.
	// Objects that were built against other headers have one.
	Shards int
	// Strict makes it an error if a function or a probe in user space that a program is for is not there.
	// Otherwise it is one only if none of the gadget's is.
	Strict bool
	// PerfBuffer uses perf buffers even where the kernel has ring buffers.
	PerfBuffer bool
	// Fetch says how often data sources of arrays are read, by their names. Others do as their
	// annotations say.
	Fetch map[string]Fetch
	// NetNS lists the network namespaces in which iterators run that show one of them only (tcp, udp), by
	// paths such as /proc/1/ns/net; several paths may lead to the same one. It is asked before each
	// array, since namespaces come and go; see RunningNetNS. Nil: only the one that gizmo is in.
	NetNS func() ([]string, error)
	// Interface is the network interface for programs that are attached to one; empty: that of their
	// attach_to. It is an error if there is no such interface, or no such program.
	Interface string
	// ReturnMemory gives the memory that loading took (the kernel's types, above all: some 20 MiB) back
	// to the system before the buffers are mapped. It collects garbage, which a small program hardly
	// notices.
	ReturnMemory bool
}

// Fetch says how often a data source of arrays is read.
type Fetch struct {
	// Interval is the time from one array to the next; 0 means the default. See also AtEnd.
	Interval time.Duration
	// Count is the number of arrays after which the source is at its end; 0: it goes on as long as the
	// run.
	Count int
	// Flush makes a last array of what there is when the run ends.
	Flush bool
}

// Gadget is an image in the kernel.
type Gadget struct {
	image *Image
	coll  *ebpf.Collection
	// programs are those that were loaded.
	programs []*Program
	choices  []Choice
	iface    string
	strict   bool

	sources []pipeline.Source

	mu    sync.Mutex // guards links: Detach may be called by a signal's goroutine
	links []io.Closer

	usdtSpecs *usdtSpecs // what static probes tell of their arguments; nil until there is one
}

// Load puts the gadget's maps and programs into the kernel. Nothing happens there until Attach.
// The caller must Close the gadget.
func (img *Image) Load(o *LoadOptions) (*Gadget, error) {
	if o == nil {
		o = &LoadOptions{}
	}
	img, err := img.withParams(o.Params)
	if err != nil {
		return nil, err
	}
	if err := img.Supported(); err != nil {
		return nil, err
	}
	if err := img.checkInterface(o.Interface); err != nil {
		return nil, err
	}
	if err := prepareProcess(); err != nil {
		return nil, err
	}
	k, err := newKernel()
	if err != nil {
		return nil, err
	}
	g := &Gadget{image: img, iface: o.Interface, strict: o.Strict}
	pins, err := g.loadChosen(k, o)
	g.logChoices()
	if err != nil {
		return nil, err
	}
	defer pins.close()
	schemas := img.schemas(k.types)
	if o.ReturnMemory {
		debug.FreeOSMemory()
	}
	if err := g.openSources(schemas, o); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	if err := pins.pin(g.coll.Maps); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// prepareProcess finds out what would keep this process from loading anything at all, and lifts a limit.
// It comes before what tries out the kernel.
func prepareProcess() error {
	if err := checkPrivileges(); err != nil {
		return err
	}
	if possible, err := cpus.Possible(); err == nil { // else the library will tell
		if err := checkPossibleCPUs(possible); err != nil {
			return err
		}
	}
	return explainMemlock(rlimit.RemoveMemlock())
}

// loadChosen puts the maps into the kernel, and the programs that it can run. One that it refuses
// although it has the hook counts as one that it cannot run, if others stand in for it.
func (g *Gadget) loadChosen(k *kernel, o *LoadOptions) (*pins, error) {
	c := newChooser(g.image, k)
	for {
		g.choices = c.choose()
		g.programs = loaded(g.choices)
		if err := g.checkOptional(k); err != nil {
			return nil, err
		}
		spec, err := g.image.prepare(o, k, g.programs)
		if err != nil {
			return nil, err
		}
		pins, err := openPins(spec.Maps)
		if err != nil {
			return nil, err
		}
		if g.coll, err = g.image.newCollection(spec, k, pins, o); err == nil {
			return pins, nil
		}
		pins.close()
		p := g.blamed(err)
		if p == nil || !c.refuse(p, explainLoad(p, err)) {
			return nil, g.explainHooks(k, p, err)
		}
	}
}

// Programs tells of each program of the image whether it was loaded and, if it was not, why.
func (g *Gadget) Programs() []Choice { return slices.Clone(g.choices) }

// logChoices tells those who want to know it which programs were passed over.
func (g *Gadget) logChoices() {
	for _, c := range g.choices {
		if c.Why != nil && !errors.Is(c.Why, errDisabled) {
			slog.Debug("a program is left out", "program", c.Program.Name, "hook", c.Program.place(), "why", c.Why)
		}
	}
}

// newCollection puts maps and programs into the kernel.
func (img *Image) newCollection(spec *ebpf.CollectionSpec, k *kernel, pins *pins, o *LoadOptions) (*ebpf.Collection, error) {
	options := ebpf.CollectionOptions{
		Programs:        ebpf.ProgramOptions{KernelTypes: k.types},
		MapReplacements: pins.found,
		Cache:           k.cache,
	}
	if err := standInForSockets(spec, &options.Programs); err != nil {
		return nil, err
	}
	if doubled, ok := img.doubleMaps(spec, o); ok {
		coll, err := ebpf.NewCollectionWithOptions(doubled, options)
		if err == nil {
			return coll, nil
		}
		// As it was written it may load. If not, the error is about what the author knows.
		slog.Debug("the programs do not load with two maps to take turns between", "error", err)
	}
	return ebpf.NewCollectionWithOptions(spec, options)
}

// Supported returns an error for the first part of the image that this version of gizmo cannot run.
func (img *Image) Supported() error {
	for _, name := range slices.Sorted(maps.Keys(img.spec.Maps)) {
		if err := img.checkPin(name); err != nil {
			return err
		}
	}
	for i := range img.Programs {
		if img.Programs[i].Disabled {
			continue
		}
		if err := img.Programs[i].supported(); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the copy of the spec that is loaded.
func (img *Image) prepare(o *LoadOptions, k *kernel, chosen []*Program) (*ebpf.CollectionSpec, error) {
	spec := img.spec.Copy()
	if err := img.setParams(spec, o.Params); err != nil {
		return nil, err
	}
	if err := preparePrograms(spec, k, chosen); err != nil {
		return nil, err
	}
	setCookieFlag(spec, hasCookies)
	dropUnusedLosses(spec)
	if err := img.prepareBuffers(spec, o); err != nil {
		return nil, err
	}
	return spec, fixVariables(spec)
}

// preparePrograms leaves those in the spec that are to be loaded.
func preparePrograms(spec *ebpf.CollectionSpec, k *kernel, chosen []*Program) error {
	all := spec.Programs
	spec.Programs = make(map[string]*ebpf.ProgramSpec, len(chosen))
	for _, p := range chosen {
		s := all[p.Name]
		s.AttachTo = p.Target
		if p.hook.prepare != nil {
			if err := p.hook.prepare(k, p, s); err != nil {
				return fmt.Errorf("program %s: %w", p.Name, err)
			}
		}
		spec.Programs[p.Name] = s
	}
	return nil
}

// fixVariables writes the values of variables into their data sections. The library would do so, too,
// but also map the sections into memory, for changing variables in a running program. That would keep
// them in the kernel after Close, until the garbage collector comes by.
func fixVariables(spec *ebpf.CollectionSpec) error {
	sections := make(map[string][]byte)
	for _, v := range spec.Variables {
		data, ok := sections[v.SectionName]
		if !ok {
			contents, err := dataOf(spec.Maps[v.SectionName])
			if err != nil {
				return fmt.Errorf("section %s: %w", v.SectionName, err)
			}
			data = slices.Clone(contents) // copies of a spec share them
			sections[v.SectionName] = data
		}
		if uint64(v.Offset)+uint64(len(v.Value)) > uint64(len(data)) {
			return fmt.Errorf("variable %s lies outside of section %s", v.Name, v.SectionName)
		}
		copy(data[v.Offset:], v.Value)
	}
	for name, data := range sections {
		spec.Maps[name].Contents = []ebpf.MapKV{{Key: uint32(0), Value: data}}
	}
	spec.Variables = nil
	return nil
}

// dataOf returns the contents of the map that stands for a data section.
func dataOf(m *ebpf.MapSpec) ([]byte, error) {
	if m != nil && len(m.Contents) == 1 {
		if data, ok := m.Contents[0].Value.([]byte); ok {
			return data, nil
		}
	}
	return nil, errors.New("its contents are missing")
}

// setParams gives the variables of params their values: those of the caller, or the metadata's
// defaults.
func (img *Image) setParams(spec *ebpf.CollectionSpec, values map[string]Value) error {
	for variable := range values {
		if !slices.ContainsFunc(img.Params, func(p Param) bool { return p.Var == variable }) {
			return fmt.Errorf("the gadget has no param variable %q%s", variable, nearest.Hint(variable, img.paramVars()))
		}
	}
	for i := range img.Params {
		p := &img.Params[i]
		v := spec.Variables[p.Var]
		value, ok := values[p.Var]
		if !ok {
			value = p.initial
		}
		if value != nil {
			if err := v.Set([]byte(value)); err != nil {
				return fmt.Errorf("param %q: %w", p.Key, err)
			}
		}
		if err := p.sizeMap(spec, v.Value); err != nil {
			return fmt.Errorf("param %q: %w", p.Key, err)
		}
	}
	return nil
}

func (img *Image) paramVars() []string {
	var names []string
	for _, p := range img.Params {
		names = append(names, p.Var)
	}
	return names
}

// Attach attaches the programs that were loaded, except those of which the params have left nothing:
// events come from now on.
func (g *Gadget) Attach() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var absent absentFiles
	for _, p := range g.programs {
		prog := g.coll.Programs[p.Name]
		if p.hook.attach == nil || p.isIdle(prog) {
			continue
		}
		l, err := p.hook.attach(g, p, prog)
		if absent.has(p, err) && !g.strict {
			continue
		}
		if err != nil {
			return g.explainAttach(p, err)
		}
		g.links = append(g.links, l)
	}
	return absent.settle()
}

// Detach detaches all programs. What they produced before can still be read.
func (g *Gadget) Detach() error {
	g.mu.Lock()
	links := g.links
	g.links = nil
	g.mu.Unlock()
	errs := make([]error, len(links))
	var wg sync.WaitGroup
	for i, l := range links { // at once: the kernel waits for each to come to rest
		wg.Go(func() { errs[i] = l.Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Sources returns one source for each data source, in the order of the image. They belong to the
// gadget and end with it. Their schemas are copies: extending them before the run leaves the image
// alone.
func (g *Gadget) Sources() []pipeline.Source { return g.sources }

// Close detaches the programs and takes all that is the gadget's out of the kernel. The sources
// must no longer be in use.
func (g *Gadget) Close() error {
	errs := []error{g.Detach()}
	for _, s := range g.sources {
		errs = append(errs, s.Close())
	}
	g.sources = nil
	g.coll.Close()
	return errors.Join(errs...)
}

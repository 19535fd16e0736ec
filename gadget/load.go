// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

const (
	// DefaultBufferSize is the size in bytes of a buffer when the caller names none. Gadgets declare
	// sizes too, made for other readers; see docs/RATIONALE.md.
	DefaultBufferSize = 16 << 20
	// DefaultLatency bounds how long an event may wait in the buffer for others to come.
	DefaultLatency = 20 * time.Millisecond
)

// LoadOptions are the choices of one run. The zero value is useful.
type LoadOptions struct {
	// Params are the values of params by variable, as Param.Parse returns them. Others keep their
	// defaults.
	Params map[string]Value
	// BufferSize is the size in bytes of each ring buffer; 0 means DefaultBufferSize. It is rounded
	// up to a power of two.
	BufferSize int
	// PerfBuffer uses perf buffers even where the kernel has ring buffers.
	PerfBuffer bool
	// Fetch says how often data sources of arrays are read, by their names. Others do as their
	// annotations say.
	Fetch map[string]Fetch
	// ReturnMemory gives the memory that loading took (the kernel's types, above all: some 20 MiB) back
	// to the system before the buffers are mapped. It collects garbage, which a small program hardly
	// notices.
	ReturnMemory bool
}

// Fetch says how often a data source of arrays is read.
type Fetch struct {
	// Interval is the time from one array to the next; 0 means the default.
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

	sources []pipeline.Source

	mu    sync.Mutex // guards links: Detach may be called by a signal's goroutine
	links []io.Closer
}

// Load puts the gadget's maps and programs into the kernel. Nothing happens there until Attach.
// The caller must Close the gadget.
func (img *Image) Load(o *LoadOptions) (*Gadget, error) {
	if o == nil {
		o = &LoadOptions{}
	}
	if err := img.Supported(); err != nil {
		return nil, err
	}
	if err := checkPrivileges(); err != nil {
		return nil, err
	}
	if err := rlimit.RemoveMemlock(); err != nil { // before prepare, which makes a map to see whether it can
		return nil, fmt.Errorf("raise the limit of locked memory: %w", err)
	}
	k, err := newKernel()
	if err != nil {
		return nil, err
	}
	chosen := img.choose(k)
	spec, err := img.prepare(o, k, chosen)
	if err != nil {
		return nil, err
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{KernelTypes: k.types},
	})
	if err != nil {
		return nil, explainHooks(k, chosen, err)
	}
	g := &Gadget{image: img, coll: coll, programs: chosen}
	schemas := img.schemas(k.types)
	if o.ReturnMemory {
		debug.FreeOSMemory()
	}
	if err := g.openSources(schemas); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// Supported returns an error for the first part of the image that this version of gizmo cannot run.
func (img *Image) Supported() error {
	for i := range img.DataSources {
		if d := &img.DataSources[i]; d.Kind != Tracer {
			return fmt.Errorf("data source %q: a data source of this kind (%s) is %w", d.Schema.Name, d.Kind, ErrNotYetSupported)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(img.spec.Maps)) {
		if img.spec.Maps[name].Pinning != ebpf.PinNone {
			return fmt.Errorf("map %q: a pinned map is %w", name, ErrNotYetSupported)
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
	noRing := features.HaveMapType(ebpf.RingBuf)
	perf := o.PerfBuffer || errors.Is(noRing, ebpf.ErrNotSupported)
	for i := range img.DataSources {
		if img.DataSources[i].Kind != Tracer {
			continue
		}
		m := spec.Maps[img.DataSources[i].Map]
		if o.PerfBuffer && m.Type == ebpf.RingBuf && noRing == nil && spec.Variables[varPerf] == nil {
			return nil, fmt.Errorf("this gadget cannot use perf buffers on a kernel that has ring buffers: it has no constant %s (built against other headers?)", varPerf)
		}
		configureBuffer(m, o.BufferSize, perf)
	}
	if err := tellPrograms(spec, perf); err != nil {
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

// configureBuffer gives one buffer its type and size.
func configureBuffer(m *ebpf.MapSpec, size int, perf bool) {
	if perf {
		m.Type, m.KeySize, m.ValueSize, m.MaxEntries = ebpf.PerfEventArray, 4, 4, 0
		return
	}
	if m.Type == ebpf.RingBuf {
		m.MaxEntries = bufferSize(size)
	}
}

// bufferSize rounds up to what the kernel takes: a power of two and at least a page.
func bufferSize(size int) uint32 {
	if size <= 0 {
		size = DefaultBufferSize
	}
	size = min(max(size, os.Getpagesize()), 1<<30)
	return 1 << bits.Len32(uint32(size)-1)
}

// The constants of <gadget/buffer.h> that are ours to set. Objects built elsewhere lack them, and
// then the kernel decides when to wake the reader.
const (
	varWakeup = "gadget_wakeup_bytes"
	varPerf   = "gadget_force_perf_buffer"
)

// tellPrograms sets the constants that say how to use the buffers.
func tellPrograms(spec *ebpf.CollectionSpec, perf bool) error {
	if v, ok := spec.Variables[varPerf]; ok && perf {
		if err := v.Set(true); err != nil {
			return err
		}
	}
	v, ok := spec.Variables[varWakeup]
	if !ok || perf {
		return nil
	}
	smallest := uint32(1 << 30)
	for _, m := range spec.Maps {
		if m.Type == ebpf.RingBuf {
			smallest = min(smallest, m.MaxEntries)
		}
	}
	return v.Set(uint64(wakeupBytes(smallest)))
}

// wakeupBytes is the amount of unread data for which the reader of a buffer is woken: often enough
// that it starts long before the buffer is full, and seldom enough that waking costs nothing
// beside the events. A power of two.
func wakeupBytes(buffer uint32) uint32 {
	return max(min(buffer/16, 256<<10), 1<<10)
}

// Attach attaches the programs that were loaded, except those of which the params have left nothing:
// events come from now on.
func (g *Gadget) Attach() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.programs {
		prog := g.coll.Programs[p.Name]
		if p.hook.attach == nil || isIdle(prog) {
			continue
		}
		l, err := p.hook.attach(g, p, prog)
		if err != nil {
			return explainAttach(p, err)
		}
		g.links = append(g.links, l)
	}
	return nil
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

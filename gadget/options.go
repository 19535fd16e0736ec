// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/prepare"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/source"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

const (
	// DefaultLatency limits how long an event may wait in the buffer for others.
	DefaultLatency = source.DefaultLatency
	// AtOnce, as a latency, means no waiting.
	AtOnce time.Duration = -1
	// MaxBufferSize is the largest size of a buffer in bytes.
	MaxBufferSize = prepare.MaxBufferSize
	// MaxShards is the largest number of shards: far more than ever pays.
	MaxShards = prepare.MaxShards
)

// LoadOptions are the options for loading a gadget. The zero value is useful.
type LoadOptions struct {
	// Params are the values of params by variable, as image.Param.Parse returns them. Others keep their
	// defaults.
	Params map[string]image.Value
	// Constants are the values, by variable, of constants ("const volatile" globals) that are not params, for
	// example gadget_filter_by_mntns of <gadget/mntns_filter.h>. A value is the bytes of the variable.
	// Other constants keep their initial values.
	Constants map[string]image.Value
	// Maps take the place of the object's maps of these names, so that several gadgets, or the caller, can
	// share them. They must have the same type and the same sizes of keys and values. They remain the
	// caller's: closing the gadget does not close them. Buffers, and the maps for variables, cannot be
	// shared.
	Maps map[string]*ebpf.Map
	// Sockets makes programs find the owners of sockets, if they ask for them. Nil: they find none.
	Sockets SocketLinker
	// Types keeps the kernel's types, some 20 MiB, from one load to the next, so that not each load reads them. Nil: Load keeps none.
	Types *btf.Cache
	// KernelTypes returns the types of this kernel where it has none itself. Nil: there are none.
	KernelTypes func() (*btf.Spec, error)
	// ExtraTypes are types, of modules say, that programs may refer to beside those of the kernel itself.
	ExtraTypes []*btf.Spec
	// ManualAttach names the programs that Gadget.Attach leaves to Gadget.AttachTo.
	ManualAttach []string
	// Places says where programs that are attached to files, and those for packets, get attached: on the host, in containers, or both.
	Places Places
	// BufferSize is the size in bytes of each ring buffer. It is limited by MaxBufferSize and by the memory
	// of this process. 0 means DefaultBufferSize(), or less if several buffers share little memory. It is rounded
	// up to a power of two. Perf buffers divide it among the CPUs; for them 0 means 1 MiB for each.
	BufferSize int
	// Latency limits how long an event may wait in the buffer for others; 0 means
	// DefaultLatency, and AtOnce that each event wakes the reader, if it sleeps. Objects that were built
	// against other headers wake it for each event anyway.
	Latency time.Duration
	// Shards is the number of ring buffers into which each buffer is split, each for a group of CPUs, up
	// to MaxShards; it is rounded up to a power of two, and 0 means DefaultShards(). BufferSize is divided
	// among them.
	// Objects that were built against other headers have one.
	Shards int
	// Strict makes it an error if the function or the probe in user space of a program does not exist.
	// Otherwise it is an error only if none of those of the gadget exists.
	Strict bool
	// PerfBuffer uses perf buffers even where the kernel has ring buffers.
	PerfBuffer bool
	// Fetch says how often data sources of arrays are read, by their names. Others do as their
	// annotations say.
	Fetch map[string]image.Fetch
	// NetNS lists the network namespaces for iterators that show only one of them (tcp, udp), by
	// paths such as /proc/1/ns/net; several paths may lead to the same one. It is called before each
	// array, because namespaces come and go; see RunningNetNS. Nil: only the one that gizmo is in.
	NetNS func() ([]string, error)
	// Reference is what the user started the gadget from: its name, folder or image. The gadget's programs carry it and the gadget's name,
	// for those who look at the programs in the kernel.
	Reference string
	// Interface is the network interface for programs that are attached to one; empty: the interface of their
	// attach_to. It is an error if there is no such interface, or no such program.
	Interface string
	// LostByMount makes programs that run in the process which causes an event count the events that did not fit into a buffer by the
	// mount namespace of the process, too: see Gadget.LostByMount.
	LostByMount bool
	// UnwindStack makes programs send registers and bytes of user stacks, and finds the callers in them where there are no frame pointers.
	// Each event has another id then, even if the stack is the same. Nil: callers are found by frame pointers. It is an error on machines
	// other than x86-64 if the gadget takes stacks.
	UnwindStack func(s StackSample) (addresses []uint64, ok bool)
	// StackMemory is how many bytes of memory the gadget's stacks may take; 0 means 32 MiB. If they need more, the older ones
	// are forgotten.
	StackMemory int
	// AfterPrograms is called when the programs are loaded, before the sources are opened. Loading leaves some 8 MiB of garbage, and
	// the kernel's types besides where they cannot be mapped into memory (before Linux 6.16): the caller may want to release that
	// to the system then. Nil: nothing is called.
	AfterPrograms func()
	// Logger gets warnings and debug messages; nil means slog.Default().
	Logger *slog.Logger

	edit  func(*ebpf.CollectionSpec) // changes what is loaded, for tests
	trial bool                       // the gadget is unloaded at once, so nothing is pinned

	stackRing int // the size of the ring buffer for stacks, for tests

	withoutTCLinks bool // as on a kernel without links to network interfaces, for tests
}

// DefaultBufferSize returns the size in bytes of a buffer when the caller names none: 8 MiB for each
// CPU, but at most a 64th of the memory that this process may use, and from 1 to 256 MiB. The sizes
// that gadgets declare were made for other readers; see docs/RATIONALE.md.
func DefaultBufferSize() int { return prepare.DefaultBufferSize() }

// DefaultShards returns the number of shards of a buffer when the caller names none: one for every 16
// CPUs that are online, rounded down to a power of two, from 1 to 8.
func DefaultShards() int { return prepare.DefaultShards() }

// RunningNetNS lists the network namespaces that processes are in, each once. It is meant for
// LoadOptions.NetNS. It skips processes that it may not inspect.
func RunningNetNS() ([]string, error) { return netns.Running() }

// withDefaults returns a copy in which nothing is nil that has a default.
func (o *LoadOptions) withDefaults() *LoadOptions {
	var all LoadOptions
	if o != nil {
		all = *o
	}
	if all.Logger == nil {
		all.Logger = slog.Default()
	}
	if all.AfterPrograms == nil {
		all.AfterPrograms = func() {}
	}
	return &all
}

// fetchOf returns how often the data source is read: as the caller says, else as its annotations do.
func (o *LoadOptions) fetchOf(d *image.DataSource) image.Fetch {
	if f, ok := o.Fetch[d.Schema.Name]; ok {
		return f
	}
	return d.Fetch(&d.Settings)
}

// buffersOf describes the buffers of an image.
func (o *LoadOptions) buffersOf(img *image.Image) *prepare.Buffers {
	b := &prepare.Buffers{Size: o.BufferSize, Latency: o.Latency, Shards: o.Shards, Perf: o.PerfBuffer}
	for i := range img.DataSources {
		if d := &img.DataSources[i]; d.Kind == image.Tracer {
			b.Names = append(b.Names, d.Map)
		}
	}
	return b
}

// withParams returns the image as the caller's values make it.
func (o *LoadOptions) withParams(img *image.Image) (*image.Image, error) {
	values := maps.Clone(o.Params)
	if values == nil {
		values = make(map[string]image.Value, len(o.Constants))
	}
	maps.Copy(values, o.Constants) // programs may depend on either
	return img.WithParams(values)
}

// check returns errors about the options for an image, as far as they can be found without the kernel.
func (o *LoadOptions) check(img *image.Image) error {
	for name := range o.Constants {
		if prepare.IsSetByLoading(name) {
			return fmt.Errorf("constant %q: gizmo sets it when it loads the gadget", name)
		}
	}
	for _, name := range o.ManualAttach {
		if img.Program(name) == nil {
			return fmt.Errorf("manual attach: %w", noProgram(namesOf(img), name))
		}
	}
	return o.checkInterface(img)
}

// checkInterface returns an error about the network interface that the caller has chosen.
func (o *LoadOptions) checkInterface(img *image.Image) error {
	if o.Interface == "" {
		return nil
	}
	usesOne := func(p image.Program) bool { return !p.Disabled && hook.TakesInterface(&p) }
	if !slices.ContainsFunc(img.Programs, usesOne) {
		return fmt.Errorf("the gadget has no program for a network interface, so it cannot run on %q alone", o.Interface)
	}
	_, err := hook.FindInterface(o.Interface)
	return err
}

func namesOf(img *image.Image) []string {
	var names []string
	for _, p := range img.Programs {
		names = append(names, p.Name)
	}
	return names
}

func noProgram(names []string, name string) error {
	return fmt.Errorf("the gadget has no program %q%s", name, nearest.Hint(name, names))
}

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
	// DefaultLatency bounds how long an event may wait in the buffer for others to come.
	DefaultLatency = source.DefaultLatency
	// AtOnce, as a latency, stands for no waiting.
	AtOnce time.Duration = -1
	// MaxBufferSize is the largest size of a buffer in bytes.
	MaxBufferSize = prepare.MaxBufferSize
	// MaxShards is the largest number of shards: far more than ever pays.
	MaxShards = prepare.MaxShards
)

// LoadOptions are the choices of one run. The zero value is useful.
type LoadOptions struct {
	// Params are the values of params by variable, as image.Param.Parse returns them. Others keep their
	// defaults.
	Params map[string]image.Value
	// Constants are the values, by variable, of constants ("const volatile" globals) that are no params:
	// gadget_filter_by_mntns of <gadget/mntns_filter.h>, for one. A value is the bytes of the variable.
	// Others keep their initial values.
	Constants map[string]image.Value
	// Maps take the place of the object's maps of these names, so that several gadgets, or the caller, can
	// share them. They must have the same type and the same sizes of keys and values. They remain the
	// caller's: closing the gadget does not close them. Buffers, and the maps for variables, cannot be
	// shared.
	Maps map[string]*ebpf.Map
	// Types keeps the kernel's types, some 20 MiB, from one load to the next, each of which reads them otherwise. Nil: none is kept.
	Types *btf.Cache
	// ExtraTypes are types, of modules say, that programs may refer to beside those of the kernel itself.
	ExtraTypes []*btf.Spec
	// ManualAttach names the programs that Gadget.Attach leaves to Gadget.AttachTo.
	ManualAttach []string
	// BufferSize is the size in bytes of each ring buffer, at most MaxBufferSize and what the memory
	// allows; 0 means DefaultBufferSize(), or less if several share little memory. It is rounded up to a
	// power of two. Perf buffers share it out among the CPUs; 0: 1 MiB for each.
	BufferSize int
	// Latency bounds how long an event may wait in the buffer for others to come; 0 means
	// DefaultLatency, and AtOnce that each event wakes the reader, if it sleeps. Objects that were built
	// against other headers wake it for each event anyway.
	Latency time.Duration
	// Shards is the number of ring buffers into which each buffer is split, each for a group of CPUs, up
	// to MaxShards; it is rounded up to a power of two, and 0 means DefaultShards(). BufferSize is shared
	// out among them.
	// Objects that were built against other headers have one.
	Shards int
	// Strict makes it an error if a function or a probe in user space that a program is for is not there.
	// Otherwise it is one only if none of the gadget's is.
	Strict bool
	// PerfBuffer uses perf buffers even where the kernel has ring buffers.
	PerfBuffer bool
	// Fetch says how often data sources of arrays are read, by their names. Others do as their
	// annotations say.
	Fetch map[string]image.Fetch
	// NetNS lists the network namespaces in which iterators run that show one of them only (tcp, udp), by
	// paths such as /proc/1/ns/net; several paths may lead to the same one. It is asked before each
	// array, since namespaces come and go; see RunningNetNS. Nil: only the one that gizmo is in.
	NetNS func() ([]string, error)
	// Interface is the network interface for programs that are attached to one; empty: that of their
	// attach_to. It is an error if there is no such interface, or no such program.
	Interface string
	// AfterPrograms is called when the programs are loaded, before the buffers are mapped into memory.
	// Loading takes some 20 MiB, for the kernel's types above all, which the caller may want to give back
	// to the system then. Nil: nothing is called.
	AfterPrograms func()
	// Logger takes what is worth knowing and no error; nil means slog.Default().
	Logger *slog.Logger

	edit  func(*ebpf.CollectionSpec) // changes what is loaded, for tests
	trial bool                       // what is loaded is not to stay, so nothing is pinned
}

// DefaultBufferSize returns the size in bytes of a buffer when the caller names none: 8 MiB for each
// CPU, but at most a 64th of the memory that this process may use, and from 1 to 256 MiB. The sizes
// that gadgets declare were made for other readers; see docs/RATIONALE.md.
func DefaultBufferSize() int { return prepare.DefaultBufferSize() }

// DefaultShards returns the number of shards of a buffer when the caller names none: one for every 16
// CPUs that are online, rounded down to a power of two, from 1 to 8.
func DefaultShards() int { return prepare.DefaultShards() }

// RunningNetNS lists the network namespaces that processes are in, each once. It is meant for
// LoadOptions.NetNS. Processes that may not be looked at are passed over.
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

// check finds what is wrong with the options for an image, as far as that takes no kernel.
func (o *LoadOptions) check(img *image.Image) error {
	for name := range o.Constants {
		if prepare.IsSetByLoading(name) {
			return fmt.Errorf("constant %q: loading sets it by itself", name)
		}
	}
	for _, name := range o.ManualAttach {
		if img.Program(name) == nil {
			return fmt.Errorf("manual attach: %w", noProgram(img, name))
		}
	}
	return o.checkInterface(img)
}

// checkInterface finds what is wrong with the network interface that the caller has chosen.
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

func noProgram(img *image.Image, name string) error {
	var names []string
	for _, p := range img.Programs {
		names = append(names, p.Name)
	}
	return fmt.Errorf("the gadget has no program %q%s", name, nearest.Hint(name, names))
}

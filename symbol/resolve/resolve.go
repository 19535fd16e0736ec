// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package resolve makes stacks of addresses: it finds the file and the function of each, with packages mappings and names, and the callers in a
// copy of a stack's memory, with package unwind.
package resolve

import (
	"strconv"
	"sync"
	"time"

	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/symbol/mappings"
	"github.com/gizmo-ebpf/gizmo/symbol/names"
	"github.com/gizmo-ebpf/gizmo/symbol/unwind"
)

// Options are what a caller may choose. The zero value is good.
type Options struct {
	// Keep is how long after a process has ended its stacks can be resolved. 0: 5 seconds.
	Keep time.Duration
	// Getenv returns the environment variables that say where debug files are. Nil: none is set.
	Getenv func(string) string
}

// Resolver makes stacks. Its memory is bounded. It is safe for use by several goroutines at once.
type Resolver struct {
	options Options
	kernel  *names.Kernel
	files   *names.Files

	mu        sync.Mutex
	tracker   *mappings.Tracker // nil until FollowProcesses is called
	known     map[mappings.ID]*file
	perfMaps  map[mappings.Process]*names.PerfMap
	vdso      *names.File
	noVDSO    bool
	locations map[place]*symbol.Location
	places    []mappings.Place
	unwinding unwinding
}

// place identifies a location: an address of a module.
type place struct {
	module  *symbol.Module
	address uint64
}

// The most that a Resolver remembers of each kind. Beyond that it forgets all and begins again.
const (
	maxLocations = 1 << 17
	maxKnown     = 1 << 12
	maxPerfMaps  = 64
)

// New returns a resolver. It reads nothing yet.
func New(o Options) *Resolver {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	r := &Resolver{
		options:   o,
		kernel:    names.NewKernel(),
		files:     names.NewFiles(names.Options{Folders: names.SystemFolders(o.Getenv)}),
		known:     make(map[mappings.ID]*file),
		perfMaps:  make(map[mappings.Process]*names.PerfMap),
		locations: make(map[place]*symbol.Location),
	}
	r.unwinding.r = r
	return r
}

// FollowProcesses begins to note what processes map, which stacks of processes need. Call it before the programs that take the stacks
// are attached. It returns a warning if processes that end soon will have no names.
func (r *Resolver) FollowProcesses() (warning, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tracker == nil {
		if r.tracker, err = mappings.Open(mappings.Options{Keep: r.options.Keep}); err != nil {
			return nil, err
		}
	}
	return r.tracker.Degraded(), nil
}

// LoadKernel reads the names of the kernel's functions, so that no event has to wait for it. The error says why there are none; stacks then have
// addresses.
func (r *Resolver) LoadKernel() error { return r.kernel.Load() }

// Close ends what FollowProcesses has begun, and forgets everything.
func (r *Resolver) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetPerfMaps()
	r.files.Close()
	if r.tracker == nil {
		return nil
	}
	tracker := r.tracker
	r.tracker = nil
	return tracker.Close()
}

// Kernel returns the stack of addresses in the kernel. It keeps the addresses, except those of the gadget's own program, which has taken the stack.
func (r *Resolver) Kernel(addresses []uint64) *symbol.Stack {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &symbol.Stack{Addresses: addresses, Locations: make([]*symbol.Location, len(addresses))}
	for i, address := range addresses {
		module, function := r.kernel.Lookup(address - inCall(i))
		s.Locations[i] = r.location(module, address, func() *symbol.Function { return function })
		if s.Locations[i].Function != function { // another program or module has come to this place
			s.Locations[i] = &symbol.Location{Module: module, Address: address, Function: function}
		}
	}
	own := 0
	for own < len(s.Locations)-1 && isProgram(s.Locations[own].Module) {
		own++
	}
	s.Addresses, s.Locations = s.Addresses[own:], s.Locations[own:]
	return s
}

// isProgram reports whether code is that of a BPF program.
func isProgram(m *symbol.Module) bool { return m != nil && m.Kernel && m.Name == "[bpf]" }

// inCall returns what to take from an address to get into the call that it follows.
func inCall(i int) uint64 { return uint64(min(i, 1)) }

// Moment says of which process a stack is, and when it was taken.
type Moment struct {
	// PID is the process in gizmo's own pid namespace.
	PID uint32
	// Time is in nanoseconds since boot.
	Time     uint64
	Identity mappings.Identity
}

// User returns the stack of addresses in a process. It keeps the addresses. A last address of 0 says that callers are missing.
func (r *Resolver) User(m Moment, addresses []uint64) *symbol.Stack {
	r.mu.Lock()
	defer r.mu.Unlock()
	truncated := false
	if n := len(addresses); n > 0 && addresses[n-1] == 0 {
		addresses, truncated = addresses[:n-1], true
	}
	s := &symbol.Stack{Addresses: addresses, Locations: make([]*symbol.Location, len(addresses)), Truncated: truncated}
	r.resolve(&m, addresses)
	for i, address := range addresses {
		// A chain of frame pointers ends anywhere if a function has used the register for something else.
		if i > 0 && r.places[i].Kind == mappings.Unknown && r.places[0].Kind != mappings.Unknown {
			return &symbol.Stack{Addresses: addresses[:i], Locations: s.Locations[:i], Truncated: true}
		}
		s.Locations[i] = r.locate(&r.places[i], address, inCall(i))
	}
	return s
}

// resolve finds what the addresses belong to, and stores it in r.places.
func (r *Resolver) resolve(m *Moment, addresses []uint64) {
	for len(r.places) < len(addresses) {
		r.places = append(r.places, mappings.Place{})
	}
	if r.tracker == nil {
		clear(r.places[:len(addresses)])
		return
	}
	r.tracker.Resolve(m.PID, &m.Identity, m.Time, addresses, r.places)
}

// locate returns the location of an address in a process.
func (r *Resolver) locate(p *mappings.Place, address, call uint64) *symbol.Location {
	switch p.Kind {
	case mappings.InFile:
		if p.Process != nil { // of memory: its names are elsewhere, if it has any
			if f := r.inPerfMap(p.Process, address-call); f != nil {
				return r.location(nil, address, func() *symbol.Function { return f })
			}
		}
		return r.inFile(p, call)
	case mappings.VDSO:
		if f := r.openVDSO(); f != nil {
			return r.location(f.Module(), p.Offset, func() *symbol.Function { return f.Lookup(p.Offset - call) })
		}
	case mappings.Anonymous:
		if f := r.inPerfMap(p.Process, address-call); f != nil {
			return &symbol.Location{Address: address, Function: f}
		}
	}
	return &symbol.Location{Address: address}
}

func (r *Resolver) inFile(p *mappings.Place, call uint64) *symbol.Location {
	f := r.open(p.File)
	if f.elf == nil {
		return r.location(f.module, p.Offset, func() *symbol.Function { return nil })
	}
	address, ok := f.elf.Address(p.Offset)
	if !ok {
		return r.location(f.module, p.Offset, func() *symbol.Function { return nil })
	}
	return r.location(f.module, address, func() *symbol.Function { return f.elf.Lookup(address - call) })
}

// location returns the location of an address in a module. The function is asked for the first time.
func (r *Resolver) location(module *symbol.Module, address uint64, function func() *symbol.Function) *symbol.Location {
	key := place{module, address}
	if l := r.locations[key]; l != nil {
		return l
	}
	if len(r.locations) >= maxLocations {
		clear(r.locations)
	}
	l := &symbol.Location{Module: module, Address: address, Function: function()}
	r.locations[key] = l
	return l
}

// file is what is known about a file that processes run.
type file struct {
	module *symbol.Module
	elf    *names.File // nil: it cannot be read
	source *mappings.File
	cfi    *unwind.Table // nil: not needed yet, or it has none
	noCFI  bool
}

// open returns the file of a mapping.
func (r *Resolver) open(f *mappings.File) *file {
	if known := r.known[f.ID()]; known != nil {
		return known
	}
	if len(r.known) >= maxKnown {
		clear(r.known)
		clear(r.locations)
	}
	opened := &file{source: f, module: &symbol.Module{Name: f.Path()}}
	if f.Opened() {
		if elf, err := r.files.Open(f, f.Size(), f.Path()); err == nil {
			opened.elf, opened.module = elf, elf.Module()
		}
	}
	r.known[f.ID()] = opened
	return opened
}

func (r *Resolver) openVDSO() *names.File {
	if r.vdso == nil && !r.noVDSO {
		var err error
		r.vdso, err = r.files.OpenVDSO()
		r.noVDSO = err != nil
	}
	return r.vdso
}

// inPerfMap returns the function that a process itself has named; nil: it has not.
func (r *Resolver) inPerfMap(p *mappings.Process, address uint64) *symbol.Function {
	if p == nil {
		return nil
	}
	m, ok := r.perfMaps[*p]
	if !ok {
		if len(r.perfMaps) >= maxPerfMaps {
			r.forgetPerfMaps()
		}
		m, _ = r.files.OpenPerfMap("/proc/" + strconv.FormatUint(uint64(p.PID), 10))
		r.perfMaps[*p] = m
	}
	if m == nil {
		return nil
	}
	return m.Lookup(address)
}

func (r *Resolver) forgetPerfMaps() {
	for _, m := range r.perfMaps {
		if m != nil {
			_ = m.Close()
		}
	}
	clear(r.perfMaps)
}

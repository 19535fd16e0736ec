// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package kernel finds out what the running kernel has and allows: its types, functions, tracepoints,
// probes and helpers, and the privileges of this process.
package kernel

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// Kernel holds the facts about the kernel that loading a gadget has found out.
type Kernel struct {
	// Types are those that are built into the kernel.
	Types *btf.Spec
	// Cache holds the types, and those of modules after the first use, for the library that loads
	// programs. Reading them takes longer than loading most gadgets.
	Cache *btf.Cache
}

// New reads the kernel's types, unless the cache has them. It may be nil. Where the kernel has none, they come from elsewhere, unless that is nil.
func New(cache *btf.Cache, elsewhere func() (*btf.Spec, error)) (*Kernel, error) {
	if cache == nil {
		cache = btf.NewCache()
	}
	types, err := cache.Kernel()
	if err != nil && elsewhere != nil {
		types, err = elsewhere()
	}
	if err != nil {
		return nil, explainBTF(err)
	}
	return &Kernel{Types: types, Cache: cache}, nil
}

// explainBTF explains that the kernel has no type information.
func explainBTF(err error) error {
	return fmt.Errorf("this kernel has no BTF (/sys/kernel/btf/vmlinux), which gadgets need to read the kernel's structs; "+
		"use a kernel built with CONFIG_DEBUG_INFO_BTF=y: %w", err)
}

// HasFunction reports whether the kernel's types have a function. They lack some of those there are,
// and all of modules.
func (k *Kernel) HasFunction(name string) bool {
	var f *btf.Func
	err := k.Types.TypeByName(name, &f)
	return !errors.Is(err, btf.ErrNotFound)
}

// Nothing is a program that does nothing.
func Nothing() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
}

// Try loads a program that does nothing, with the type and target of the spec.
func (k *Kernel) Try(spec *ebpf.ProgramSpec) error {
	spec.License, spec.Instructions = "GPL", Nothing()
	coll, err := ebpf.NewCollectionWithOptions(
		&ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{"nothing": spec}},
		ebpf.CollectionOptions{Cache: k.Cache, Programs: ebpf.ProgramOptions{LogDisabled: true}})
	if err != nil {
		return cmp.Or(errors.Unwrap(err), err) // without the name of the program, which means nothing to the user
	}
	coll.Close()
	return nil
}

// traceDirs are the places where tracefs is mounted.
var traceDirs = [...]string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}

// HasTracepoint reports whether there is a tracepoint CATEGORY/NAME. Without tracefs
// that is unknown, and it returns true.
func (k *Kernel) HasTracepoint(name string) bool {
	for _, dir := range traceDirs {
		events := filepath.Join(dir, "events")
		if _, err := os.Stat(events); err != nil {
			continue
		}
		_, err := os.Stat(filepath.Join(events, name, "id"))
		return err == nil
	}
	return true
}

// EventSources is where the kernel lists the sources of perf events.
const EventSources = "/sys/bus/event_source/devices"

// HasKprobes reports whether the kernel was built with kprobes. Without sysfs
// that is unknown, and it returns true.
func (k *Kernel) HasKprobes() bool {
	if !Exists(EventSources) || Exists(EventSources+"/kprobe") {
		return true
	}
	return slices.ContainsFunc(traceDirs[:], func(dir string) bool { return Exists(dir + "/kprobe_events") }) // before Linux 4.17
}

// Exists reports whether there is a file of that path.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// IsUnprobeable reports whether the kernel says that a function must not have kprobes.
func (k *Kernel) IsUnprobeable(function string) bool {
	listed, err := listsFunction("/sys/kernel/debug/kprobes/blacklist", function)
	return err == nil && listed
}

// IsUntraceable reports whether the kernel says that a function cannot be traced. The list is long,
// and the kernel takes its time to write it.
func (k *Kernel) IsUntraceable(function string) bool {
	for _, dir := range traceDirs {
		listed, err := listsFunction(dir+"/available_filter_functions", function)
		if err == nil {
			return !listed
		}
	}
	return false
}

// listsFunction reports whether the name is one of the words in a file. The functions of system
// calls have two.
func listsFunction(path, function string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	whole := SyscallPrefix(function) + function
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		for word := range strings.FieldsSeq(lines.Text()) {
			if word == function || word == whole {
				return true, nil
			}
		}
	}
	return false, lines.Err()
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bufio"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// kernel is what one loading learns about the kernel below.
type kernel struct {
	types *btf.Spec
	// cache holds the types, and those of modules once somebody has asked for them, for the library.
	// Reading them takes longer than loading most gadgets.
	cache *btf.Cache
}

func newKernel() (*kernel, error) {
	cache := btf.NewCache()
	types, err := cache.Kernel()
	if err != nil {
		return nil, explainKernelBTF(err)
	}
	return &kernel{types: types, cache: cache}, nil
}

// hasFunction reports whether the kernel's types have a function. They lack some of those there are,
// and all of modules.
func (k *kernel) hasFunction(name string) bool {
	var f *btf.Func
	err := k.types.TypeByName(name, &f)
	return !errors.Is(err, btf.ErrNotFound)
}

// nothing is a program that does nothing.
func nothing() asm.Instructions {
	return asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
}

// try loads a program that does nothing in place of the one described.
func (k *kernel) try(spec *ebpf.ProgramSpec) error {
	spec.License, spec.Instructions = "GPL", nothing()
	coll, err := ebpf.NewCollectionWithOptions(
		&ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{"nothing": spec}},
		ebpf.CollectionOptions{Cache: k.cache, Programs: ebpf.ProgramOptions{LogDisabled: true}})
	if err != nil {
		return cmp.Or(errors.Unwrap(err), err) // without the name of a program that nobody knows
	}
	coll.Close()
	return nil
}

// traceDirs are the places where tracefs is mounted.
var traceDirs = [...]string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}

// hasTracepoint reports whether there is a tracepoint CATEGORY/NAME. Without tracefs nobody knows,
// and the answer is yes.
func (k *kernel) hasTracepoint(name string) bool {
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

// eventSources is where the kernel lists what perf events can be made of.
const eventSources = "/sys/bus/event_source/devices"

// hasKprobes reports whether the kernel was built with probes of its own functions. Without sysfs
// nobody knows, and the answer is yes.
func (k *kernel) hasKprobes() bool {
	if !exists(eventSources) || exists(eventSources+"/kprobe") {
		return true
	}
	return slices.ContainsFunc(traceDirs[:], func(dir string) bool { return exists(dir + "/kprobe_events") }) // before Linux 4.17
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// isUnprobeable reports whether the kernel says that a function must not have kprobes.
func (k *kernel) isUnprobeable(function string) bool {
	listed, err := listsFunction("/sys/kernel/debug/kprobes/blacklist", function)
	return err == nil && listed
}

// isUntraceable reports whether the kernel says that a function cannot be traced. The list is long,
// and the kernel takes its time to write it.
func (k *kernel) isUntraceable(function string) bool {
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
	whole := syscallPrefix(function) + function
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

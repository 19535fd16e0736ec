// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/metadata"
)

// disabledTarget is what a program is attached to that nobody wants loaded.
const disabledTarget = "gadget_program_disabled"

// Program is one BPF program of a gadget.
type Program struct {
	Name string
	// Section is the ELF section, which tells the hook: "tracepoint/syscalls/sys_exit_open".
	Section string
	// Target is the hook without the program's type: "syscalls/sys_exit_open".
	Target string
	// Disabled programs are not loaded.
	Disabled bool

	hook hookKind
}

// hookKind is how a program is attached.
type hookKind uint8

const (
	hookUnknown hookKind = iota
	hookTracepoint
	hookRawTracepoint
	hookBTFTracepoint
	hookLater // described by the ABI, not supported yet
)

// programsOf lists the object's programs by name.
func programsOf(spec *ebpf.CollectionSpec, meta *metadata.Metadata) []Program {
	var list []Program
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		s := spec.Programs[name]
		p := Program{Name: name, Section: s.SectionName, Target: s.AttachTo, hook: hookOf(s)}
		if m, ok := meta.Programs[name]; ok && m.AttachTo != "" {
			p.Target = m.AttachTo
		}
		p.Disabled = p.Target == disabledTarget
		list = append(list, p)
	}
	return list
}

func hookOf(s *ebpf.ProgramSpec) hookKind {
	switch s.Type {
	case ebpf.TracePoint:
		return hookTracepoint
	case ebpf.RawTracepoint:
		return hookRawTracepoint
	case ebpf.Tracing:
		if s.AttachType == ebpf.AttachTraceRawTp {
			return hookBTFTracepoint
		}
		return hookLater
	case ebpf.UnspecifiedProgram:
		return hookUnknown
	}
	return hookLater
}

// supported says whether this version of gizmo can attach the program.
func (p *Program) supported() error {
	switch p.hook {
	case hookTracepoint:
		if _, _, ok := strings.Cut(p.Target, "/"); !ok {
			return fmt.Errorf("program %s: section %q: want tracepoint/CATEGORY/NAME", p.Name, p.Section)
		}
		return nil
	case hookRawTracepoint, hookBTFTracepoint:
		if p.Target == "" {
			return fmt.Errorf("program %s: section %q names no tracepoint", p.Name, p.Section)
		}
		return nil
	case hookLater:
		return fmt.Errorf("program %s: section %q: this kind of program is %w", p.Name, p.Section, ErrNotYetSupported)
	}
	return fmt.Errorf("program %s: section %q names no kind of program that gizmo knows", p.Name, p.Section)
}

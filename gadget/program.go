// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"
	"maps"
	"slices"

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
	// StandsInFor names the programs in whose place this one runs where the kernel cannot run them:
	// it is loaded only if none of them is.
	StandsInFor []string

	hook *hook // nil: of no kind that gizmo knows
}

// programsOf lists the object's programs by name.
func programsOf(spec *ebpf.CollectionSpec, meta *metadata.Metadata) []Program {
	known := hooks()
	var list []Program
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		s := spec.Programs[name]
		p := Program{Name: name, Section: s.SectionName, Target: s.AttachTo, hook: hookOf(s.SectionName, known)}
		if m, ok := meta.Programs[name]; ok && m.AttachTo != "" {
			p.Target = m.AttachTo
		}
		p.Disabled = p.Target == disabledTarget
		list = append(list, p)
	}
	return list
}

// supported says whether this version of gizmo can attach the program.
func (p *Program) supported() error {
	if p.hook == nil {
		return fmt.Errorf("program %s: section %q names no kind of program that gizmo knows", p.Name, p.Section)
	}
	if p.hook.check == nil {
		return nil
	}
	return p.hook.check(p)
}

// missing returns an error if the kernel is known not to have the program's hook.
func (p *Program) missing(k *kernel) error {
	if p.hook.missing == nil {
		return nil
	}
	return p.hook.missing(k, p)
}

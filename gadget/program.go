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
	// StandsInFor names the programs in whose place this one runs where the kernel cannot run them:
	// it is loaded only if none of them is.
	StandsInFor []string
	// LoadIf and TryIf name the variables of params of which one must be true for the program to be
	// loaded. If both are empty, it is loaded anyway.
	LoadIf, TryIf []string
	// Optional programs are left out where the kernel cannot run them.
	Optional bool
	// IterMap is the map that an iter/bpf_map_elem program walks; empty for all others.
	IterMap string

	// SockMap is the map of sockets that an sk_skb or sk_msg program is attached to; empty for all
	// others.
	SockMap string

	hook     *hook            // nil: of no kind that gizmo knows
	settings metadata.Program // what the metadata says about it
	key      string           // under which name it says that, or would
}

// programsOf lists the object's programs by name.
func programsOf(spec *ebpf.CollectionSpec, meta *metadata.Metadata) []Program {
	known := hooks()
	var list []Program
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		s := spec.Programs[name]
		p := Program{Name: name, Section: s.SectionName, Target: s.AttachTo, hook: hookOf(s.SectionName, known)}
		p.applySettings(meta)
		p.Disabled = p.Target == disabledTarget
		list = append(list, p)
	}
	return list
}

// Keys are the names under which a gadget.yaml may speak of the program: that of its function, and for
// samples also that of its section: NAME of perf_event/NAME.
func (p *Program) Keys() []string {
	kind, name, _ := strings.Cut(p.Section, "/")
	if kind != "perf_event" || name == "" || name == p.Name {
		return []string{p.Name}
	}
	return []string{p.Name, name}
}

func (p *Program) applySettings(meta *metadata.Metadata) {
	p.key = p.Name
	for _, key := range p.Keys() {
		if settings, ok := meta.Programs[key]; ok {
			p.settings, p.key = settings, key
			break
		}
	}
	if p.settings.AttachTo != "" {
		p.Target = p.settings.AttachTo
	}
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

// kind is the first part of the section: "kprobe".
func (p *Program) kind() string {
	kind, _, _ := strings.Cut(p.Section, "/")
	return kind
}

// place names the hook as a section would, wherever it comes from: "kprobe/vfs_read".
func (p *Program) place() string {
	if p.settings.AttachTo == "" {
		return p.Section
	}
	return p.kind() + "/" + p.Target
}

// missing returns an error if the kernel is known not to have the program's hook.
func (p *Program) missing(k *kernel) error {
	if p.hook.missing == nil {
		return nil
	}
	return p.hook.missing(k, p)
}

// explain says more about an error of missing or of the kernel, if anybody knows more.
func (p *Program) explain(k *kernel, err error) error {
	if p.hook.explain == nil {
		return nil
	}
	return p.hook.explain(k, p, err)
}

// isIdle reports whether the loaded program does nothing where it hangs.
func (p *Program) isIdle(prog *ebpf.Program) bool {
	if p.hook.idle == nil {
		return isIdle(prog)
	}
	return p.hook.idle(prog)
}

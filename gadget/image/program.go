// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/metadata"
)

// disabledTarget is the attach_to of a program that is not to be loaded.
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
	// StandsInFor names the programs that this one replaces where the kernel cannot run them:
	// it is loaded only if none of them is.
	StandsInFor []string
	// LoadIf and TryIf name the variables of params. The program is loaded only if one of these params is
	// true. If both lists are empty, it is always loaded.
	LoadIf, TryIf []string
	// Optional programs are left out where the kernel cannot run them.
	Optional bool
	// IterMap is the map that an iter/bpf_map_elem program walks; empty for all others.
	IterMap string

	// SockMap is the map of sockets that an sk_skb or sk_msg program is attached to; empty for all
	// others.
	SockMap string

	// Settings are the program's settings in gadget.yaml.
	Settings metadata.Program
	// SettingsKey is the name under which gadget.yaml says it, or would.
	SettingsKey string
}

// programsOf lists the object's programs by name.
func programsOf(spec *ebpf.CollectionSpec, meta *metadata.Metadata) []Program {
	var list []Program
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		s := spec.Programs[name]
		p := Program{Name: name, Section: s.SectionName, Target: s.AttachTo}
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
	p.SettingsKey = p.Name
	for _, key := range p.Keys() {
		if settings, ok := meta.Programs[key]; ok {
			p.Settings, p.SettingsKey = settings, key
			break
		}
	}
	if p.Settings.AttachTo != "" {
		p.Target = p.Settings.AttachTo
	}
}

// Kind is the first part of the section: "kprobe".
func (p *Program) Kind() string {
	kind, _, _ := strings.Cut(p.Section, "/")
	return kind
}

// Place names the hook as a section would, wherever it comes from: "kprobe/vfs_read".
func (p *Program) Place() string {
	if p.Settings.AttachTo == "" {
		return p.Section
	}
	return p.Kind() + "/" + p.Target
}

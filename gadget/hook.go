// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"fmt"
	"io"
	"strings"

	"github.com/cilium/ebpf"
)

// hook is one kind of place that programs hang on. A nil function has nothing to do.
type hook struct {
	// sections are the first parts of the ELF sections of its programs: "kprobe" of "kprobe/vfs_read". A
	// "*" at the end stands for any more letters.
	sections []string
	// iface: its programs are attached to a network interface, which the user may choose.
	iface bool
	// check finds what is wrong with the target. It does not ask the kernel.
	check func(p *Program) error
	// missing returns an error if the kernel does not have the hook, in the user's terms: what is not
	// there and where to look for what is. It is asked before anything is loaded, for programs that
	// others may stand in for, and after loading has failed, for all. Nil means that there is no
	// knowing.
	missing func(k *kernel, p *Program) error
	// explain says more about why the kernel refused to load or attach the program: err is what missing
	// or the kernel said. It may take its time. Nil: there is nothing to add.
	explain func(k *kernel, p *Program, err error) error
	// prepare changes what is going to be loaded.
	prepare func(k *kernel, p *Program, spec *ebpf.ProgramSpec) error
	// attach hangs the program on its hook until the result is closed, which Gadget.Detach does. Nil
	// if the programs are for a data source to run.
	attach func(g *Gadget, p *Program, prog *ebpf.Program) (io.Closer, error)
	// idle reports whether a loaded program does nothing and need not be attached. Nil: isIdle.
	idle func(prog *ebpf.Program) bool
}

// hooks lists all hooks that gizmo knows.
func hooks() []*hook {
	return []*hook{
		tracepointHook(),
		rawTracepointHook(),
		btfTracepointHook(),
		kprobeHook(),
		fentryHook(),
		fexitHook(),
		modifyReturnHook(),
		lsmHook(),
		perfEventHook(),
		sockOpsHook(),
		streamHook(),
		messageHook(),
		xdpHook(),
		iterHook(),
		uprobeHook(),
		uretprobeHook(),
		usdtHook(),
		laterHook(),
	}
}

// hookOf returns the hook of an ELF section, or nil.
func hookOf(section string, list []*hook) *hook {
	kind, _, _ := strings.Cut(section, "/")
	for _, h := range list {
		for _, s := range h.sections {
			prefix, open := strings.CutSuffix(s, "*")
			if kind == prefix || open && strings.HasPrefix(kind, prefix) {
				return h
			}
		}
	}
	return nil
}

// laterHook is for the kinds of programs that the ABI describes and nothing here attaches.
func laterHook() *hook {
	return &hook{
		sections: []string{
			"socket*", "classifier",
		},
		check: func(p *Program) error {
			return fmt.Errorf("program %s: section %q: this kind of program is %w", p.Name, p.Section, ErrNotYetSupported)
		},
	}
}

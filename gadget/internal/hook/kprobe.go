// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
)

// kprobeHook is for the functions of the kernel: where they begin or at an offset, or their return.
// System calls are functions, too, whose names differ between architectures.
func kprobeHook() *hook {
	return &hook{
		sections: []string{"kprobe", "kretprobe", "ksyscall", "kretsyscall"},
		tracefs:  true,
		check: func(p *image.Program) error {
			_, err := probeOf(p)
			return err
		},
		missing: missingKprobe,
		explain: explainKprobe,
		attach: func(_ *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
			probe, err := probeOf(p)
			if err != nil {
				return nil, err
			}
			return probe.attach(prog)
		},
	}
}

// kprobe is a place in the kernel's code.
type kprobe struct {
	function string
	offset   uint64 // in bytes from its beginning
	atReturn bool
}

// probeOf reads the target of a program: FUNCTION or FUNCTION+OFFSET, or the name of a system call.
func probeOf(p *image.Program) (kprobe, error) {
	kind := p.Kind()
	probe := kprobe{atReturn: strings.HasPrefix(kind, "kret")}
	name, offset, hasOffset := strings.Cut(p.Target, "+")
	if !isFunctionName(name) {
		return kprobe{}, fmt.Errorf("program %s: %q: want %s/FUNCTION", p.Name, p.Place(), kind)
	}
	probe.function = name
	if strings.HasSuffix(kind, "syscall") {
		probe.function = "sys_" + name
	}
	if !hasOffset {
		return probe, nil
	}
	var err error
	if probe.offset, err = strconv.ParseUint(offset, 0, 32); err != nil || kind != "kprobe" {
		return kprobe{}, fmt.Errorf("program %s: %q: want kprobe/FUNCTION+OFFSET, with a number of bytes; other probes take no offset", p.Name, p.Place())
	}
	return probe, nil
}

// isFunctionName reports whether a name may be that of a function. Those that the compiler makes
// have dots.
func isFunctionName(name string) bool {
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '.'):
		default:
			return false
		}
	}
	return name != ""
}

func (probe kprobe) attach(prog *ebpf.Program) (io.Closer, error) {
	kprobe := link.Kprobe
	if probe.atReturn {
		kprobe = link.Kretprobe
	}
	l, err := kprobe(probe.function, prog, &link.KprobeOptions{Offset: probe.offset})
	var errno unix.Errno
	switch {
	case errors.As(err, &errno): // without the ways that the library has tried
		return nil, errno
	case err != nil:
		return nil, err
	}
	return l, nil
}

// try probes the place with a program that does nothing. The kernel alone knows whether it can.
func (probe kprobe) try() error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.Kprobe, License: "GPL", Instructions: kernel.Nothing()})
	if err != nil {
		return err
	}
	defer prog.Close()
	l, err := probe.attach(prog)
	if err != nil {
		return err
	}
	return l.Close()
}

func missingKprobe(k *kernel.Kernel, p *image.Program) error {
	if !k.HasKprobes() {
		return fmt.Errorf("program %s: %s: this kernel has no kprobes (they need a kernel built with CONFIG_KPROBES=y and CONFIG_KPROBE_EVENTS=y)", p.Name, p.Place())
	}
	probe, err := probeOf(p)
	if err != nil {
		return err
	}
	if err := probe.try(); err != nil {
		return fmt.Errorf("program %s: %s: this kernel cannot probe it: %w", p.Name, p.Place(), err)
	}
	return nil
}

func explainKprobe(k *kernel.Kernel, p *image.Program, err error) error {
	probe, parseErr := probeOf(p)
	if parseErr != nil || !k.HasKprobes() {
		return nil
	}
	why := ""
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		why = "the kernel forbids kprobes (/sys/kernel/security/lockdown shows whether it is locked down)"
	} else if all, err2 := k.Symbols(probe.function, kernel.SyscallPrefix(probe.function)); err2 == nil {
		why = probe.trouble(k, all, err)
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("program %s: %s: %s", p.Name, p.Place(), why)
}

// trouble says why the kernel cannot probe the place; "" if that is unknown.
func (probe kprobe) trouble(k *kernel.Kernel, all *kernel.Symbols, err error) string {
	switch {
	case !all.IsFunction() && len(all.Made) > 0:
		return all.Absence(probe.function) + "; attach_to in gadget.yaml can name it"
	case !all.IsFunction():
		return all.Absence(probe.function)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Sprintf("%d functions of this kernel have the name %s, and gizmo cannot tell which one is meant", len(all.Found), probe.function)
	case k.IsUnprobeable(probe.function):
		return fmt.Sprintf("%s cannot be probed, because probes themselves use it (the file kprobes/blacklist in debugfs lists such functions)", probe.function)
	case k.IsUntraceable(probe.function):
		return untraceable(probe.function)
	case probe.offset > 0:
		return fmt.Sprintf("no instruction of %s begins at the offset %d", probe.function, probe.offset)
	}
	return ""
}

func untraceable(function string) string {
	return function + " is not traceable (the file available_filter_functions in tracefs lists the functions that are)"
}

// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
)

// fentryHook is for functions of the kernel where they begin, with typed arguments.
func fentryHook() *hook { return functionHook("fentry", ebpf.AttachTraceFEntry) }

// fexitHook is for the return of such functions, with their arguments and their result.
func fexitHook() *hook { return functionHook("fexit", ebpf.AttachTraceFExit) }

// functionHook is for programs that the kernel calls from its functions directly. Those of sections
// that end in ".s" may sleep.
func functionHook(kind string, at ebpf.AttachType) *hook {
	return &hook{
		sections: []string{kind, kind + ".s"},
		fixed:    true,
		check: func(p *image.Program) error {
			if !isFunctionName(p.Target) {
				return fmt.Errorf("program %s: %q: want %s/FUNCTION", p.Name, p.Place(), p.Kind())
			}
			return nil
		},
		missing: func(k *kernel.Kernel, p *image.Program) error { return missingFunction(k, p, at) },
		explain: explainFunction,
		attach: func(_ *Loaded, _ *image.Program, prog *ebpf.Program) (io.Closer, error) {
			return link.AttachTracing(link.TracingOptions{Program: prog})
		},
	}
}

// modifyReturnHook refuses programs that replace functions of the kernel: gadgets watch.
func modifyReturnHook() *hook {
	return &hook{
		sections: []string{"fmod_ret", "fmod_ret.s"},
		check: func(p *image.Program) error {
			return fmt.Errorf("program %s: section %q: gizmo runs no programs that change what the kernel's functions return; "+
				"a program in section fexit can watch them", p.Name, p.Section)
		},
	}
}

func sleeps(p *image.Program) bool { return strings.HasSuffix(p.Kind(), ".s") }

// trial is a program for the hook of another that does nothing.
func trial(p *image.Program, t ebpf.ProgramType, at ebpf.AttachType) *ebpf.ProgramSpec {
	spec := &ebpf.ProgramSpec{Type: t, AttachType: at, AttachTo: p.Target}
	if sleeps(p) {
		spec.Flags = unix.BPF_F_SLEEPABLE
	}
	return spec
}

func missingFunction(k *kernel.Kernel, p *image.Program, at ebpf.AttachType) error {
	if !k.HasTrampolines() {
		return fmt.Errorf("program %s: %s: this kernel cannot call programs from its functions "+
			"(this needs Linux 5.5 on x86 or 6.4 on arm64, built with CONFIG_FUNCTION_TRACER=y)", p.Name, p.Place())
	}
	err := k.Try(trial(p, ebpf.Tracing, at))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("program %s: %s: this kernel forbids %s programs, although it knows them: %w", p.Name, p.Place(), p.Kind(), err)
	}
	return fmt.Errorf("program %s: %s: this kernel has no such function, or cannot hook it: %w", p.Name, p.Place(), err)
}

func explainFunction(k *kernel.Kernel, p *image.Program, err error) error {
	if errors.Is(err, unix.EPERM) || !k.HasTrampolines() {
		return nil
	}
	all, symbolsErr := k.Symbols(p.Target, "")
	if symbolsErr != nil {
		return nil
	}
	why := functionTrouble(k, p, all, err)
	if why == "" {
		return nil
	}
	return fmt.Errorf("program %s: %s: %s", p.Name, p.Place(), why)
}

// functionTrouble says why the kernel cannot call the program from the function; "" if that is
// unknown.
func functionTrouble(k *kernel.Kernel, p *image.Program, all *kernel.Symbols, err error) string {
	syscall := kernel.SyscallPrefix(p.Target) + p.Target
	switch {
	case !k.HasFunction(p.Target) && syscall != p.Target && k.HasFunction(syscall):
		return fmt.Sprintf("the function of this system call has the name %s", syscall)
	case !all.IsFunction() && len(all.Made) > 0:
		return all.Absence(p.Target) + "; only a kprobe can hook that"
	case !all.IsFunction():
		return all.Absence(p.Target)
	case errors.Is(err, btf.ErrMultipleMatches):
		return fmt.Sprintf("several functions of this kernel have the name %s, and gizmo cannot tell which one is meant", p.Target)
	case errors.Is(err, ebpf.ErrNotSupported) && all.Module() != "":
		return fmt.Sprintf("%s is a function of the module %s, and the kernel has no types (BTF) of this module (/sys/kernel/btf/%[2]s); a kprobe may hook it", p.Target, all.Module())
	case errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Sprintf("the kernel has no type of the function %s (it is written in assembler, say, or the compiler has changed its arguments); a kprobe may hook it", p.Target)
	case errors.Is(err, unix.EINVAL) && sleeps(p):
		return fmt.Sprintf("the kernel does not let sleepable programs be attached to %s: use the section %s", p.Target, strings.TrimSuffix(p.Kind(), ".s"))
	case errors.Is(err, unix.EBUSY) && k.IsUntraceable(p.Target):
		return untraceable(p.Target)
	case errors.Is(err, unix.EBUSY):
		return fmt.Sprintf("the kernel does not let %s be traced now: it may be patched, or tracing is switched off (sysctl kernel.ftrace_enabled)", p.Target)
	case errors.Is(err, unix.E2BIG):
		return fmt.Sprintf("too many programs are attached to %s already", p.Target)
	}
	return ""
}

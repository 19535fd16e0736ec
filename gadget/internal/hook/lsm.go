// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
)

// lsmHook is for the questions that the kernel asks its security modules.
func lsmHook() *hook {
	return &hook{
		sections: []string{"lsm", "lsm.s"},
		fixed:    true,
		check: func(p *image.Program) error {
			if !isFunctionName(p.Target) {
				return fmt.Errorf("program %s: %q: want %s/HOOK", p.Name, p.Place(), p.Kind())
			}
			return nil
		},
		missing: missingLSM,
		explain: explainLSM,
		// A kernel accepts LSM programs even if it never runs them.
		prepare: func(p *image.Program, _ *ebpf.ProgramSpec) error { return inactiveLSM(p) },
		attach: func(_ *Loaded, _ *image.Program, prog *ebpf.Program) (io.Closer, error) {
			return link.AttachLSM(link.LSMOptions{Program: prog})
		},
		result: objection,
	}
}

// lsmFunction begins the name of the function at which the programs of a hook are called.
const lsmFunction = "bpf_lsm_"

func missingLSM(k *kernel.Kernel, p *image.Program) error {
	if !k.HasFunction(lsmFunction + "file_open") {
		return fmt.Errorf("program %s: %s: this kernel has no LSM programs (they need Linux 5.7 or newer, built with CONFIG_BPF_LSM=y)", p.Name, p.Place())
	}
	if !k.HasFunction(lsmFunction + p.Target) {
		return fmt.Errorf("program %s: this kernel has no LSM hook %s", p.Name, p.Target)
	}
	if err := inactiveLSM(p); err != nil {
		return err
	}
	err := k.Try(trial(p, ebpf.LSM, ebpf.AttachLSMMac))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("program %s: %s: this kernel forbids LSM programs, although it knows them: %w", p.Name, p.Place(), err)
	}
	return fmt.Errorf("program %s: %s: this kernel cannot hook it: %w", p.Name, p.Place(), err)
}

// inactiveLSM returns an error if the kernel is known not to ask programs.
func inactiveLSM(p *image.Program) error {
	active, err := kernel.SecurityModules()
	if err != nil || slices.Contains(active, "bpf") {
		return nil
	}
	return fmt.Errorf("program %s: %s: this kernel does not call LSM programs: boot it with lsm=%s", p.Name, p.Place(), strings.Join(append(active, "bpf"), ","))
}

// explainLSM finds a hook whose name is similar to that of the missing one.
func explainLSM(k *kernel.Kernel, p *image.Program, _ error) error {
	if k.HasFunction(lsmFunction + p.Target) {
		return nil
	}
	all, err := k.Symbols(lsmFunction+p.Target, "")
	if err != nil {
		return nil
	}
	near, ok := strings.CutPrefix(all.Near, lsmFunction)
	if !ok {
		return nil
	}
	return fmt.Errorf("program %s: this kernel has no LSM hook %s; did you mean %q?", p.Name, p.Target, near)
}

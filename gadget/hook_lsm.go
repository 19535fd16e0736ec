// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// lsmHook is for the questions that the kernel asks its security modules.
func lsmHook() *hook {
	return &hook{
		sections: []string{"lsm", "lsm.s"},
		check: func(p *Program) error {
			if !isFunctionName(p.Target) {
				return fmt.Errorf("program %s: %q: want %s/HOOK", p.Name, p.place(), p.kind())
			}
			return nil
		},
		missing: missingLSM,
		explain: explainLSM,
		// A kernel that does not ask the programs takes them all the same.
		prepare: func(_ *kernel, p *Program, _ *ebpf.ProgramSpec) error { return inactiveLSM(p) },
		attach: func(_ *Gadget, _ *Program, prog *ebpf.Program) (io.Closer, error) {
			return link.AttachLSM(link.LSMOptions{Program: prog})
		},
		idle: agrees,
	}
}

// lsmFunction begins the name of the function at which the programs of a hook are called.
const lsmFunction = "bpf_lsm_"

func missingLSM(k *kernel, p *Program) error {
	if !k.hasFunction(lsmFunction + "file_open") {
		return fmt.Errorf("program %s: %s: this kernel has no LSM programs (it takes Linux 5.7 or newer, built with CONFIG_BPF_LSM=y)", p.Name, p.place())
	}
	if !k.hasFunction(lsmFunction + p.Target) {
		return fmt.Errorf("program %s: this kernel has no LSM hook %s", p.Name, p.Target)
	}
	if err := inactiveLSM(p); err != nil {
		return err
	}
	err := k.try(trial(p, ebpf.LSM, ebpf.AttachLSMMac))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("program %s: %s: this kernel forbids LSM programs, although it knows them: %w", p.Name, p.place(), err)
	}
	return fmt.Errorf("program %s: %s: this kernel cannot hook it: %w", p.Name, p.place(), err)
}

// inactiveLSM returns an error if the kernel is known not to ask programs.
func inactiveLSM(p *Program) error {
	active, err := securityModules()
	if err != nil || slices.Contains(active, "bpf") {
		return nil
	}
	return fmt.Errorf("program %s: %s: this kernel does not ask LSM programs: boot it with lsm=%s", p.Name, p.place(), strings.Join(append(active, "bpf"), ","))
}

// securityModules returns the names of those that are active.
func securityModules() ([]string, error) {
	text, err := readSecurityFile("lsm")
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }), nil
}

// hidesItsMemory reports whether the kernel is known to let no program read its memory.
func hidesItsMemory() bool {
	text, err := readSecurityFile("lockdown")
	return err == nil && strings.Contains(text, "[confidentiality]")
}

const securityFile, maxSecurityFile = "a file of the kernel's security modules", 1 << 16

// readSecurityFile reads a file of securityfs, which need not be mounted.
func readSecurityFile(name string) (string, error) {
	text, err := safefile.Read(filepath.Join("/sys/kernel/security", name), securityFile, maxSecurityFile)
	if err != nil {
		text, err = readUnmounted("securityfs", name)
	}
	return string(text), err
}

// readUnmounted reads a file of a file system that is mounted nowhere (Linux 5.2).
func readUnmounted(fileSystem, name string) ([]byte, error) {
	fs, err := unix.Fsopen(fileSystem, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, err
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(mount)
	fd, err := unix.Openat(mount, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return safefile.ReadFrom(f, securityFile, maxSecurityFile)
}

// explainLSM finds a hook whose name is like that of one that is missing.
func explainLSM(k *kernel, p *Program, _ error) error {
	if k.hasFunction(lsmFunction + p.Target) {
		return nil
	}
	all, err := k.symbols(lsmFunction+p.Target, "")
	if err != nil {
		return nil
	}
	near, ok := strings.CutPrefix(all.near, lsmFunction)
	if !ok {
		return nil
	}
	return fmt.Errorf("program %s: this kernel has no LSM hook %s; did you mean %q?", p.Name, p.Target, near)
}

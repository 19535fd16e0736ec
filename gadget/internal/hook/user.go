// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/symbols"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/targets"
	"github.com/gizmo-ebpf/gizmo/internal/elffile"
)

// uprobeHook is for the functions of programs and libraries, where they begin or at an offset.
func uprobeHook() *hook {
	return userHook([]string{"uprobe", "uprobe.s"}, false)
}

// uretprobeHook is for the return of such functions.
func uretprobeHook() *hook {
	return userHook([]string{"uretprobe", "uretprobe.s"}, true)
}

func userHook(sections []string, atReturn bool) *hook {
	return &hook{
		sections: sections,
		tracefs:  true,
		check: func(p *image.Program) error {
			_, err := targets.ParseFunction(p.Target)
			return inSection(p, err)
		},
		missing: missingUprobes,
		prepare: prepareUprobe,
		attach:  attachOnHost,
		probe: func(_ *Loaded, p *image.Program) (*userProbe, error) {
			target, err := targets.ParseFunction(p.Target)
			if err != nil {
				return nil, err
			}
			place := symbols.Place{Name: target.Symbol, Offset: target.Offset, Return: atReturn}
			text := fmt.Sprintf("%s+%d", target.Symbol, target.Offset)
			return &userProbe{file: target.File, target: text, atReturn: atReturn, find: func(f *elffile.File) (*userSites, error) {
				off, err := symbols.Locate(f, place)
				if err != nil {
					return nil, fmt.Errorf("function %s: %w", target.Symbol, err)
				}
				return &userSites{all: []userSite{{offset: off}}}, nil
			}}, nil
		},
	}
}

// inSection adds to an error about a target where it was read.
func inSection(p *image.Program, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("program %s: section %q: %w", p.Name, p.Section, err)
}

// missingUprobes returns an error if the kernel was built without probes in user space. Without sysfs
// it returns nil.
func missingUprobes(_ *kernel.Kernel, p *image.Program) error {
	const sources = "/sys/bus/event_source/devices"
	if _, err := os.Stat(sources); err != nil {
		return nil
	}
	if _, err := os.Stat(filepath.Join(sources, "uprobe")); err == nil {
		return nil
	}
	return fmt.Errorf("program %s: this kernel has no probes in user space (they need a kernel built with CONFIG_UPROBE_EVENTS=y)", p.Name)
}

// prepareUprobe readies a program for the way in which it will be attached.
func prepareUprobe(_ *image.Program, spec *ebpf.ProgramSpec) error {
	// Where one link can hold many probes, it is used for single ones, too: the kernel takes 100 ms to
	// remove each probe that is a perf event, one after the other, but 30 ms for all links together.
	if kernel.HasUprobeMulti() {
		spec.AttachType = ebpf.AttachTraceUprobeMulti
	}
	return nil
}

// MissingFileError says that there is no file to probe, or that none of the files has the function.
type MissingFileError struct{ cause error }

// Error returns the message of the cause.
func (e *MissingFileError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *MissingFileError) Unwrap() error { return e.cause }

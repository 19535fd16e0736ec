// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/symbols"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/targets"
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
		check: func(p *Program) error {
			_, err := targets.ParseFunction(p.Target)
			return inSection(p, err)
		},
		missing: missingUprobes,
		prepare: prepareUprobe,
		attach: func(_ *Gadget, p *Program, prog *ebpf.Program) (io.Closer, error) {
			target, err := targets.ParseFunction(p.Target)
			if err != nil {
				return nil, err
			}
			place := symbols.Place{Name: target.Symbol, Offset: target.Offset, Return: atReturn}
			u := &userProbe{prog: prog, multi: hasUprobeMulti(), atReturn: atReturn, find: func(f *elffile.File) ([]userSite, error) {
				off, err := symbols.Locate(f, place)
				if err != nil {
					return nil, fmt.Errorf("function %s: %w", target.Symbol, err)
				}
				return []userSite{{offset: off}}, nil
			}}
			return u.attach(target.File)
		},
	}
}

// inSection adds to an error about a target where it was read.
func inSection(p *Program, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("program %s: section %q: %w", p.Name, p.Section, err)
}

// missingUprobes returns an error if the kernel was built without probes in user space. Without sysfs
// nobody knows.
func missingUprobes(_ *kernel, p *Program) error {
	const sources = "/sys/bus/event_source/devices"
	if _, err := os.Stat(sources); err != nil {
		return nil
	}
	if _, err := os.Stat(filepath.Join(sources, "uprobe")); err == nil {
		return nil
	}
	return fmt.Errorf("program %s: this kernel has no probes in user space (it takes one built with CONFIG_UPROBE_EVENTS=y)", p.Name)
}

// prepareUprobe readies a program for the way in which it will be attached.
func prepareUprobe(_ *kernel, _ *Program, spec *ebpf.ProgramSpec) error {
	if hasUprobeMulti() {
		spec.AttachType = ebpf.AttachTraceUprobeMulti
	}
	return nil
}

// hasUprobeMulti reports whether one link can hold many probes (Linux 6.6). Where it can, this is used
// for single ones, too: the kernel takes 100 ms to remove each probe that is a perf event, one after the
// other, and 30 ms for all of these.
func hasUprobeMulti() bool { return features.HaveBPFLinkUprobeMulti() == nil }

func isUserSection(section string) bool {
	kind, _, _ := strings.Cut(section, "/")
	return strings.HasPrefix(kind, "uprobe") || strings.HasPrefix(kind, "uretprobe") || strings.HasPrefix(kind, "usdt")
}

// missingFileError says that there is no file to probe.
type missingFileError struct{ cause error }

func (e *missingFileError) Error() string { return e.cause.Error() }
func (e *missingFileError) Unwrap() error { return e.cause }

// absentFiles are the programs that were not attached because there is nothing to attach them to. A
// gadget may name several libraries of which a machine has one.
type absentFiles struct {
	errs  []error
	found bool // there was something for another program in user space
}

// has notes what became of a program, and reports whether it can be done without.
func (a *absentFiles) has(p *Program, err error) bool {
	var missing *missingFileError
	if errors.As(err, &missing) {
		a.errs = append(a.errs, fmt.Errorf("program %s: %w", p.Name, err))
		return true
	}
	a.found = a.found || err == nil && isUserSection(p.Section)
	return false
}

// settle fails if all programs in user space have been done without.
func (a *absentFiles) settle() error {
	if !a.found {
		return errors.Join(a.errs...)
	}
	for _, err := range a.errs {
		slog.Warn("a part of the gadget has nothing to observe here", "reason", err)
	}
	return nil
}

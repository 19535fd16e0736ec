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

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
)

// tracepointHook is for the tracepoints of tracefs, attached through perf events.
func tracepointHook() *hook {
	return &hook{
		sections: []string{"tracepoint", "tp"},
		check: func(p *image.Program) error {
			if category, name, ok := strings.Cut(p.Target, "/"); !ok || category == "" || name == "" {
				return fmt.Errorf("program %s: section %q: want tracepoint/CATEGORY/NAME", p.Name, p.Section)
			}
			return nil
		},
		missing: func(k *kernel.Kernel, p *image.Program) error {
			if k.HasTracepoint(p.Target) {
				return nil
			}
			return fmt.Errorf("program %s: this kernel has no tracepoint %s (the file available_events in tracefs lists those it has)", p.Name, p.Target)
		},
		attach: func(_ *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
			category, name, _ := strings.Cut(p.Target, "/")
			return link.Tracepoint(category, name, prog, nil)
		},
	}
}

// rawTracepointHook is for tracepoints without the arguments' conversion.
func rawTracepointHook() *hook {
	return &hook{
		sections: []string{"raw_tp", "raw_tracepoint"},
		check:    namesTracepoint,
		missing:  missingRawTracepoint,
		attach: func(_ *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
			return link.AttachRawTracepoint(link.RawTracepointOptions{Name: p.Target, Program: prog})
		},
	}
}

// btfTracepointHook is for raw tracepoints whose arguments are typed.
func btfTracepointHook() *hook {
	return &hook{
		sections: []string{"tp_btf"},
		fixed:    true,
		check:    namesTracepoint,
		missing:  missingRawTracepoint,
		attach: func(_ *Loaded, _ *image.Program, prog *ebpf.Program) (io.Closer, error) {
			return link.AttachTracing(link.TracingOptions{Program: prog})
		},
	}
}

func namesTracepoint(p *image.Program) error {
	if p.Target == "" {
		return fmt.Errorf("program %s: section %q names no tracepoint", p.Name, p.Section)
	}
	return nil
}

// missingRawTracepoint looks for the type that the kernel makes for each of its tracepoints. Those
// of modules are not found.
func missingRawTracepoint(k *kernel.Kernel, p *image.Program) error {
	var t *btf.Typedef
	err := k.Types.TypeByName("btf_trace_"+p.Target, &t)
	if !errors.Is(err, btf.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("program %s: this kernel has no %s tracepoint %s", p.Name, kindOf(p), p.Target)
}

func kindOf(p *image.Program) string {
	if strings.HasPrefix(p.Section, "tp_btf") {
		return "BTF"
	}
	return "raw"
}
